//! Payment outcomes: settlement, callback delivery, charge-backs.

use std::time::Duration;

use rand::rngs::StdRng;

use super::workload::Buyer;
use super::{ORDER_TTL_SECONDS, between, percent, weighted};
use crate::peers::{Mode, PaymentStatus};

/// How a pending payment is settled.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    /// Time since the charge.
    pub after: Duration,
    /// The final status; `None`: it stays pending.
    pub result: Option<PaymentStatus>,
    /// How the callback is delivered.
    pub delivery: CallbackDelivery,
    /// Whether the order and its seat hold expire before that.
    pub lapse: bool,
}

/// How the callback of a settled payment is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackDelivery {
    /// Once, without a delay.
    Plain,
    /// Never.
    Dropped,
    /// Duplicates, concurrently.
    Repeated(usize),
    /// Once, after a delay.
    Delayed(Duration),
    /// `FAILED`, then `SUCCESS`, with the two callbacks in reverse order.
    FailedThenSuccessReordered,
    /// `SUCCESS`, then `REFUNDED`, with the two callbacks in reverse order.
    SuccessThenRefundedReordered,
}

pub(super) fn buyer(random: &mut StdRng, user_id: i64) -> Buyer {
    let mode =
        weighted(random, &[(40, Mode::Succeed), (9, Mode::Decline), (8, Mode::Silent), (43, Mode::Pending)]);
    let settlement = (mode == Mode::Pending).then(|| settlement(random));
    let pays = mode == Mode::Succeed || mode == Mode::Silent || percent(random, 50);
    let charge_back = (pays && percent(random, 16)).then(|| between(random, 100, 6_000));
    // A buyer needs more than a second for it, which the service relies on: `OWN_CALLBACK_MS` of `domain/order.rs`.
    let second_payment = percent(random, 7).then(|| between(random, 1_200, 8_000));
    Buyer { user_id, mode, settlement, charge_back, second_payment, cancelled_event: None }
}

/// A buyer whose payments succeed only after their orders have expired and this event is cancelled.
pub(super) fn late_buyer(random: &mut StdRng, user_id: i64, event_id: i64) -> Buyer {
    let ttl = ORDER_TTL_SECONDS * 1_000;
    let lapse = percent(random, 60);
    let after = if lapse { between(random, 1_500, 6_000) } else { between(random, ttl + 1_000, ttl + 7_000) };
    let delivery = weighted(random, &[(1, CallbackDelivery::Plain), (1, CallbackDelivery::Dropped)]);
    let settlement = Settlement { after, result: Some(PaymentStatus::Success), delivery, lapse };
    Buyer {
        user_id,
        mode: Mode::Pending,
        settlement: Some(settlement),
        charge_back: None,
        second_payment: None,
        cancelled_event: Some(event_id),
    }
}

fn settlement(random: &mut StdRng) -> Settlement {
    use PaymentStatus::{Failed, Success};
    let ttl = ORDER_TTL_SECONDS * 1_000;
    let soon = between(random, 20, 3_000);
    let late = between(random, ttl + 1_000, ttl + 7_000);
    let delay = between(random, 200, 5_000);
    let (after, result, delivery) = weighted(
        random,
        &[
            (14, (soon, Some(Success), CallbackDelivery::Plain)),
            (9, (soon, Some(Success), CallbackDelivery::Dropped)),
            (6, (soon, Some(Success), CallbackDelivery::Repeated(2))),
            (6, (soon, Some(Success), CallbackDelivery::Repeated(4))),
            (11, (soon, Some(Success), CallbackDelivery::Delayed(delay))),
            (9, (soon, Some(Success), CallbackDelivery::FailedThenSuccessReordered)),
            (8, (soon, Some(Success), CallbackDelivery::SuccessThenRefundedReordered)),
            (3, (soon, Some(Failed), CallbackDelivery::Plain)),
            (3, (soon, Some(Failed), CallbackDelivery::Dropped)),
            (2, (soon, Some(Failed), CallbackDelivery::Repeated(3))),
            (11, (late, Some(Success), CallbackDelivery::Plain)),
            (5, (late, Some(Success), CallbackDelivery::Dropped)),
            (15, (soon, None, CallbackDelivery::Dropped)),
        ],
    );
    Settlement { after, result, delivery, lapse: percent(random, 28) }
}
