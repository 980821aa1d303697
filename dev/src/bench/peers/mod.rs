//! The four peers, fast: the contracts of the sandbox without its memory and its faults, so that they take as little
//! as possible of the machine that they share with what is measured.
//!
//! They say yes to everything. What becomes of a payment is in its amount: see [`price_cents`] and [`is_paid_at_once`].

mod process;
mod routes;
mod server;
mod shapes;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::http::Connection;

pub use process::PeersProcess;
pub use routes::Call;
pub use server::serve;

/// Events from this one on have seats whose payment succeeds at once.
pub const FIRST_PAID_EVENT: i64 = 1_000;
const PENDING_PRICE: i64 = 15_000;
const PAID_PRICE: i64 = 15_100;
/// It leaves the version and the variant of a UUID as they are.
const ORDER_TO_PAYMENT: u128 = 0x5a5a_5a5a_5a5a_0a5a_0a5a_5a5a_5a5a_5a5a;

/// What each seat of the event costs.
pub fn price_cents(event_id: i64) -> i64 {
    if event_id < FIRST_PAID_EVENT { PENDING_PRICE } else { PAID_PRICE }
}

/// Whether a charge of this amount (of at most 149 seats, without tax) succeeds, and the order service is told of it
/// before it is answered. Any other stays pending.
pub fn is_paid_at_once(amount_cents: i64) -> bool {
    amount_cents % PAID_PRICE == 0
}

/// The payment of an order, and the order of a payment.
fn other_id(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ ORDER_TO_PAYMENT)
}

/// What the peers remember: how often they were called, and what was charged.
#[derive(Default)]
struct State {
    counts: [AtomicU64; Call::ALL.len()],
    charges: Mutex<HashMap<Uuid, Charged>>,
    callback: Mutex<Option<Callback>>,
}

/// What was charged for an order.
#[derive(Clone)]
struct Charged {
    amount_cents: i64,
    currency: String,
    refunded: bool,
}

/// Where the order service is, and the connections to it that nobody uses just now.
struct Callback {
    address: std::net::SocketAddr,
    path: String,
    idle: Vec<Connection>,
}

impl State {
    fn count(&self, call: Call) {
        self.counts[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self, call: Call) -> u64 {
        self.counts[call as usize].load(Ordering::Relaxed)
    }

    fn charges(&self) -> MutexGuard<'_, HashMap<Uuid, Charged>> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn callback(&self) -> MutexGuard<'_, Option<Callback>> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    #[test]
    fn an_order_and_its_payment_lead_to_each_other() {
        let order = Uuid::new_v4();
        let payment = other_id(order);
        assert_ne!(payment, order);
        assert_eq!((other_id(payment), payment.get_version_num()), (order, 4));
    }
}
