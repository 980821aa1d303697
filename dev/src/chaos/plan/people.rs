//! Buyers, and what they do.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use super::money::{self, Settlement};
use super::{CLOSED_EVENT, EVENT, FIRST_HOT_SEAT, FIRST_OWN_SEAT, NO_SEAT, between, percent};
use crate::peers::Mode;

/// Somebody with a card: what becomes of their payments is decided by person.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// The user's number.
    pub user_id: i64,
    /// What becomes of their charges at once.
    pub mode: Mode,
    /// What becomes of pending payments.
    pub settlement: Option<Settlement>,
    /// How long after it was made a payment is charged back, if it is.
    pub charge_back: Option<Duration>,
}

/// One order that somebody wants to place, and how they behave about it.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Its idempotency key.
    pub key: String,
    /// Who wants it.
    pub user_id: i64,
    /// The event.
    pub event_id: i64,
    /// The seats.
    pub seats: Vec<i64>,
    /// When it is first sent, counted from the start.
    pub start: Duration,
    /// Which copy is asked first.
    pub copy: usize,
    /// After how long the same request also goes to the other copy.
    pub twin: Option<Duration>,
    /// After how long the caller hangs up the first time.
    pub hang_up: Option<Duration>,
    /// After how long the order is cancelled.
    pub cancel: Option<Wish>,
    /// How long after it was confirmed the money is wanted back.
    pub refund: Option<Wish>,
}

/// Something that a user asks for beside the order itself.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// When.
    pub after: Duration,
    /// Whether it is sent to both copies at once.
    pub twice: bool,
    /// Whether the other wish, cancel or refund, is sent along with it.
    pub with_the_other: bool,
}

pub(super) fn draw(
    random: &mut StdRng,
    orders: usize,
    hot_seats: i64,
    duration: Duration,
) -> (Vec<Buyer>, Vec<Errand>) {
    let (mut buyers, mut errands) = (Vec::new(), Vec::with_capacity(orders));
    let mut next_own = FIRST_OWN_SEAT;
    while errands.len() < orders {
        let user_id = 1_001 + buyers.len() as i64;
        buyers.push(money::buyer(random, user_id));
        // Some want several orders at the same time, and some of those the same seats.
        let several = if percent(random, 12) { random.random_range(2..=3) } else { 1 };
        let start = between(random, 0, duration.as_millis() as u64);
        let mut seats = choose(random, hot_seats, &mut next_own);
        for n in 0..several.min(orders - errands.len()) {
            if n > 0 && percent(random, 50) {
                seats = choose(random, hot_seats, &mut next_own);
            }
            let mut errand = errand(random, format!("errand-{}", errands.len()), user_id, seats.clone());
            errand.start = (start + between(random, 0, 300) * n as u32).min(duration);
            errands.push(errand);
        }
    }
    (buyers, errands)
}

/// Seats in no order: some that many want, some that nobody else wants.
fn choose(random: &mut StdRng, hot_seats: i64, next_own: &mut i64) -> Vec<i64> {
    let count = random.random_range(1..=4);
    let mut seats = Vec::new();
    if percent(random, 40) {
        // Next to each other, so that orders overlap without being equal.
        let first = random.random_range(0..hot_seats);
        seats.extend((first..hot_seats.min(first + count)).map(|n| FIRST_HOT_SEAT + n));
    } else {
        seats.extend(*next_own..*next_own + count);
        *next_own += count;
    }
    if random.random_bool(0.5) {
        seats.reverse();
    }
    if percent(random, 1) {
        seats.push(NO_SEAT);
    }
    seats
}

fn errand(random: &mut StdRng, key: String, user_id: i64, seats: Vec<i64>) -> Errand {
    let mut errand = Errand {
        key,
        user_id,
        event_id: if percent(random, 1) { CLOSED_EVENT } else { EVENT },
        seats,
        start: Duration::ZERO,
        copy: random.random_range(0..2),
        twin: percent(random, 20).then(|| between(random, 0, 60)),
        hang_up: percent(random, 18).then(|| between(random, 0, 14)),
        cancel: None,
        refund: None,
    };
    match random.random_range(0..100) {
        // At once, or while it waits for its money.
        0..7 => errand.cancel = Some(wish(random, 0, 80)),
        7..18 => errand.cancel = Some(wish(random, 80, 6_000)),
        18..36 => errand.refund = Some(wish(random, 0, 1_500)),
        36..40 => {
            errand.cancel = Some(wish(random, 0, 2_000));
            errand.refund = Some(wish(random, 0, 500));
        }
        _ => {}
    }
    errand
}

fn wish(random: &mut impl Rng, from_ms: u64, to_ms: u64) -> Wish {
    Wish {
        after: between(random, from_ms, to_ms),
        twice: percent(random, 45),
        with_the_other: percent(random, 25),
    }
}
