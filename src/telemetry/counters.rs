//! Counters of the instance's work, kept in memory until they are flushed to the database.
//!
//! An instance lives for 128 requests at most and a scrape reaches any one of many, so the counters are added to a small table
//! within a second, and any instance then answers `/metrics` for all. What could not be flushed is kept, and flushed again under the
//! same id, because it may have been counted. A trap or a kill loses the last second, or what was kept.

use crate::runtime::task::{self, take_busy_seconds};
use http::StatusCode;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::Instant;
use uuid::Uuid;

thread_local! {
    // A few dozen at most, so a list is as fast as a map.
    static COUNTERS: RefCell<Vec<(Counter, f64)>> = const { RefCell::new(Vec::new()) };
    /// Batches that could not be flushed, the oldest first: one or two.
    static FAILED: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
}

/// Counts that are flushed together.
#[derive(Debug)]
pub struct Batch {
    /// The idempotency key of the flush.
    pub id: Uuid,
    /// A list of objects with name, label and value.
    pub counts: Value,
    /// How many requests it counts.
    requests: f64,
    /// When its first flush failed.
    failed_at: Option<Instant>,
}

impl Batch {
    /// Whether it was flushed before, without success.
    pub fn is_repeated(&self) -> bool {
        self.failed_at.is_some()
    }
}

/// Requests answered, by route and status code.
pub const REQUESTS: &str = "requests";
/// Seconds that requests took, summed, by route.
pub const REQUEST_SECONDS: &str = "request_seconds";
/// Calls of peers, by call and outcome.
pub const PEER_CALLS: &str = "peer_calls";
/// CPU seconds of the guest, sampled.
pub const BUSY_SECONDS: &str = "busy_seconds";

/// A counter with its labels, each of a small closed set, so that neither a client nor a peer can make new series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counter {
    /// A request answered.
    Request {
        /// Its route, as in the router's table.
        route: &'static str,
        /// The answer's status code: one of those that the service has.
        status: StatusCode,
    },
    /// Seconds that a request took.
    RequestSeconds {
        /// Its route.
        route: &'static str,
    },
    /// A call of a peer.
    PeerCall {
        /// Peer and operation, as `seating.reserve`.
        call: &'static str,
        /// The class of the answer's status; none when there was no answer.
        class: Option<StatusClass>,
    },
}

/// The class of a peer's status code, as `2xx`. A peer may answer with any of a thousand codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusClass(&'static str);

impl From<StatusCode> for StatusClass {
    fn from(status: StatusCode) -> Self {
        Self(match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        })
    }
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::Request { .. } => REQUESTS,
            Self::RequestSeconds { .. } => REQUEST_SECONDS,
            Self::PeerCall { .. } => PEER_CALLS,
        }
    }

    /// The labels in the Prometheus text format.
    fn label(self) -> String {
        match self {
            Self::Request { route, status } => {
                format!("route=\"{route}\",status=\"{}\"", status.as_str())
            }
            Self::RequestSeconds { route } => format!("route=\"{route}\""),
            Self::PeerCall { call, class: Some(class) } => {
                format!("call=\"{call}\",outcome=\"{}\"", class.0)
            }
            Self::PeerCall { call, class: None } => format!("call=\"{call}\",outcome=\"none\""),
        }
    }
}

/// Adds to a counter.
pub fn add(counter: Counter, value: f64) {
    COUNTERS.with_borrow_mut(|counters| match counters.iter_mut().find(|(other, _)| *other == counter) {
        Some((_, sum)) => *sum += value,
        None => counters.push((counter, value)),
    });
}

/// Takes the oldest batch that could not be flushed, else all that was counted since; none when there is nothing to flush.
pub fn take_batch() -> Option<Batch> {
    if let Some(failed) = FAILED.with_borrow_mut(|failed| (!failed.is_empty()).then(|| failed.remove(0))) {
        return Some(failed);
    }
    let counters = COUNTERS.take();
    if counters.is_empty() {
        return None;
    }
    let requests = requests_of(&counters);
    let mut counts: Vec<Value> = counters
        .into_iter()
        .map(|(counter, value)| json!({ "name": counter.name(), "label": counter.label(), "value": value }))
        .collect();
    counts.push(json!({ "name": BUSY_SECONDS, "label": "", "value": take_busy_seconds() }));
    Some(Batch { id: Uuid::now_v7(), counts: Value::Array(counts), requests, failed_at: None })
}

/// Keeps a batch that could not be flushed, or may not have been.
pub fn keep(mut batch: Batch) {
    batch.failed_at.get_or_insert_with(task::now);
    FAILED.with_borrow_mut(|failed| {
        failed.push(batch);
        failed.sort_by_key(|batch| batch.failed_at);
    });
}

/// Since when flushes fail: the first failure of the oldest batch that is kept.
pub fn failing_since() -> Option<Instant> {
    FAILED.with_borrow(|failed| failed.first().and_then(|batch| batch.failed_at))
}

/// Drops everything that waits to be flushed, and returns how many requests it counted.
pub fn discard() -> f64 {
    let failed: f64 = FAILED.take().iter().map(|batch| batch.requests).sum();
    failed + requests_of(&COUNTERS.take())
}

fn requests_of(counters: &[(Counter, f64)]) -> f64 {
    let requests = counters.iter().filter(|(counter, _)| matches!(counter, Counter::Request { .. }));
    requests.map(|(_, value)| value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_same_are_summed_and_taken_once() {
        let route = "/v1/orders";
        add(Counter::Request { route, status: StatusCode::CREATED }, 1.0);
        add(Counter::Request { route, status: StatusCode::CONFLICT }, 1.0);
        add(Counter::Request { route, status: StatusCode::CREATED }, 1.0);
        add(Counter::PeerCall { call: "seating.reserve", class: None }, 1.0);
        for status in [StatusCode::OK, StatusCode::CREATED] {
            add(Counter::PeerCall { call: "seating.reserve", class: Some(status.into()) }, 1.0);
        }
        let expected = json!([
            { "name": "requests", "label": "route=\"/v1/orders\",status=\"201\"", "value": 2.0 },
            { "name": "requests", "label": "route=\"/v1/orders\",status=\"409\"", "value": 1.0 },
            { "name": "peer_calls", "label": "call=\"seating.reserve\",outcome=\"none\"", "value": 1.0 },
            { "name": "peer_calls", "label": "call=\"seating.reserve\",outcome=\"2xx\"", "value": 2.0 },
            { "name": "busy_seconds", "label": "", "value": 0.0 },
        ]);
        let batch = take_batch().expect("it was counted");
        assert_eq!((&batch.counts, batch.is_repeated()), (&expected, false));
        assert!(take_batch().is_none());

        // What could not be flushed comes first and as it was, and then what was counted since.
        let id = batch.id;
        keep(batch);
        add(Counter::Request { route, status: StatusCode::SERVICE_UNAVAILABLE }, 2.0);
        let repeated = take_batch().expect("it was kept");
        assert_eq!((repeated.id, &repeated.counts, repeated.is_repeated()), (id, &expected, true));
        assert_eq!(failing_since(), None);
        let newer = take_batch().expect("it was counted since");
        assert!(newer.id != id && !newer.is_repeated());
        keep(repeated);
        keep(newer);
        add(Counter::Request { route, status: StatusCode::OK }, 1.0);
        assert!(failing_since().is_some());
        assert_eq!(discard(), 6.0);
        assert!(take_batch().is_none() && failing_since().is_none());
    }
}
