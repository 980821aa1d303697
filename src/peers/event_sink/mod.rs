//! Sinks of events: an HTTP endpoint, a Kafka REST proxy, an MQTT broker behind a component of its own. Each may be slow or away for days,
//! and nothing waits for it.

mod http_endpoint;
pub mod kafka;
pub mod mqtt;
mod taken;

use crate::config::Config;
use crate::domain::event::{Delivery, Sink};

pub use taken::{Fault, LEASE_MS, NotTaken, Taken};

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
