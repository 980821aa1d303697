//! Faults of the sink of events.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::workload::Buyer;
use super::{Injection, ProcessFault, Target, between, percent, weighted};
use crate::peers::{Action, CallName, FaultRule, Moment, Page, Peer, RetryAfter};

/// How long the sink is away at the least, where that is more than a restart, in milliseconds.
pub const AWAY_MS: u64 = 1_500;

/// How often the sink is away for long, in a run of two thousand orders.
const AWAY_PER_FULL_RUN: usize = 8;

/// How often it wants no more events, in a run of two thousand orders.
const GONE_PER_FULL_RUN: usize = 10;

/// Faults of single calls: those about one user's orders.
pub(super) fn call_faults_of(random: &mut StdRng, buyers: &[Buyer]) -> Vec<(Injection, FaultRule)> {
    let mut faults = Vec::new();
    for buyer in buyers {
        let count = weighted(random, &[(35, 0), (40, 1), (18, 2), (7, 4)]);
        for _ in 0..count {
            let (kind, rule) = fault(random);
            let after = weighted(random, &[(60, 0), (20, 1), (12, 2), (8, 3)]);
            faults.push((kind, rule.user(buyer.user_id).after(after)));
        }
    }
    faults
}

fn fault(random: &mut StdRng) -> (Injection, FaultRule) {
    let on = |action| FaultRule::on(CallName::TakeEvent, action);
    let kind = weighted(
        random,
        &[
            (10, Injection::EventLost),
            (14, Injection::EventAnswerLost),
            (14, Injection::EventFailed),
            (14, Injection::EventRefused),
            (10, Injection::EventsBusy),
            (10, Injection::EventAnswerLate),
            (10, Injection::EventTakenLate),
            (10, Injection::EventBodyStalled),
        ],
    );
    let rule = match kind {
        Injection::EventLost => on(Action::LoseRequest),
        Injection::EventAnswerLost => on(Action::LoseAnswer),
        Injection::EventRefused => {
            on(Action::Fail { status: weighted(random, &status([400, 404, 409, 422])), body: None })
        }
        Injection::EventsBusy => {
            let seconds = random.random_range(1..=3);
            let retry_after = if random.random_bool(0.5) {
                RetryAfter::Seconds(seconds)
            } else {
                RetryAfter::Date(seconds as u32)
            };
            on(Action::Fail { status: weighted(random, &status([429, 503])), body: None })
                .retry_after(retry_after)
        }
        Injection::EventAnswerLate => on(Action::Stall { ms: late_ms(random), effect: Moment::Before }),
        Injection::EventTakenLate if percent(random, 50) => {
            on(Action::late_effect(504, Page::Html, random.random_range(300..6_000)))
        }
        Injection::EventTakenLate => on(Action::Stall { ms: late_ms(random), effect: Moment::After }),
        Injection::EventBodyStalled => on(Action::StallBody { ms: late_ms(random) }),
        _ => {
            let status = weighted(random, &status([500, 502, 504]));
            let effect_ms = random.random_bool(0.5).then_some(0);
            on(Action::Gateway { status, page: Page::Html, effect_ms })
        }
    };
    (kind, rule)
}

fn status<const N: usize>(all: [u16; N]) -> [(u32, u16); N] {
    all.map(|status| (1, status))
}

/// Longer than the service waits for a sink.
fn late_ms(random: &mut StdRng) -> u64 {
    random.random_range(5_200..6_500)
}

/// Times when the sink is away for longer than a restart takes, and when it wants no more events.
pub(super) fn outages_of(random: &mut StdRng, orders: usize, duration: Duration) -> Vec<ProcessFault> {
    let mut all = Vec::new();
    let mut spread = |per_full_run: usize, target: Target, down_ms: (u64, u64)| {
        let count = (orders * per_full_run / super::faults::FULL_RUN).max(1);
        let step = duration / count as u32;
        all.extend((0..count).map(|n| ProcessFault {
            at: step * n as u32 + between(random, 0, step.as_millis() as u64 / 2),
            target,
            down: between(random, down_ms.0, down_ms.1),
        }));
    };
    spread(AWAY_PER_FULL_RUN, Target::Peer(Peer::Events), (AWAY_MS, 2 * AWAY_MS));
    spread(GONE_PER_FULL_RUN, Target::EventsGone, (0, 0));
    all
}
