//! What goes wrong at the peers, with callbacks, and with processes.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::people::{Buyer, Errand};
use super::{Disturbance, FIRST_OWN_SEAT, Kind, Target, between, calls_back, percent, weighted};
use crate::peers::{Action, CallName, CallbackFault, CallbackRule, FaultRule, Matching, Moment, Peer};

/// How often each sort of process is disturbed in a run of [`FULL_RUN`] orders: a little more than the fifty times
/// that a whole campaign has to show.
const PER_FULL_RUN: usize = 57;
/// The number of orders of a whole campaign.
const FULL_RUN: usize = 2_000;

/// The calls that are disturbed, each as often as its weight says. Those that only some orders come to weigh more.
const CALLS: [(u32, CallName); 9] = [
    (16, CallName::Reserve),
    (18, CallName::Charge),
    (24, CallName::Allocate),
    (16, CallName::Release),
    (9, CallName::Seat),
    (14, CallName::OrderSeats),
    (14, CallName::Payment),
    (16, CallName::Refund),
    (12, CallName::Notify),
];

/// Faults of single calls. Each is bound to a buyer, and so to that buyer's orders.
pub(super) fn of_calls(random: &mut StdRng, buyers: &[Buyer], orders: usize) -> Vec<(Kind, FaultRule)> {
    let mut faults = Vec::new();
    for buyer in buyers {
        // Most have one or two, some none, and some so many that the service has to ask for a long time.
        let count = weighted(random, &[(20, 0), (40, 1), (30, 2), (8, 4), (2, 7)]);
        for _ in 0..count {
            let call = weighted(random, &CALLS);
            let (kind, action) = action(random, call);
            let after = weighted(random, &[(80, 0), (14, 1), (6, 2)]);
            faults.push((kind, FaultRule::on(call, action).user(buyer.user_id).after(after)));
        }
    }
    // Few orders come to a refund, so many are prepared.
    for buyer in buyers {
        if percent(random, 45) {
            let rule = FaultRule::on(CallName::Refund, Action::Refuse).user(buyer.user_id);
            faults.push((Kind::RefundRefused, rule));
        }
    }
    // Catalog's calls name no order, and are counted instead.
    for n in 0..orders / 12 {
        let (kind, action) = action(random, CallName::Event);
        let after = (n * 6) as u64 + random.random_range(0..6);
        faults.push((kind, FaultRule::on(CallName::Event, action).after(after)));
    }
    faults
}

fn action(random: &mut StdRng, call: CallName) -> (Kind, Action) {
    let kinds = [
        (16, Kind::RequestLost),
        (18, Kind::AnswerLost),
        (11, Kind::FailedBefore),
        (11, Kind::FailedAfter),
        (12, Kind::BadGateway),
        (9, Kind::Garbage),
        (9, Kind::AnswerLate),
        (9, Kind::EffectLate),
    ];
    let kind = match call {
        CallName::Allocate if percent(random, 38) => Kind::SeatsRefused,
        CallName::Reserve if percent(random, 20) => Kind::SeatsRefused,
        _ => weighted(random, &kinds),
    };
    let page = "<html><body>Bad gateway</body></html>";
    let action = match kind {
        Kind::RequestLost => Action::LoseRequest,
        Kind::AnswerLost => Action::LoseAnswer,
        Kind::FailedBefore => Action::Fail { status: 500, body: None },
        Kind::FailedAfter => garbage(500, r#"{"error":"made to fail"}"#, "application/json", true),
        Kind::BadGateway => garbage(502, page, "text/html", random.random_bool(0.5)),
        Kind::Garbage => garbage(200, r#"{"id":17,"truth":"#, "application/json", true),
        Kind::AnswerLate => Action::Stall { ms: stall_ms(random, call), effect: Moment::Before },
        Kind::EffectLate => Action::Stall { ms: stall_ms(random, call), effect: Moment::After },
        _ => Action::Refuse,
    };
    (kind, action)
}

fn garbage(status: u16, body: &str, content_type: &str, effect: bool) -> Action {
    Action::Garbage { body: body.into(), content_type: content_type.into(), status, effect }
}

/// Longer than the service waits for this call, and shorter than the ten seconds within which a request that was sent
/// has its effect.
fn stall_ms(random: &mut StdRng, call: CallName) -> u64 {
    match call {
        CallName::Charge | CallName::Payment | CallName::Refund => random.random_range(8_200..9_500),
        CallName::Notify | CallName::Event => random.random_range(2_200..3_500),
        _ => random.random_range(3_200..4_500),
    }
}

/// Faults of the callbacks that Payment makes while it is being charged.
pub(super) fn of_callbacks(random: &mut StdRng, buyers: &[Buyer]) -> Vec<(Kind, CallbackRule)> {
    let mut faults = Vec::new();
    for buyer in buyers.iter().filter(|buyer| calls_back(buyer.mode)) {
        let (kind, fault) = match random.random_range(0..100) {
            0..10 => (Kind::CallbackDropped, CallbackFault::Drop),
            10..20 => (Kind::CallbackDelayed, CallbackFault::Delay(random.random_range(100..4_000))),
            20..30 => (Kind::CallbackRepeated, CallbackFault::Repeat(random.random_range(2..=4))),
            _ => continue,
        };
        let only = Matching { user_id: Some(buyer.user_id), ..Matching::default() };
        faults.push((kind, CallbackRule { only, fault }));
    }
    faults
}

/// Puts some orders right before the crashes of PostgreSQL: Seating has not answered yet, and the user has already asked
/// twice. Whatever was answered by then must survive.
pub(super) fn aim_at_crashes(
    random: &mut StdRng,
    disturbances: &[Disturbance],
    errands: &mut [Errand],
    faults: &mut Vec<(Kind, FaultRule)>,
) {
    let crashes = disturbances.iter().filter(|disturbance| disturbance.target == Target::DatabaseCrash);
    let mut patient =
        errands.iter_mut().filter(|errand| errand.seats.iter().all(|seat| *seat >= FIRST_OWN_SEAT));
    for crash in crashes {
        let Some(errand) = patient.nth(random.random_range(0..4)) else {
            return;
        };
        errand.start = crash.at.saturating_sub(between(random, 20, 90));
        errand.twin = Some(between(random, 4, 16));
        errand.hang_up = None;
        let late = Action::Stall { ms: stall_ms(random, CallName::Reserve), effect: Moment::Before };
        faults.insert(0, (Kind::AnswerLate, FaultRule::on(CallName::Reserve, late).user(errand.user_id)));
    }
}

/// Kills, crashes, restarts and cuts, spread over the run.
pub(super) fn of_processes(random: &mut StdRng, orders: usize, duration: Duration) -> Vec<Disturbance> {
    let count = (orders * PER_FULL_RUN / FULL_RUN).max(2);
    let mut all = Vec::new();
    let mut spread =
        |random: &mut StdRng, count: usize, down_ms: (u64, u64), target: &dyn Fn(usize) -> Target| {
            let step = duration / count as u32;
            for n in 0..count {
                let at = step * n as u32 + between(random, 0, step.as_millis() as u64);
                all.push(Disturbance { at, target: target(n), down: between(random, down_ms.0, down_ms.1) });
            }
        };
    spread(random, count, (20, 700), &|n| Target::Host(n % 2));
    spread(random, count, (0, 250), &|_| Target::DatabaseCrash);
    spread(random, count, (0, 250), &|_| Target::DatabaseRestart);
    // A database that has just started has no connections to cut.
    spread(random, count + count / 6, (0, 0), &|_| Target::Connections);
    for peer in [Peer::Catalog, Peer::Seating, Peer::Payment, Peer::Notification] {
        spread(random, count, (80, 500), &|_| Target::Peer(peer));
    }
    all.sort_by_key(|disturbance| disturbance.at);
    all
}
