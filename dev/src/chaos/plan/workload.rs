//! The workload: users, and one scenario for each order.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use super::settlements::{self, Settlement};
use super::slow_bodies::SlowBody;
use super::{
    CLOSED_EVENT, EVENT, FIRST_CANCELLED_EVENT, FIRST_FREE_SEAT, FIRST_HOT_SEAT, FIRST_OWN_SEAT, NO_SEAT,
    between, percent,
};
use crate::peers::Mode;

/// A user. The outcome of a payment depends on its user.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// The user's id.
    pub user_id: i64,
    /// Immediate outcome of their charges.
    pub mode: Mode,
    /// Settlement of their pending payments.
    pub settlement: Option<Settlement>,
    /// Time from the settlement to a charge-back, if there is one.
    pub charge_back: Option<Duration>,
    /// Time from the charge to a second payment of the order, if there is one.
    pub second_payment: Option<Duration>,
    /// The event of their orders, which is cancelled after those have expired and before their payments succeed.
    pub cancelled_event: Option<i64>,
}

/// What a user orders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Any seats of the event on sale.
    Any,
    /// Seats that cost nothing.
    Free,
    /// Seats of an event that is cancelled in mid-run.
    Cancelled(i64),
}

/// Of so many users one orders seats that cost nothing, and one those of an event that is cancelled.
const WISHES_EVERY: usize = 20;

/// The ids of the next uncontended seats.
struct NextSeats {
    own: i64,
    free: i64,
}

/// The scenario of one order: what is ordered, and what its user does about it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The idempotency key.
    pub key: String,
    /// The user.
    pub user_id: i64,
    /// The event.
    pub event_id: i64,
    /// The seats.
    pub seats: Vec<i64>,
    /// Time of the first request since the start.
    pub start: Duration,
    /// Index of the replica that gets the first request.
    pub replica: usize,
    /// Delay of a duplicate of the first request to the other replica.
    pub duplicate: Option<Duration>,
    /// Client-side timeout of the first request, after which the client disconnects.
    pub disconnect: Option<Duration>,
    /// How the body of the first request is sent, if not at once.
    pub slow_body: Option<SlowBody>,
    /// Cancel request, from the start of the scenario.
    pub cancel: Option<FollowUp>,
    /// Refund request, from the confirmation.
    pub refund: Option<FollowUp>,
}

/// A cancel or refund request.
#[derive(Clone, Copy, Debug)]
pub struct FollowUp {
    /// Delay.
    pub after: Duration,
    /// Whether it is sent to both replicas concurrently.
    pub twice: bool,
    /// Whether the conflicting request (refund or cancel) is sent concurrently.
    pub with_conflict: bool,
}

pub(super) fn generate(
    random: &mut StdRng,
    orders: usize,
    hot_seats: i64,
    duration: Duration,
) -> (Vec<Buyer>, Vec<Scenario>) {
    let (mut buyers, mut scenarios) = (Vec::new(), Vec::with_capacity(orders));
    let mut next = NextSeats { own: FIRST_OWN_SEAT, free: FIRST_FREE_SEAT };
    while scenarios.len() < orders {
        let user_id = 1_001 + buyers.len() as i64;
        let wish = match buyers.len() % WISHES_EVERY {
            5 => Wish::Free,
            15 => Wish::Cancelled(FIRST_CANCELLED_EVENT + (buyers.len() / WISHES_EVERY) as i64),
            _ => Wish::Any,
        };
        buyers.push(match wish {
            Wish::Cancelled(event_id) => settlements::late_buyer(random, user_id, event_id),
            _ => settlements::buyer(random, user_id),
        });
        // Some users place several orders at the same time, some of them for the same seats.
        let several = if percent(random, 12) { random.random_range(2..=3) } else { 1 };
        let start = between(random, 0, duration.as_millis() as u64);
        let mut seats = choose_seats(random, wish, hot_seats, &mut next);
        for n in 0..several.min(orders - scenarios.len()) {
            if n > 0 && percent(random, 50) {
                seats = choose_seats(random, wish, hot_seats, &mut next);
            }
            let mut scenario =
                scenario(random, format!("errand-{}", scenarios.len()), user_id, seats.clone());
            if let Wish::Cancelled(event_id) = wish {
                // Its user does nothing about it: it expires.
                (scenario.event_id, scenario.cancel, scenario.refund) = (event_id, None, None);
            }
            scenario.start = (start + between(random, 0, 300) * n as u32).min(duration);
            scenarios.push(scenario);
        }
    }
    (buyers, scenarios)
}

/// Unsorted seats: contended or uncontended ones.
fn choose_seats(random: &mut StdRng, wish: Wish, hot_seats: i64, next: &mut NextSeats) -> Vec<i64> {
    let count = random.random_range(1..=4);
    let mut seats = Vec::new();
    if wish == Wish::Any && percent(random, 40) {
        // Adjacent ones, so that orders overlap without being equal.
        let first = random.random_range(0..hot_seats);
        seats.extend((first..hot_seats.min(first + count)).map(|n| FIRST_HOT_SEAT + n));
    } else {
        let next = if wish == Wish::Free { &mut next.free } else { &mut next.own };
        seats.extend(*next..*next + count);
        *next += count;
    }
    if random.random_bool(0.5) {
        seats.reverse();
    }
    if percent(random, 1) {
        seats.push(NO_SEAT);
    }
    seats
}

fn scenario(random: &mut StdRng, key: String, user_id: i64, seats: Vec<i64>) -> Scenario {
    let mut scenario = Scenario {
        key,
        user_id,
        event_id: if percent(random, 1) { CLOSED_EVENT } else { EVENT },
        seats,
        start: Duration::ZERO,
        replica: random.random_range(0..2),
        duplicate: percent(random, 20).then(|| between(random, 0, 60)),
        disconnect: percent(random, 18).then(|| between(random, 0, 14)),
        slow_body: None,
        cancel: None,
        refund: None,
    };
    match random.random_range(0..100) {
        // At once, or while the payment is pending.
        0..7 => scenario.cancel = Some(follow_up(random, 0, 80)),
        7..18 => scenario.cancel = Some(follow_up(random, 80, 6_000)),
        18..36 => scenario.refund = Some(follow_up(random, 0, 1_500)),
        36..40 => {
            scenario.cancel = Some(follow_up(random, 0, 2_000));
            scenario.refund = Some(follow_up(random, 0, 500));
        }
        _ => {}
    }
    scenario
}

fn follow_up(random: &mut impl Rng, from_ms: u64, to_ms: u64) -> FollowUp {
    FollowUp {
        after: between(random, from_ms, to_ms),
        twice: percent(random, 45),
        with_conflict: percent(random, 25),
    }
}

/// Lets some buyers of neighbouring seats of their own, which were planned one after the other, start at the same time: their
/// reserves overlap.
pub(super) fn start_neighbours_together(random: &mut StdRng, scenarios: &mut [Scenario], duration: Duration) {
    for n in 1..scenarios.len() {
        let [first, second] = [&scenarios[n - 1], &scenarios[n]];
        let are_neighbours = first.user_id != second.user_id
            && [first, second].iter().all(|one| one.seats.iter().all(|seat| *seat >= FIRST_OWN_SEAT));
        if are_neighbours && percent(random, 35) {
            scenarios[n].start = (scenarios[n - 1].start + between(random, 0, 20)).min(duration);
        }
    }
}
