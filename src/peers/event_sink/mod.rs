//! Sinks of events: an HTTP endpoint, a Kafka REST proxy, an MQTT broker behind a component of its own. Each may be slow or away for days,
//! and nothing waits for it.

mod http_endpoint;
pub mod kafka;
pub mod mqtt;
mod taken;

use crate::config::Config;
use crate::domain::event::{Delivery, Sink};
use std::time::Instant;

pub use taken::{Done, Fault, LEASE_MS, NotTaken, Taken, end_of_budget};

/// Sends orders' events to a sink, those of an order one after the other: the next one only when the one before was taken. Tells `done` what
/// it took of each. Begins nothing after `end`, and stops when the sink takes nothing.
pub async fn send(config: &Config, sink: Sink, deliveries: &[Delivery], end: Instant, done: Done) {
    let taken = match (sink, &config.events.http, &config.events.kafka, &config.events.mqtt) {
        (Sink::Http, Some(endpoint), _, _) => {
            return http_endpoint::send(endpoint, deliveries, end, &done).await;
        }
        (Sink::Kafka, _, Some(proxy), _) => return kafka::send(proxy, deliveries, end, &done).await,
        (Sink::Mqtt, _, _, Some(topic)) => mqtt::send(topic, deliveries, end).await,
        // Nobody claims for a sink that is not configured.
        _ => deliveries.iter().map(|_| Taken::default()).collect(),
    };
    for told in taken.into_iter().enumerate() {
        let _ = done.unbounded_send(told);
    }
}
