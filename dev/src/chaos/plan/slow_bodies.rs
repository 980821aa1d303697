//! Clients that send a request's body slowly, or a half of it.

use std::time::Duration;

use rand::rngs::StdRng;

use super::workload::Scenario;
use super::{between, percent};

/// How the body of a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowBody {
    /// In pieces, over this time.
    Trickle(Duration),
    /// Its first half, and then nothing more.
    Half,
}

/// How long before the end of a long run a body begins at the latest, so that all of it falls into the run.
const BEFORE_THE_END: Duration = Duration::from_secs(12);

/// Lets some first requests have slow bodies: of those that are neither hung up nor sent twice.
pub(super) fn slow_down(random: &mut StdRng, scenarios: &mut [Scenario], duration: Duration) {
    for scenario in scenarios {
        let early = scenario.start + BEFORE_THE_END <= duration.max(BEFORE_THE_END * 2);
        let plain = scenario.disconnect.is_none() && scenario.duplicate.is_none();
        if early && plain && percent(random, 15) {
            // Mostly shorter than the ten seconds that a body may take.
            let slow = SlowBody::Trickle(between(random, 500, 12_000));
            scenario.slow_body = Some(if percent(random, 50) { SlowBody::Half } else { slow });
        }
    }
}
