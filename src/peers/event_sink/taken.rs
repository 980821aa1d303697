//! What came of sending events to a sink, and the time that there is for it.

use super::super::CallFailure;
use ::http::StatusCode;
use std::time::{Duration, Instant};

/// Deadline of a call, in milliseconds.
pub const DEADLINE_MS: u64 = 5_000;
/// Time budget for sending what was claimed at once: no call is begun after it.
const BUDGET: Duration = Duration::from_secs(15);
/// For how long claimed events must be leased, in milliseconds.
pub const LEASE_MS: u64 = 15_000 + DEADLINE_MS + 10_000;

/// What a sink took of an order's events.
#[derive(Debug, Default)]
pub struct Taken {
    /// How many, from the first one on.
    pub delivered: usize,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why it did not take the next one; `None` when it took all, or was not asked to.
    pub failure: Option<NotTaken>,
}

/// Why a sink did not take an event.
#[derive(Debug)]
pub struct NotTaken {
    /// For logs and operators; no data of the event.
    pub reason: String,
    /// What it says of the sink.
    pub kind: Kind,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What a failure says of the sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It may be about this event alone.
    Event,
    /// The sink did not answer, or said that it cannot take anything now.
    Sink,
    /// The sink wants no more events (410, Standard Webhooks).
    Gone,
}

impl NotTaken {
    /// The failure of a call that the sink itself answered, or nobody.
    pub fn of(failure: CallFailure) -> Self {
        let kind = failure.status.map_or(Kind::Sink, kind);
        Self { reason: failure.reason, kind, retry_after: failure.retry_after }
    }
}

/// What a status that is not 2xx says.
fn kind(status: StatusCode) -> Kind {
    match status {
        StatusCode::GONE => Kind::Gone,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Kind::Sink,
        _ => Kind::Event,
    }
}

/// Until when calls may begin.
pub fn end_of_budget() -> Instant {
    crate::runtime::task::now() + BUDGET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_whether_the_sink_or_the_event_is_at_fault() {
        for (status, expected) in [
            (400, Kind::Event),
            (404, Kind::Event),
            (410, Kind::Gone),
            (422, Kind::Event),
            (429, Kind::Sink),
            (500, Kind::Event),
            (502, Kind::Sink),
            (503, Kind::Sink),
            (504, Kind::Sink),
            (302, Kind::Event),
        ] {
            assert_eq!(kind(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
        assert_eq!(NotTaken::of(CallFailure::from("no answer".to_owned())).kind, Kind::Sink);
    }
}
