//! Counters of the instance's work, kept in memory until they are flushed to the database.
//!
//! An instance lives for 128 requests at most and a scrape reaches any one of many, so the counters are added to a small table
//! within a second, and any instance then answers `/metrics` for all. A trap or a kill loses the last second.

use crate::runtime::task::take_busy_seconds;
use http::StatusCode;
use serde_json::{Value, json};
use std::cell::RefCell;

thread_local! {
    // A few dozen at most, so a list is as fast as a map.
    static COUNTERS: RefCell<Vec<(Counter, f64)>> = const { RefCell::new(Vec::new()) };
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

/// Whether any counter waits to be flushed.
pub fn has_unflushed() -> bool {
    COUNTERS.with_borrow(|counters| !counters.is_empty())
}

/// Takes all counters for a flush, and resets them: a list of objects with name, label and value.
pub fn take_all() -> Value {
    let counters = COUNTERS.take().into_iter();
    let mut rows: Vec<Value> = counters
        .map(|(counter, value)| json!({ "name": counter.name(), "label": counter.label(), "value": value }))
        .collect();
    rows.push(json!({ "name": BUSY_SECONDS, "label": "", "value": take_busy_seconds() }));
    Value::Array(rows)
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
        assert_eq!(take_all(), expected);
        assert_eq!(take_all(), json!([{ "name": "busy_seconds", "label": "", "value": 0.0 }]));
    }
}
