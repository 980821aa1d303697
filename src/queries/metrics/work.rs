//! Metrics of the work of all instances, from the rows that they flush.

use super::histogram::Histograms;
use super::page::{Kind, Page, number};
use crate::db::{FAILURE_CLASSES, STATEMENTS};
use crate::peers::CALLS;
use crate::telemetry::series::{self, BOUNDS, INFINITY, OUTCOMES, STATEMENT_BOUNDS, SUM, Series};
use serde_json::Value;
use std::collections::BTreeMap;

/// Rows of versions that had no histograms. What they have counted goes on being counted.
const OLD_REQUESTS: &str = "requests";
const OLD_REQUEST_SECONDS: &str = "request_seconds";
const OLD_PEER_CALLS: &str = "peer_calls";

/// What all instances have counted, by labels as they are written.
pub struct Work {
    requests: BTreeMap<String, f64>,
    request_seconds: BTreeMap<String, f64>,
    calls: BTreeMap<String, f64>,
    failures: BTreeMap<String, f64>,
    request_durations: Histograms,
    call_durations: Histograms,
    statement_durations: Histograms,
    /// CPU seconds.
    pub busy_seconds: f64,
}

impl Work {
    /// What the rows say. Counts of small closed sets are there from the beginning, with zero: of a series that begins with one,
    /// `rate` never sees the first. `answers`: those to requests that are there.
    pub fn of(rows: &Value, answers: impl Iterator<Item = Series>) -> Self {
        let zeros = |labels: Vec<String>| labels.into_iter().map(|labels| (labels, 0.0)).collect();
        let calls = CALLS.iter().flat_map(|call| OUTCOMES.map(|outcome| call_and_outcome(call, outcome)));
        let mut work = Self {
            requests: BTreeMap::new(),
            request_seconds: BTreeMap::new(),
            calls: zeros(calls.collect()),
            failures: zeros(FAILURE_CLASSES.iter().map(|class| format!("class=\"{class}\"")).collect()),
            request_durations: Histograms::new(BOUNDS),
            call_durations: Histograms::new(BOUNDS),
            statement_durations: Histograms::new(STATEMENT_BOUNDS),
            busy_seconds: 0.0,
        };
        for call in CALLS {
            work.call_durations.prepare(format!("call=\"{call}\""));
        }
        let statements = STATEMENTS.into_iter().map(|name| Series::Statement { name });
        for series in answers.chain(statements) {
            for end in [INFINITY, SUM] {
                work.add(series.name(), &series.label(end), 0.0);
            }
        }
        for row in rows.as_array().into_iter().flatten() {
            let text = |member: &str| row[member].as_str().unwrap_or_default();
            work.add(text("name"), text("label"), number(&row["value"]));
        }
        work
    }

    /// Adds a row. One that this version does not know belongs to another one.
    fn add(&mut self, name: &str, label: &str, value: f64) {
        let parts: Vec<&str> = label.split(' ').collect();
        let is_sum = parts.last() == Some(&SUM);
        let count = |counts: &mut BTreeMap<String, f64>, labels: String| {
            *counts.entry(labels).or_default() += value;
        };
        match (name, &parts[..]) {
            (series::REQUESTS, [method, route, status, end]) => {
                if is_sum {
                    count(&mut self.request_seconds, format!("route=\"{route}\""));
                } else {
                    count(&mut self.requests, format!("route=\"{route}\",status=\"{status}\""));
                }
                let labels = format!("method=\"{method}\",uri=\"{route}\",status=\"{status}\"");
                self.request_durations.add(labels, end, value);
            }
            (series::PEER_CALLS, [call, outcome, end]) => {
                if !is_sum {
                    count(&mut self.calls, call_and_outcome(call, outcome));
                }
                self.call_durations.add(format!("call=\"{call}\""), end, value);
            }
            (series::STATEMENTS, [statement, end]) => {
                self.statement_durations.add(format!("statement=\"{statement}\""), end, value);
            }
            (series::STATEMENT_FAILURES, [class]) => count(&mut self.failures, format!("class=\"{class}\"")),
            (series::BUSY_SECONDS, _) => self.busy_seconds += value,
            (OLD_REQUESTS, _) => count(&mut self.requests, label.to_owned()),
            (OLD_REQUEST_SECONDS, _) => count(&mut self.request_seconds, label.to_owned()),
            (OLD_PEER_CALLS, _) => count(&mut self.calls, label.to_owned()),
            _ => {}
        }
    }

    /// Writes the metrics of requests, calls and statements.
    pub fn write(&self, page: &mut Page) {
        self.request_durations.write(
            page,
            "http_server_requests_seconds",
            "Seconds from the arrival of a request to its answer, in all instances of all copies, whichever one answers this scrape: over \
             several targets take the greatest, not the sum. uri is the route, none where there is no such route.",
        );
        counters(
            page,
            "order_service_http_requests_total",
            "HTTP requests answered by all instances, by route and status.",
            &self.requests,
        );
        counters(
            page,
            "order_service_http_request_seconds_total",
            "Seconds that HTTP requests took in all instances, by route.",
            &self.request_seconds,
        );
        counters(
            page,
            "order_service_peer_calls_total",
            "Calls of other services by all instances, by call and class of status (none: no answer).",
            &self.calls,
        );
        self.call_durations.write(
            page,
            "order_service_peer_call_seconds",
            "Seconds that calls of other services took in all instances, with those that were given up.",
        );
        self.statement_durations.write(
            page,
            "order_service_statement_seconds",
            "Seconds that attempts of statements took as all instances saw them: with the way to PostgreSQL and back, and the time until \
             the component was free to read the answer.",
        );
        counters(
            page,
            "order_service_statement_failures_total",
            "Attempts of statements that failed in all instances, or had no connection, by what is done about it: repeated at once \
             (conflict, unexpected), on another session (locked, read_only, session_lost), answered with 503 (unavailable) or 500 \
             (fault).",
            &self.failures,
        );
        page.single(
            "order_service_guest_busy_seconds_total",
            Kind::Counter,
            "Seconds for which the component computed, in all instances: the time spent inside polls of its own futures.",
            self.busy_seconds,
        );
    }
}

fn call_and_outcome(call: &str, outcome: &str) -> String {
    format!("call=\"{call}\",outcome=\"{outcome}\"")
}

fn counters(page: &mut Page, name: &str, help: &str, counts: &BTreeMap<String, f64>) {
    page.metric(name, Kind::Counter, help);
    for (labels, count) in counts {
        page.sample(name, labels, *count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::{Method, StatusCode};
    use serde_json::json;

    fn page(rows: &Value) -> String {
        let refused = Series::Request {
            method: (&Method::POST).into(),
            route: "/v1/orders",
            status: StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut page = Page(String::new());
        Work::of(rows, std::iter::once(refused)).write(&mut page);
        page.0
    }

    #[test]
    fn counts_of_closed_sets_begin_at_zero() {
        let page = page(&json!([]));
        for line in [
            "order_service_peer_calls_total{call=\"seating.reserve\",outcome=\"none\"} 0",
            "order_service_peer_call_seconds_count{call=\"payment.charge\"} 0",
            "order_service_statement_seconds_bucket{statement=\"insert_order\",le=\"0.001\"} 0",
            "order_service_statement_seconds_sum{statement=\"check_schema\"} 0",
            "order_service_http_requests_total{route=\"/v1/orders\",status=\"503\"} 0",
            "order_service_http_request_seconds_total{route=\"/v1/orders\"} 0",
            "http_server_requests_seconds_bucket{method=\"POST\",uri=\"/v1/orders\",status=\"503\",le=\"+Inf\"} 0",
            "http_server_requests_seconds_count{method=\"POST\",uri=\"/v1/orders\",status=\"503\"} 0",
            "order_service_statement_failures_total{class=\"session_lost\"} 0",
            "order_service_guest_busy_seconds_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
    }

    #[test]
    fn what_versions_without_histograms_have_counted_is_added() {
        let row =
            |name: &str, label: &str, value: f64| json!({ "name": name, "label": label, "value": value });
        let page = page(&json!([
            row("requests", "route=\"/v1/orders\",status=\"201\"", 7.0),
            row("request_seconds", "route=\"/v1/orders\"", 1.5),
            row("peer_calls", "call=\"seating.reserve\",outcome=\"2xx\"", 5.0),
            row("http", "POST /v1/orders 201 0.025", 2.0),
            row("http", "POST /v1/orders 201 sum", 0.25),
            row("peer", "seating.reserve 2xx 0.01", 1.0),
            row("peer", "seating.reserve none +Inf", 1.0),
            row("peer", "seating.reserve 2xx sum", 0.125),
            row("statement", "read_order 0.001", 3.0),
            row("statement", "made up label", 3.0),
            row("of_a_later_version", "x", 3.0),
            row("busy_seconds", "", 2.5),
        ]));
        for line in [
            "order_service_http_requests_total{route=\"/v1/orders\",status=\"201\"} 9",
            "order_service_http_request_seconds_total{route=\"/v1/orders\"} 1.75",
            "order_service_peer_calls_total{call=\"seating.reserve\",outcome=\"2xx\"} 6",
            "order_service_peer_calls_total{call=\"seating.reserve\",outcome=\"none\"} 1",
            "http_server_requests_seconds_count{method=\"POST\",uri=\"/v1/orders\",status=\"201\"} 2",
            "http_server_requests_seconds_bucket{method=\"POST\",uri=\"/v1/orders\",status=\"201\",le=\"0.01\"} 0",
            "order_service_peer_call_seconds_sum{call=\"seating.reserve\"} 0.125",
            "order_service_peer_call_seconds_count{call=\"seating.reserve\"} 2",
            "order_service_statement_seconds_bucket{statement=\"read_order\",le=\"0.001\"} 3",
            "order_service_guest_busy_seconds_total 2.5",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in {page}");
        }
        assert!(!page.contains("made") && !page.contains("later"));
    }
}
