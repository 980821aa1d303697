//! Metrics of the sinks of events.

use super::page::{Kind, Page, number};
use crate::config::events::Events;
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
        "Seconds for which the longest due event of a sink has been due, or for which the sink has failed while something waits; 0 when none is.",
    ),
    (
        "off",
        "order_service_events_sink_off",
        "Whether a sink of events is switched off, because it said that it wants no more (1), or not, or is not configured (0).",
    ),
];

/// Writes the metrics of each sink. One that is not configured is not off: nobody wants anything to be sent there.
pub fn sinks(page: &mut Page, totals: &Value, events: &Events) {
    let is_configured = |name: &str| events.sinks().any(|sink| sink.as_str() == name);
    for (member, metric, help) in METRICS {
        page.metric(metric, Kind::Gauge, help);
        for row in totals["sinks"].as_array().into_iter().flatten() {
            let name = row["sink"].as_str().unwrap_or_default();
            let counts = member != "off" || is_configured(name);
            let value = if counts { number(&row[member]) } else { 0.0 };
            page.sample(metric, format_args!("sink=\"{name}\""), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::events::Topic;
    use serde_json::json;

    #[test]
    fn a_sink_that_is_not_configured_is_not_off_and_what_waits_for_it_is_told() {
        let row = |sink: &str| json!({ "sink": sink, "waiting": 2, "dead": 1, "due_seconds": 5, "off": 1 });
        let topic = Topic::parse("orders");
        let events = Events { source: "urn:x".to_owned(), http: None, kafka: None, mqtt: topic };
        let mut page = Page(String::new());
        sinks(&mut page, &json!({ "sinks": [row("http"), row("mqtt")] }), &events);
        for line in [
            "order_service_events_sink_off{sink=\"http\"} 0",
            "order_service_events_sink_off{sink=\"mqtt\"} 1",
            "order_service_events_waiting_orders{sink=\"http\"} 2",
            "order_service_events_oldest_due_seconds{sink=\"http\"} 5",
            "order_service_events_dead_orders{sink=\"http\"} 1",
        ] {
            assert!(page.0.lines().any(|found| found == line), "{line} in {}", page.0);
        }
    }
}
