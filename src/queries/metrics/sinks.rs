//! Metrics of the sinks of events.

use super::page::{Kind, Page, number};
use serde_json::Value;

/// The metrics, by the member of the summary that each shows.
const METRICS: [(&str, &str, &str); 4] = [
    (
        "waiting",
        "order_service_events_waiting_orders",
        "Orders with events that a sink has not taken yet (counted up to 10000).",
    ),
    (
        "dead",
        "order_service_events_dead_orders",
        "Orders whose next event a sink has refused to the last attempt (counted up to 10000).",
    ),
    (
        "due_seconds",
        "order_service_events_oldest_due_seconds",
        "Seconds for which the longest due event of a sink has been due; 0 when none is.",
    ),
    (
        "off",
        "order_service_events_sink_off",
        "Whether a sink of events is switched off, because it said that it wants no more (1), or not (0).",
    ),
];

/// Writes the metrics of each sink.
pub fn sinks(page: &mut Page, totals: &Value) {
    for (member, name, help) in METRICS {
        page.metric(name, Kind::Gauge, help);
        for sink in totals["sinks"].as_array().into_iter().flatten() {
            let label = format!("sink=\"{}\"", sink["sink"].as_str().unwrap_or_default());
            page.sample(name, label, number(&sink[member]));
        }
    }
}
