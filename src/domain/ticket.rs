//! Ticket codes: bearer secrets (who has the code has the ticket) that are read aloud, typed and scanned.

/// Crockford's base32 alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Crockford's check symbols: the alphabet and five more, for a remainder modulo 37.
const CHECK: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";

/// A ticket code of 128 random bits: `TKT-`, 26 characters of Crockford's base32, and one check character
/// (<https://www.crockford.com/base32.html>), which catches every wrong digit and every swap of two neighbours.
///
/// Draws again until the check character is of the alphabet (in 32 of 37 cases it is), so that a code has letters and digits alone:
/// the other check symbols are hard to say and to type, and some scanners, URLs and shells change them.
pub fn ticket_code(mut draw: impl FnMut() -> [u8; 16]) -> String {
    loop {
        let number = u128::from_be_bytes(draw());
        if (number % 37) < ALPHABET.len() as u128 {
            return code_of(number);
        }
    }
}

fn code_of(number: u128) -> String {
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
        assert_eq!(code_of(0), "TKT-000000000000000000000000000");
        assert!(code_of(u128::MAX).starts_with("TKT-7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
        assert_eq!(code_of(u128::MAX).len(), 31);
    }

    #[test]
    fn a_number_with_another_check_symbol_is_drawn_again() {
        for (first, drawn) in [(31, 1), (32, 2), (33, 2), (34, 2), (35, 2), (36, 2), (37, 1)] {
            let mut draws = [first, 5_u128].into_iter();
            let mut times = 0;
            let code = ticket_code(|| {
                times += 1;
                draws.next().expect("the second number is taken").to_be_bytes()
            });
            assert_eq!(times, drawn, "{first}");
            assert!(code["TKT-".len()..].bytes().all(|c| ALPHABET.contains(&c)), "{code}");
        }
    }

    proptest! {
        #[test]
        fn a_code_carries_all_its_bits(random: [u8; 16]) {
            let number = u128::from_be_bytes(random);
            prop_assert_eq!(decode(&code_of(number)), Some(number));
        }

        #[test]
        fn a_wrong_digit_is_noticed(random: [u8; 16], place in 4_usize..30, other in 0_usize..32) {
            let mut code = code_of(u128::from_be_bytes(random)).into_bytes();
            prop_assume!(code[place] != ALPHABET[other]);
            code[place] = ALPHABET[other];
            prop_assert_eq!(decode(std::str::from_utf8(&code).unwrap()), None);
        }
    }
}
