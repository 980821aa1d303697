//! The fault schedule: faults of calls to peers, of callbacks, and of processes.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::workload::{Buyer, Scenario};
use super::{FIRST_OWN_SEAT, Injection, ProcessFault, Target, between, calls_back, percent, weighted};
use crate::peers::{Action, CallName, CallbackFault, CallbackRule, FaultRule, Matching, Moment, Page, Peer};

/// Number of faults of each kind of process in a run of [`FULL_RUN`] orders: a little more than the fifty that a whole
/// campaign must inject.
const PER_FULL_RUN: usize = 57;
/// The number of orders of a whole campaign.
pub(super) const FULL_RUN: usize = 2_000;

/// Number of long snapshots in a run of [`FULL_RUN`] orders.
const SNAPSHOTS_PER_FULL_RUN: usize = 8;

/// Calls with faults, by weight. Calls that fewer orders make have a higher weight.
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

/// Faults of single calls. Each rule matches one user, and so that user's orders.
pub(super) fn call_faults_of(
    random: &mut StdRng,
    buyers: &[Buyer],
    orders: usize,
) -> Vec<(Injection, FaultRule)> {
    let mut faults = Vec::new();
    for buyer in buyers {
        // Most users have one or two, some none, and some so many that the service retries for long.
        let count = weighted(random, &[(15, 0), (40, 1), (34, 2), (9, 4), (2, 7)]);
        for _ in 0..count {
            let call = weighted(random, &CALLS);
            let (kind, action) = action(random, call);
            let after = weighted(random, &[(80, 0), (14, 1), (6, 2)]);
            faults.push((kind, FaultRule::on(call, action).user(buyer.user_id).after(after)));
        }
    }
    // Few orders are refunded, so many rules are needed.
    for buyer in buyers {
        if percent(random, 45) {
            let rule = FaultRule::on(CallName::Refund, Action::Refuse).user(buyer.user_id);
            faults.push((Injection::RefundRefused, rule));
        }
    }
    // Calls to Catalog have no user, so these rules match by count.
    for n in 0..orders / 12 {
        let (kind, action) = action(random, CallName::Event);
        let after = (n * 6) as u64 + random.random_range(0..6);
        faults.push((kind, FaultRule::on(CallName::Event, action).after(after)));
    }
    faults
}

fn action(random: &mut StdRng, call: CallName) -> (Injection, Action) {
    let injection = [
        (16, Injection::RequestLost),
        (18, Injection::AnswerLost),
        (11, Injection::FailedBefore),
        (11, Injection::FailedAfter),
        (12, Injection::BadGateway),
        (12, Injection::GatewayNotFound),
        (12, Injection::GatewayUnavailable),
        (12, Injection::GatewayNotFoundLate),
        (12, Injection::GatewayUnavailableLate),
        (13, Injection::Garbage),
        (9, Injection::AnswerLate),
        (11, Injection::EffectLate),
    ];
    let kind = match call {
        CallName::Allocate if percent(random, 38) => Injection::SeatsRefused,
        CallName::Reserve if percent(random, 20) => Injection::SeatsRefused,
        _ => weighted(random, &injection),
    };
    let page = "<html><body>Bad gateway</body></html>";
    let action = match kind {
        Injection::RequestLost => Action::LoseRequest,
        Injection::AnswerLost => Action::LoseAnswer,
        Injection::FailedBefore => Action::Fail { status: 500, body: None },
        Injection::FailedAfter => garbage(500, r#"{"error":"made to fail"}"#, "application/json", true),
        Injection::BadGateway => garbage(502, page, "text/html", random.random_bool(0.5)),
        Injection::GatewayNotFound => Action::gateway(404, gateway_page(random)),
        Injection::GatewayUnavailable => Action::gateway(503, gateway_page(random)),
        Injection::GatewayNotFoundLate => late_effect(random, 404),
        Injection::GatewayUnavailableLate => late_effect(random, 503),
        Injection::Garbage => garbage(200, r#"{"id":17,"truth":"#, "application/json", true),
        Injection::AnswerLate => Action::Stall { ms: stall_ms(random, call), effect: Moment::Before },
        Injection::EffectLate => Action::Stall { ms: stall_ms(random, call), effect: Moment::After },
        _ => Action::Refuse,
    };
    (kind, action)
}

/// A gateway answers, and the call does its work within the ten seconds in which a request may take effect.
fn late_effect(random: &mut StdRng, status: u16) -> Action {
    Action::late_effect(status, gateway_page(random), random.random_range(300..6_000))
}

/// A gateway's page, or what a framework says of a path that it does not have.
fn gateway_page(random: &mut StdRng) -> Page {
    weighted(random, &[(5, Page::Html), (2, Page::Spring), (2, Page::Nest), (1, Page::Empty)])
}

fn garbage(status: u16, body: &str, content_type: &str, effect: bool) -> Action {
    Action::Garbage { body: body.into(), content_type: content_type.into(), status, effect }
}

/// Longer than the service's deadline for this call, shorter than the ten seconds within which a request may take effect.
fn stall_ms(random: &mut StdRng, call: CallName) -> u64 {
    match call {
        CallName::Charge | CallName::Payment | CallName::Refund => random.random_range(8_200..9_500),
        CallName::Notify | CallName::Event => random.random_range(2_200..3_500),
        _ => random.random_range(3_200..4_500),
    }
}

/// Faults of the callbacks that Payment sends during a charge.
pub(super) fn callback_faults_of(random: &mut StdRng, buyers: &[Buyer]) -> Vec<(Injection, CallbackRule)> {
    let mut faults = Vec::new();
    for buyer in buyers.iter().filter(|buyer| calls_back(buyer.mode)) {
        let (kind, fault) = match random.random_range(0..100) {
            0..10 => (Injection::CallbackDropped, CallbackFault::Drop),
            10..20 => (Injection::CallbackDelayed, CallbackFault::Delay(random.random_range(100..4_000))),
            20..30 => (Injection::CallbackRepeated, CallbackFault::Repeat(random.random_range(2..=4))),
            30..46 => {
                let status = weighted(random, &[400, 402, 404, 409, 503].map(|status| (1, status)));
                (
                    Injection::CallbackEchoed,
                    CallbackFault::Gateway { status, arrives: random.random_bool(0.5) },
                )
            }
            _ => continue,
        };
        let only = Matching { user_id: Some(buyer.user_id), ..Matching::default() };
        faults.push((kind, CallbackRule { only, fault }));
    }
    faults
}

/// Durability: places some orders right before PostgreSQL crashes, while Seating is slow and a duplicate request is in
/// flight. Whatever was acknowledged by then must survive.
pub(super) fn place_before_crashes(
    random: &mut StdRng,
    process_faults: &[ProcessFault],
    scenarios: &mut [Scenario],
    faults: &mut Vec<(Injection, FaultRule)>,
) {
    let crashes = process_faults.iter().filter(|fault| fault.target == Target::DatabaseCrash);
    let mut uncontended =
        scenarios.iter_mut().filter(|scenario| scenario.seats.iter().all(|seat| *seat >= FIRST_OWN_SEAT));
    for crash in crashes {
        let Some(scenario) = uncontended.nth(random.random_range(0..4)) else {
            return;
        };
        scenario.start = crash.at.saturating_sub(between(random, 20, 90));
        scenario.duplicate = Some(between(random, 4, 16));
        scenario.disconnect = None;
        let late = Action::Stall { ms: stall_ms(random, CallName::Reserve), effect: Moment::Before };
        faults.insert(
            0,
            (Injection::AnswerLate, FaultRule::on(CallName::Reserve, late).user(scenario.user_id)),
        );
    }
}

/// Process faults, spread evenly over the run with jitter.
pub(super) fn process_faults_of(random: &mut StdRng, orders: usize, duration: Duration) -> Vec<ProcessFault> {
    let count = (orders * PER_FULL_RUN / FULL_RUN).max(2);
    let mut all = Vec::new();
    let mut spread =
        |random: &mut StdRng, count: usize, down_ms: (u64, u64), target: &dyn Fn(usize) -> Target| {
            let step = duration / count as u32;
            for n in 0..count {
                let at = step * n as u32 + between(random, 0, step.as_millis() as u64);
                all.push(ProcessFault { at, target: target(n), down: between(random, down_ms.0, down_ms.1) });
            }
        };
    spread(random, count, (20, 700), &|n| Target::Host(n % 2));
    spread(random, count, (0, 250), &|_| Target::DatabaseCrash);
    spread(random, count, (0, 250), &|_| Target::DatabaseRestart);
    // A database that has just started has no connections to cut.
    spread(random, count + count / 6, (0, 0), &|_| Target::Connections);
    for peer in [Peer::Catalog, Peer::Seating, Peer::Payment, Peer::Notification, Peer::Events] {
        spread(random, count, (80, 500), &|_| Target::Peer(peer));
    }
    // Once, somewhere in the middle.
    let at = duration / 4 + between(random, 0, duration.as_millis() as u64 / 2);
    all.push(ProcessFault { at, target: Target::Failover, down: Duration::ZERO });
    for fault in &mut all {
        if fault.target.is_of_database() {
            fault.at = around_quiet_time(fault.at, duration);
        }
    }
    all.sort_by_key(|fault| fault.at);
    all
}

/// For so long in the middle of the run nothing happens to the database, whose every fault ends all sessions.
fn quiet_for(duration: Duration) -> Duration {
    duration / 4
}

/// The time of a fault of the database that is planned without regard to the quiet time.
fn around_quiet_time(at: Duration, duration: Duration) -> Duration {
    let quiet = quiet_for(duration);
    let (busy, begin) = (duration - quiet, (duration - quiet) / 2);
    let at = at.mul_f64(busy.as_secs_f64() / duration.as_secs_f64());
    if at < begin { at } else { at + quiet }
}

/// Snapshots that are held until the quiet time is over, most of it.
pub(super) fn long_snapshots_of(random: &mut StdRng, orders: usize, duration: Duration) -> Vec<ProcessFault> {
    let quiet = quiet_for(duration);
    let snapshot = |n: usize| {
        // Faults of the database that are late have a tenth of it to come to an end.
        let late = quiet / 10 + quiet.mul_f64(random.random_range(0.0..0.2));
        let at = (duration - quiet) / 2 + late;
        ProcessFault { at, target: Target::LongSnapshot(n), down: quiet - late - quiet / 20 }
    };
    let count = (orders * SNAPSHOTS_PER_FULL_RUN / FULL_RUN).max(1);
    (0..count).map(snapshot).collect()
}
