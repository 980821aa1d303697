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
    /// Whose fault it is.
    pub fault: Fault,
    /// How long the sink asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is about this event.
    Event,
    /// The sink did not answer, or is at fault itself, as far as it says. That may still be about this event alone: see who takes others.
    Sink,
    /// The sink, or what is before it, says that it cannot take anything now. Never the event's fault.
    Busy,
    /// The sink wants no more events (410, Standard Webhooks).
    Gone,
}

impl NotTaken {
    /// The failure of a call that the sink itself answered, or nobody.
    pub fn of(failure: CallFailure) -> Self {
        let fault = failure.status.map_or(Fault::Sink, fault);
        Self { reason: failure.reason, fault, retry_after: failure.retry_after }
    }
}

/// What a status that is not 2xx says.
fn fault(status: StatusCode) -> Fault {
    match status {
        StatusCode::GONE => Fault::Gone,
        StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Fault::Busy,
        StatusCode::REQUEST_TIMEOUT => Fault::Sink,
        status if status.is_server_error() => Fault::Sink,
        _ => Fault::Event,
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
            (400, Fault::Event),
            (404, Fault::Event),
            (408, Fault::Sink),
            (425, Fault::Busy),
            (410, Fault::Gone),
            (422, Fault::Event),
            (429, Fault::Busy),
            (500, Fault::Sink),
            (502, Fault::Busy),
            (503, Fault::Busy),
            (504, Fault::Busy),
            (302, Fault::Event),
        ] {
            assert_eq!(fault(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
        assert_eq!(NotTaken::of(CallFailure::from("no answer".to_owned())).fault, Fault::Sink);
    }
}
