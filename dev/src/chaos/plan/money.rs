//! What becomes of payments.

use std::time::Duration;

use rand::rngs::StdRng;

use super::people::Buyer;
use super::{ORDER_TTL_SECONDS, between, percent, weighted};
use crate::peers::{Mode, PaymentStatus};

/// How a pending payment is decided.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    /// How long after it was made.
    pub after: Duration,
    /// What it becomes; `None`: it stays pending.
    pub result: Option<PaymentStatus>,
    /// How the order service is told.
    pub delivery: Delivery,
    /// Whether, before that, the order's time and its hold run out as if a quarter of an hour had passed.
    pub lapse: bool,
}

/// How the order service is told of a payment that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once, at once.
    Plain,
    /// Not at all.
    Dropped,
    /// So many times, all at once.
    Repeated(usize),
    /// After a while.
    Delayed(Duration),
    /// The bank first says no and then yes, and the two callbacks overtake each other.
    NoThenYesReversed,
    /// The money is taken and goes back at once, and the two callbacks overtake each other.
    YesThenBackReversed,
}

pub(super) fn buyer(random: &mut StdRng, user_id: i64) -> Buyer {
    let mode =
        weighted(random, &[(40, Mode::Succeed), (9, Mode::Decline), (8, Mode::Silent), (43, Mode::Pending)]);
    let settlement = (mode == Mode::Pending).then(|| settlement(random));
    let pays = mode == Mode::Succeed || mode == Mode::Silent || percent(random, 50);
    let charge_back = (pays && percent(random, 16)).then(|| between(random, 100, 6_000));
    Buyer { user_id, mode, settlement, charge_back }
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
            (14, (soon, Some(Success), Delivery::Plain)),
            (9, (soon, Some(Success), Delivery::Dropped)),
            (6, (soon, Some(Success), Delivery::Repeated(2))),
            (6, (soon, Some(Success), Delivery::Repeated(4))),
            (11, (soon, Some(Success), Delivery::Delayed(delay))),
            (9, (soon, Some(Success), Delivery::NoThenYesReversed)),
            (8, (soon, Some(Success), Delivery::YesThenBackReversed)),
            (3, (soon, Some(Failed), Delivery::Plain)),
            (3, (soon, Some(Failed), Delivery::Dropped)),
            (2, (soon, Some(Failed), Delivery::Repeated(3))),
            (11, (late, Some(Success), Delivery::Plain)),
            (5, (late, Some(Success), Delivery::Dropped)),
            (15, (soon, None, Delivery::Dropped)),
        ],
    );
    Settlement { after, result, delivery, lapse: percent(random, 28) }
}
