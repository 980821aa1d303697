//! The set of seats of an order, and the request's hash (fingerprint), which detects an idempotency key that is reused.

use sha2::{Digest, Sha256};

/// Distinct seat ids in ascending order, at least one.
///
/// Ascending, so that all instances lock seat claims in the same order and cannot deadlock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeatSet(Vec<i32>);

impl SeatSet {
    /// Makes a set of the ids. `None` when there are none, when one is not positive, or when one occurs twice.
    pub fn new(mut ids: Vec<i32>) -> Option<Self> {
        ids.sort_unstable();
        let distinct = ids.windows(2).all(|pair| pair[0] != pair[1]);
        (distinct && ids.first().is_some_and(|first| *first > 0)).then_some(Self(ids))
    }

    /// The ids, ascending.
    pub fn ids(&self) -> &[i32] {
        &self.0
    }
}

/// A seat of an order with its name and price, as Seating reports them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The seat's id.
    pub seat_id: i32,
    /// What is printed on the ticket, as `A1`.
    pub seat_code: Option<String>,
    /// Price in cents.
    pub price_cents: i64,
}

/// The fingerprint of a placing request: user, event and the set of seats, in any order and spelling.
///
/// SHA-256, in hexadecimal, of `user|event|seat,seat,…` with the seats ascending.
pub fn request_hash(user_id: i32, event_id: i32, seats: &SeatSet) -> String {
    let list: Vec<String> = seats.ids().iter().map(i32::to_string).collect();
    let digest = Sha256::digest(format!("{user_id}|{event_id}|{}", list.join(",")));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Formats a list for a sentence: `2`, `2 and 3`, `2, 3 and 4`.
pub fn join_with_and<T: ToString>(things: &[T]) -> String {
    let words: Vec<String> = things.iter().map(T::to_string).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_distinct_positive_and_not_empty() {
        assert_eq!(SeatSet::new(vec![3, 1, 2]).unwrap().ids(), [1, 2, 3]);
        for bad in [vec![], vec![1, 1], vec![0, 1], vec![-1], vec![2, 1, 2]] {
            assert_eq!(SeatSet::new(bad.clone()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_order_of_seats_does_not_change_the_hash_and_everything_else_does() {
        let hash =
            |user, event, seats: &[i32]| request_hash(user, event, &SeatSet::new(seats.to_vec()).unwrap());
        assert_eq!(hash(1, 2, &[3, 4]), hash(1, 2, &[4, 3]));
        assert_eq!(hash(1, 2, &[3]).len(), 64);
        let all = [
            hash(1, 2, &[3]),
            hash(2, 2, &[3]),
            hash(1, 3, &[3]),
            hash(1, 2, &[4]),
            hash(1, 2, &[3, 4]),
            hash(12, 3, &[4]),
            hash(1, 23, &[4]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(join_with_and::<i32>(&[]), "");
        assert_eq!(join_with_and(&[2]), "2");
        assert_eq!(join_with_and(&[2, 3]), "2 and 3");
        assert_eq!(join_with_and(&["A1", "A2", "A3"]), "A1, A2 and A3");
    }
}
