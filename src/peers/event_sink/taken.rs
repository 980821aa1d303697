//! What came of sending events to a sink, and the time that there is for it.

use super::super::CallFailure;
use ::http::StatusCode;
use futures::channel::mpsc::UnboundedSender;
use std::time::{Duration, Instant};

/// Deadline of a call, in milliseconds.
pub const DEADLINE_MS: u64 = 5_000;
/// The MQTT publisher answers within ten seconds: deadline of a call of it, in milliseconds. The longest of all.
pub const PUBLISHER_DEADLINE_MS: u64 = 12_000;
/// Time budget for sending what was claimed at once, in milliseconds: no call is begun after it.
const BUDGET_MS: u64 = 15_000;
/// For how long claimed events must be leased, in milliseconds: the longest try, and ten seconds for the claim and for storing what came of it.
pub const LEASE_MS: u64 = BUDGET_MS + PUBLISHER_DEADLINE_MS + 10_000;

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

/// Where it is told what a sink took of an order: its place in what was to be sent.
pub type Done = UnboundedSender<(usize, Taken)>;

/// Why a sink did not take an event.
#[derive(Debug)]
pub struct NotTaken {
    /// For logs and operators; no data of the event.
    pub reason: String,
    /// Whose fault it is.
    pub fault: Fault,
    /// How long the sink asks to be left alone, in milliseconds; 0: it does not ask.
    pub retry_after_ms: u64,
}

/// Whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is about this event.
    Event,
    /// The sink did not answer, or is at fault itself, as far as it says, or is not there or lets nobody in, as with a wrong URL. That may
    /// still be about this event alone: see who takes others.
    Sink,
    /// The sink, or what is before it, says that it cannot take anything now. Never the event's fault.
    Busy,
    /// The sink wants no more events (410, Standard Webhooks).
    Gone,
}

impl NotTaken {
    /// The failure of a call that the sink itself answered, or nobody.
    pub fn of(failure: CallFailure) -> Self {
        let fault = failure.status.map_or(Fault::Sink, |status| fault(status, failure.retry_after.is_some()));
        Self { fault, retry_after_ms: failure.retry_after_ms().unwrap_or_default(), reason: failure.reason }
    }
}

/// What a status says of an event that was not taken, with `Retry-After` or without. A success is that of somebody else, whose answer is not
/// the sink's. A proxy says 502, 503 or 504 also of an endpoint that ends with one event.
fn fault(status: StatusCode, asks_to_wait: bool) -> Fault {
    match status {
        StatusCode::GONE => Fault::Gone,
        StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Fault::Busy,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
            if asks_to_wait =>
        {
            Fault::Busy
        }
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        | StatusCode::REQUEST_TIMEOUT => Fault::Sink,
        status if status.is_server_error() || status.is_redirection() || status.is_success() => Fault::Sink,
        _ => Fault::Event,
    }
}

/// Until when calls may begin.
pub fn end_of_budget() -> Instant {
    crate::runtime::task::now() + Duration::from_millis(BUDGET_MS)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::domain::event::{Delivery, Event};
    use crate::domain::ids::OrderId;
    use uuid::Uuid;

    /// So many orders with two events each.
    pub fn deliveries(count: u128) -> Vec<Delivery> {
        let event = |order: u128, sequence: usize| {
            Event::parse(&format!(
                r#"{{"id":"{order}.{sequence}","source":"s","type":"t","subject":"{order}","time":"t","sequence":"{sequence}","data":{{}}}}"#
            ))
        };
        let delivery = |order| Delivery {
            order_id: OrderId(Uuid::from_u128(order)),
            trace: None,
            lease: 1,
            attempts: 0,
            events: vec![event(order, 1).unwrap(), event(order, 2).unwrap()],
        };
        (0..count).map(delivery).collect()
    }

    #[test]
    fn a_status_tells_whether_the_sink_or_the_event_is_at_fault() {
        for (status, expected) in [
            (400, Fault::Event),
            (401, Fault::Sink),
            (403, Fault::Sink),
            (404, Fault::Sink),
            (405, Fault::Sink),
            (408, Fault::Sink),
            (425, Fault::Busy),
            (410, Fault::Gone),
            (422, Fault::Event),
            (429, Fault::Busy),
            (500, Fault::Sink),
            (502, Fault::Sink),
            (503, Fault::Sink),
            (504, Fault::Sink),
            (302, Fault::Sink),
            (200, Fault::Sink),
        ] {
            assert_eq!(fault(StatusCode::from_u16(status).unwrap(), false), expected, "{status}");
        }
        for status in [502, 503, 504] {
            assert_eq!(fault(StatusCode::from_u16(status).unwrap(), true), Fault::Busy, "{status}");
        }
        assert_eq!(NotTaken::of(CallFailure::from("no answer".to_owned())).fault, Fault::Sink);
    }
}
