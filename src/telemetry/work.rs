//! Counts of the instance's work, kept until they are flushed to the database.
//!
//! An instance lives for 128 requests at most and a scrape reaches any one of many, so the counts go to a small table
//! within a second, and any instance then answers `/metrics` for all. Only a trap or a kill loses the last second.

use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

thread_local! {
    static COUNTS: RefCell<BTreeMap<(&'static str, String), f64>> = const { RefCell::new(BTreeMap::new()) };
    static BUSY_SECONDS: Cell<f64> = const { Cell::new(0.0) };
}

/// Requests answered, by route and status code.
pub const REQUESTS: &str = "requests";
/// Seconds that requests took, summed.
pub const REQUEST_SECONDS: &str = "request_seconds";
/// Calls of peers, by call and outcome.
pub const PEER_CALLS: &str = "peer_calls";
/// Seconds for which the guest computed.
pub const BUSY: &str = "busy_seconds";

/// Adds to a count; `label` is ready-made Prometheus label text, as `route="/health",status="200"`.
pub fn add(name: &'static str, label: String, value: f64) {
    COUNTS.with_borrow_mut(|counts| *counts.entry((name, label)).or_insert(0.0) += value);
}

/// Takes all counts, to be flushed: a list of objects with name, label and value.
pub fn take() -> Value {
    let counts = COUNTS.take().into_iter();
    let mut rows: Vec<Value> = counts
        .map(|((name, label), value)| json!({ "name": name, "label": label, "value": value }))
        .collect();
    rows.push(json!({ "name": BUSY, "label": "", "value": BUSY_SECONDS.replace(0.0) }));
    Value::Array(rows)
}

/// Adds to the seconds for which the guest computed: the time spent inside polls. A guest has one thread and never sleeps
/// inside a poll, so that this is its CPU time.
pub fn add_busy(time: Duration) {
    BUSY_SECONDS.set(BUSY_SECONDS.get() + time.as_secs_f64());
}
