//! Traces: all requests about an order belong to one, and a collector of spans fails now and then. It must never be in the way.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::testbed::Testbed;
use crate::collector::Behaviour;

/// Of so many orders the trace of one is sampled.
const SAMPLED_EVERY: u128 = 10;
/// How long the collector behaves in one way.
const PERIOD: Duration = Duration::from_millis(1_500);

/// The trace of all requests about the order with this idempotency key.
pub fn trace_id(key: &str) -> String {
    format!("{:032x}", (0xc4a05 << 100) | number(key))
}

/// A `traceparent` of a request about the order with this idempotency key.
pub fn traceparent(key: &str) -> String {
    let flags = u8::from(number(key).is_multiple_of(SAMPLED_EVERY));
    format!("00-{}-{:016x}-{flags:02x}", trace_id(key), rand::rng().random_range(1..u64::MAX))
}

fn number(key: &str) -> u128 {
    let number = key.rsplit('-').next().and_then(|number| u128::from_str_radix(number, 16).ok());
    number.unwrap_or_default()
}

/// Has the collector fail now and then, until this future is dropped.
pub async fn break_collector(testbed: Arc<Testbed>) {
    let asks_for_time = Behaviour { retry_after: Some(1), ..Behaviour::status(503) };
    let stalls = Behaviour { delay: Duration::from_secs(15), ..asks_for_time };
    for behaviour in [Behaviour::status(200), asks_for_time, stalls, Behaviour::status(400)].iter().cycle() {
        testbed.collector.behave(*behaviour);
        tokio::time::sleep(PERIOD).await;
    }
}
