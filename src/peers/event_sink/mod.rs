//! Sinks of events: an HTTP endpoint, a Kafka REST proxy, an MQTT broker behind a component of its own. Each may be slow or away for days,
//! and nothing waits for it.

mod http_endpoint;
mod kafka;
mod mqtt;

use super::CallFailure;
use crate::config::Config;
use crate::domain::event::{Delivery, Sink};
use ::http::StatusCode;
use std::time::{Duration, Instant};

/// Deadline of a call, in milliseconds.
const DEADLINE_MS: u64 = 5_000;
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
    fn of(failure: CallFailure) -> Self {
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

/// Sends orders' events to a sink, those of an order one after the other: the next one only when the one before was taken. What it took of
/// each, in the same order. Stops when the sink takes nothing.
pub async fn send(config: &Config, sink: Sink, deliveries: &[Delivery]) -> Vec<Taken> {
    match (sink, &config.events.http, &config.events.kafka, &config.events.mqtt) {
        (Sink::Http, Some(endpoint), _, _) => http_endpoint::send(endpoint, deliveries).await,
        (Sink::Kafka, _, Some(proxy), _) => kafka::send(proxy, deliveries).await,
        (Sink::Mqtt, _, _, Some(topic)) => mqtt::send(topic, deliveries).await,
        // Nobody claims for a sink that is not configured.
        _ => deliveries.iter().map(|_| Taken::default()).collect(),
    }
}

/// Until when calls may begin.
fn end_of_budget() -> Instant {
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
