//! The four peers, fast: the contracts of the sandbox without its memory and its faults, so that they take as little
//! as possible of the machine that they share with what is measured.
//!
//! They say yes to everything. What becomes of a payment is in its amount: see [`price_cents`] and [`is_paid_at_once`].

mod payment;
mod process;
mod seating;
mod server;

pub use process::PeersProcess;
pub use server::serve;

/// Events from this one on have seats whose payment succeeds at once.
pub const FIRST_PAID_EVENT: i64 = 1_000;
const PENDING_PRICE: i64 = 15_000;
const PAID_PRICE: i64 = 15_100;

/// What each seat of the event costs.
pub fn price_cents(event_id: i64) -> i64 {
    if event_id < FIRST_PAID_EVENT { PENDING_PRICE } else { PAID_PRICE }
}

/// Whether a charge of this amount (of at most 149 seats, without tax) succeeds, and the order service is told of it
/// before it is answered. Any other stays pending.
pub fn is_paid_at_once(amount_cents: i64) -> bool {
    amount_cents % PAID_PRICE == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amount_tells_what_becomes_of_a_payment() {
        for seats in 1..=100 {
            assert!(!is_paid_at_once(seats * price_cents(FIRST_PAID_EVENT - 1)), "{seats}");
            assert!(is_paid_at_once(seats * price_cents(FIRST_PAID_EVENT)), "{seats}");
        }
    }
}
