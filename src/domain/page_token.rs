//! Page tokens (AIP-158): where the next page of a list begins, as opaque text.
//!
//! A token belongs to one list: to its filters, and to the caller for whom it was made. It grants no rights, because those of the
//! caller are looked at in any case, and it is no secret: the hash in it only finds tokens that were cut, altered or mixed up.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// Goes on when tokens change, so that older ones are invalid.
const VERSION: u8 = 1;
/// Bytes of the hash.
const HASH: usize = 12;
/// The times that orders can have been created at, the years 1 to 9999, in microseconds since 1970. The hash has no secret, so anybody can
/// make a token with any number in it, also with one that PostgreSQL has no time for.
const TIMES: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Where a page begins, by the kind of list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cursor {
    /// Newest first: with the order before this one.
    Before {
        /// Microseconds since 1970.
        created_at: i64,
        /// The order.
        id: Uuid,
    },
    /// In the order of changes: after this one.
    Changed {
        /// Of which database the number is.
        server: i64,
        /// The transaction.
        xid: i64,
        /// The order.
        id: Uuid,
    },
    /// A journal: after the entry with this number.
    Entry(i32),
    /// The events of all orders: after this one.
    Event {
        /// Of which database the number is.
        server: i64,
        /// The transaction.
        xid: i64,
        /// The order.
        order: Uuid,
        /// The event's number within the order.
        sequence: i32,
    },
}

impl Cursor {
    /// The token for a page of the list that has this description.
    pub fn token(&self, list: &str) -> String {
        let mut bytes = vec![VERSION];
        match self {
            Self::Before { created_at, id } => {
                bytes.push(b'b');
                bytes.extend(created_at.to_be_bytes());
                bytes.extend(id.as_bytes());
            }
            Self::Changed { server, xid, id } => {
                bytes.push(b'c');
                bytes.extend(server.to_be_bytes());
                bytes.extend(xid.to_be_bytes());
                bytes.extend(id.as_bytes());
            }
            Self::Entry(number) => {
                bytes.push(b'e');
                bytes.extend(number.to_be_bytes());
            }
            Self::Event { server, xid, order, sequence } => {
                bytes.push(b'v');
                bytes.extend(server.to_be_bytes());
                bytes.extend(xid.to_be_bytes());
                bytes.extend(order.as_bytes());
                bytes.extend(sequence.to_be_bytes());
            }
        }
        let hash = hash(&bytes, list);
        bytes.extend(hash);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor of a token; `None` when it was not made for the list that has this description.
    pub fn of_token(token: &str, list: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (contents, hashed) = bytes.split_last_chunk::<HASH>()?;
        if hash(contents, list) != *hashed {
            return None;
        }
        let (&VERSION, contents) = contents.split_first()? else {
            return None;
        };
        let (kind, mut rest) = contents.split_first()?;
        let cursor = match kind {
            b'b' => Self::Before { created_at: number(&mut rest)?, id: id(&mut rest)? },
            b'c' => Self::Changed { server: number(&mut rest)?, xid: number(&mut rest)?, id: id(&mut rest)? },
            b'e' => Self::Entry(i32::from_be_bytes(take(&mut rest)?)),
            b'v' => Self::Event {
                server: number(&mut rest)?,
                xid: number(&mut rest)?,
                order: id(&mut rest)?,
                sequence: i32::from_be_bytes(take(&mut rest)?),
            },
            _ => return None,
        };
        let is_possible = match cursor {
            Self::Before { created_at, .. } => TIMES.contains(&created_at),
            Self::Changed { xid, .. } => xid >= 0,
            Self::Entry(number) => number >= 0,
            Self::Event { xid, sequence, .. } => xid >= 0 && sequence >= 0,
        };
        (is_possible && rest.is_empty()).then_some(cursor)
    }
}

fn hash(contents: &[u8], list: &str) -> [u8; HASH] {
    let digest = Sha256::new().chain_update(contents).chain_update([0]).chain_update(list).finalize();
    let mut hash = [0; HASH];
    hash.copy_from_slice(&digest[..HASH]);
    hash
}

fn take<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (taken, left) = rest.split_first_chunk::<LENGTH>()?;
    *rest = left;
    Some(*taken)
}

fn number(rest: &mut &[u8]) -> Option<i64> {
    take(rest).map(i64::from_be_bytes)
}

fn id(rest: &mut &[u8]) -> Option<Uuid> {
    take(rest).map(Uuid::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        prop_oneof![
            (TIMES, any::<u128>())
                .prop_map(|(created_at, id)| Cursor::Before { created_at, id: Uuid::from_u128(id) }),
            (any::<i64>(), 0..=i64::MAX, any::<u128>()).prop_map(|(server, xid, id)| Cursor::Changed {
                server,
                xid,
                id: Uuid::from_u128(id)
            }),
            (0..=i32::MAX).prop_map(Cursor::Entry),
        ]
    }

    proptest! {
        #[test]
        fn a_token_is_read_back_for_its_own_list_alone(cursor in any_cursor(), list in ".{0,40}", other in ".{0,40}") {
            let token = cursor.token(&list);
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{}", token);
            prop_assert_eq!(Cursor::of_token(&token, &list), Some(cursor));
            prop_assert!(other == list || Cursor::of_token(&token, &other).is_none());
        }

        #[test]
        fn a_token_that_was_cut_or_altered_is_invalid(cursor in any_cursor(), at in any::<prop::sample::Index>(), put in "[ -~]") {
            let token = cursor.token("list");
            let at = at.index(token.len());
            prop_assert_eq!(Cursor::of_token(&token[..at], "list"), None);
            prop_assert_eq!(Cursor::of_token(&token[at + 1..], "list"), None);
            let mut altered = token.clone();
            altered.replace_range(at..=at, &put);
            prop_assert!(altered == token || Cursor::of_token(&altered, "list").is_none());
            altered = token;
            altered.insert_str(at, &put);
            prop_assert_eq!(Cursor::of_token(&altered, "list"), None);
        }

        #[test]
        fn nothing_else_is_a_token(text in ".{0,200}") {
            prop_assert_eq!(Cursor::of_token(&text, "list"), None);
        }
    }

    #[test]
    fn a_place_that_cannot_be_is_in_no_token() {
        let id = Uuid::nil();
        for cursor in [
            Cursor::Before { created_at: i64::MIN, id },
            Cursor::Before { created_at: *TIMES.start() - 1, id },
            Cursor::Before { created_at: *TIMES.end() + 1, id },
            Cursor::Changed { server: 0, xid: -1, id },
            Cursor::Entry(-1),
        ] {
            assert_eq!(Cursor::of_token(&cursor.token("list"), "list"), None, "{cursor:?}");
        }
    }
}
