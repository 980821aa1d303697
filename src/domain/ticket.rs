//! Ticket codes: bearer secrets (who has the code has the ticket) that are read aloud, typed and scanned.

/// Crockford's base32 alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Crockford's check symbols: the alphabet and five more, for a remainder modulo 37.
const CHECK: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";

/// A ticket code of 128 random bits: `TKT-`, 26 characters of Crockford's base32, and one check character
/// (<https://www.crockford.com/base32.html>), which catches every wrong digit and every swap of two neighbours.
pub fn ticket_code(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let mut code = String::with_capacity(31);
    code.push_str("TKT-");
    for place in (0..26).rev() {
        code.push(ALPHABET[(number >> (5 * place) & 31) as usize] as char);
    }
    code.push(CHECK[(number % 37) as usize] as char);
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a code back, `None` when the check character does not fit.
    fn decode(code: &str) -> Option<u128> {
        let body = code.strip_prefix("TKT-")?.as_bytes();
        let (check, digits) = body.split_last()?;
        let mut number: u128 = 0;
        for digit in digits {
            number = number.checked_mul(32)? + ALPHABET.iter().position(|c| c == digit)? as u128;
        }
        (CHECK[(number % 37) as usize] == *check).then_some(number)
    }

    #[test]
    fn the_extremes_are_written_in_full() {
        assert_eq!(ticket_code([0; 16]), "TKT-000000000000000000000000000");
        assert!(ticket_code([0xff; 16]).starts_with("TKT-7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
        assert_eq!(ticket_code([0xff; 16]).len(), 31);
    }

    proptest! {
        #[test]
        fn a_code_carries_all_its_bits(random: [u8; 16]) {
            prop_assert_eq!(decode(&ticket_code(random)), Some(u128::from_be_bytes(random)));
        }

        #[test]
        fn a_wrong_digit_is_noticed(random: [u8; 16], place in 4_usize..30, other in 0_usize..32) {
            let mut code = ticket_code(random).into_bytes();
            prop_assume!(code[place] != ALPHABET[other]);
            code[place] = ALPHABET[other];
            prop_assert_eq!(decode(std::str::from_utf8(&code).unwrap()), None);
        }
    }
}
