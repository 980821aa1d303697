//! The serializable transactions of `reserve`: of those that overlap in time and touch the same or neighbouring seats, all
//! but the first fail. PostgreSQL decides by pages of the index and by who commits first; here it is always the same.

use std::time::Duration;

/// What is under way, and how it is to be.
pub struct Transactions {
    /// How long a reserve takes.
    pub takes: Duration,
    /// Whether reserves fail that overlap.
    pub serializable: bool,
    /// How many failed because they overlapped another one.
    pub failures: u64,
    open: Vec<Open>,
    next: u64,
}

struct Open {
    number: u64,
    seats: Vec<i64>,
    fails: bool,
}

impl Default for Transactions {
    fn default() -> Transactions {
        let takes = Duration::from_millis(10);
        Transactions { takes, serializable: true, failures: 0, open: Vec::new(), next: 0 }
    }
}

impl Transactions {
    /// Begins one that touches these seats; its number, and how long it takes.
    pub fn begin(&mut self, seats: &[i64]) -> (u64, Duration) {
        // One that is going to fail has read its rows all the same.
        let fails = self.serializable && self.open.iter().any(|open| are_neighbours(&open.seats, seats));
        self.next += 1;
        self.open.push(Open { number: self.next, seats: seats.to_vec(), fails });
        (self.next, self.takes)
    }

    /// Ends one; whether it fails.
    pub fn end(&mut self, number: u64) -> bool {
        let place = self.open.iter().position(|open| open.number == number);
        let fails = place.is_some_and(|place| self.open.swap_remove(place).fails);
        self.failures += u64::from(fails);
        fails
    }
}

/// Whether a seat of the one is a seat of the other, or stands next to it.
fn are_neighbours(one: &[i64], other: &[i64]) -> bool {
    one.iter().any(|a| other.iter().any(|b| a.abs_diff(*b) <= 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_overlap_all_but_the_first_fail() {
        let mut all = Transactions::default();
        let [first, next, chained, apart] = [[1], [2], [3], [5]].map(|seats| all.begin(&seats).0);
        assert_eq!([first, next, chained, apart].map(|number| all.end(number)), [false, true, true, false]);
        let again = all.begin(&[2]).0;
        assert!(!all.end(again), "nothing is open any more");
        assert_eq!(all.failures, 2);
    }
}
