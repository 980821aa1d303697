//! `/metrics` in the Prometheus text format (version 0.0.4).
//!
//! Metrics of orders come from summaries that the transitions keep, metrics of the work from the counters that all instances
//! flush: any instance answers for all, at a cost that does not grow with the number of orders. Only memory and heap are of the
//! instance that answers.

use crate::config::Config;
use crate::db::{DbError, metrics as statements};
use crate::domain::order::{Phase, Status};
use crate::runtime::heap;
use crate::telemetry::counters;
use serde_json::Value;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The content type of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders all metrics.
///
/// # Errors
/// [`DbError`].
pub async fn metrics(config: &Config) -> Result<String, DbError> {
    Ok(render(&statements::read_summary(config).await?))
}

fn render(summary: &Value) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    orders(&mut page, summary);
    messages(&mut page, summary);
    all_instances(&mut page, summary);
    database(&mut page, summary);
    this_instance(&mut page);
    page.0
}

fn orders(page: &mut Page, summary: &Value) {
    let orders = &summary["orders"];
    page.metric("order_service_orders_created_total", "counter", "Orders placed since the beginning.");
    page.sample("order_service_orders_created_total", "", number(&orders["created"]));

    page.metric("order_service_orders", "gauge", "Orders by status.");
    for status in Status::ALL {
        let label = format!("status=\"{}\"", status.as_str());
        page.sample("order_service_orders", &label, number(&orders[status.as_str().to_ascii_lowercase()]));
    }

    page.metric(
        "order_service_orders_in_progress",
        "gauge",
        "Orders that the service still has something to do for, by phase.",
    );
    for phase in Phase::ALL.iter().filter(|phase| **phase != Phase::Done) {
        let label = format!("phase=\"{}\"", phase.as_str());
        page.sample("order_service_orders_in_progress", &label, number(&orders[phase.as_str()]));
    }

    page.metric(
        "order_service_orders_failed_total",
        "counter",
        "Orders that failed or expired, by failure code.",
    );
    for (code, count) in summary["failures"].as_object().into_iter().flatten() {
        page.sample("order_service_orders_failed_total", &format!("code=\"{code}\""), number(count));
    }

    page.metric(
        "order_service_oldest_due_order_seconds",
        "gauge",
        "Seconds for which the longest due order has been due; 0 when none is.",
    );
    page.sample("order_service_oldest_due_order_seconds", "", number(&summary["oldest_due_seconds"]));

    page.metric(
        "order_service_orders_parked",
        "gauge",
        "Orders for which a peer has given no answer for long: an operator should know (counted up to 10000).",
    );
    page.sample("order_service_orders_parked", "", number(&summary["parked"]));

    page.metric(
        "order_service_second_payments",
        "gauge",
        "Payments beside an order's own that have not gone back yet, or may still succeed (counted up to 10000).",
    );
    page.sample("order_service_second_payments", "", number(&summary["second_payments"]));

    page.metric(
        "order_service_invariant_violations",
        "gauge",
        "Orders, or refunds, that are as they never should be; zero while all is well (counted up to 10000).",
    );
    for (invariant, count) in summary["violations"].as_object().into_iter().flatten() {
        let label = format!("invariant=\"{invariant}\"");
        page.sample("order_service_invariant_violations", &label, number(count));
    }

    page.metric(
        "order_service_order_items_id_used_ratio",
        "gauge",
        "Share of the numbers for order_items.id that is used, 0 to 1; at 1 no order can be priced any more: make the column a \
         BIGINT long before.",
    );
    page.sample("order_service_order_items_id_used_ratio", "", number(&summary["order_items_id_used"]));

    page.metric("order_service_tickets_issued_total", "counter", "Tickets issued since the beginning.");
    page.sample("order_service_tickets_issued_total", "", number(&orders["tickets"]));
}

fn messages(page: &mut Page, summary: &Value) {
    page.metric("order_service_outbox_messages", "gauge", "Notifications that wait for delivery.");
    page.sample("order_service_outbox_messages", "", number(&summary["orders"]["outbox"]));
    page.metric(
        "order_service_outbox_oldest_message_seconds",
        "gauge",
        "Age in seconds of the oldest notification that waits for delivery; 0 when none does.",
    );
    page.sample("order_service_outbox_oldest_message_seconds", "", number(&summary["outbox_age_seconds"]));
    page.metric(
        "order_service_outbox_dead_letters",
        "gauge",
        "Notifications that were given up after the last attempt.",
    );
    page.sample("order_service_outbox_dead_letters", "", number(&summary["orders"]["dead_letters"]));
}

fn all_instances(page: &mut Page, summary: &Value) {
    let counted = [
        (
            counters::REQUESTS,
            "order_service_http_requests_total",
            "HTTP requests answered by all instances, by route and status.",
        ),
        (
            counters::REQUEST_SECONDS,
            "order_service_http_request_seconds_total",
            "Seconds that HTTP requests took in all instances, by route.",
        ),
        (
            counters::PEER_CALLS,
            "order_service_peer_calls_total",
            "Calls of other services by all instances, by call and class of status (none: no answer).",
        ),
        (
            counters::BUSY_SECONDS,
            "order_service_guest_busy_seconds_total",
            "Seconds for which the component computed, in all instances: the time spent inside polls of its own futures.",
        ),
    ];
    let rows = summary["work"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (row_name, name, help) in counted {
        page.metric(name, "counter", help);
        for row in rows.iter().filter(|row| row["name"] == row_name) {
            page.sample(name, row["label"].as_str().unwrap_or_default(), number(&row["value"]));
        }
    }
    page.metric(
        "order_service_uptime_seconds",
        "gauge",
        "Seconds for which some instance has been at work without a pause of a minute.",
    );
    page.sample("order_service_uptime_seconds", "", number(&summary["uptime_seconds"]));
}

fn database(page: &mut Page, summary: &Value) {
    page.metric(
        "order_service_database_oldest_snapshot_seconds",
        "gauge",
        "Age in seconds of the oldest transaction that keeps a snapshot of the database, which keeps dead rows from being removed; \
         without pg_read_all_stats those of the service's own role only.",
    );
    page.sample(
        "order_service_database_oldest_snapshot_seconds",
        "",
        number(&summary["oldest_snapshot_seconds"]),
    );
    page.metric(
        "order_service_database_oldest_writer_seconds",
        "gauge",
        "Age in seconds, at most, of the oldest transaction that has written to orders, payments or messages and is still open, at the last \
         look for due work: a few seconds at most while all is well.",
    );
    page.sample(
        "order_service_database_oldest_writer_seconds",
        "",
        number(&summary["oldest_writer_seconds"]),
    );
    page.metric(
        "order_service_updated_since_delay_seconds",
        "gauge",
        "For how long one transaction, of whatever database, has held back the list of changed orders (updated_since): nothing that \
         changed since is in it yet. 0 when none does.",
    );
    page.sample(
        "order_service_updated_since_delay_seconds",
        "",
        number(&summary["updated_since_delay_seconds"]),
    );

    page.metric(
        "order_service_database_oldest_snapshot_transactions",
        "gauge",
        "Age in transactions of the oldest snapshot: of all roles' sessions, standbys, replication slots and prepared transactions.",
    );
    page.sample(
        "order_service_database_oldest_snapshot_transactions",
        "",
        number(&summary["oldest_snapshot_transactions"]),
    );
}

fn this_instance(page: &mut Page) {
    page.metric(
        "order_service_instance_memory_bytes",
        "gauge",
        "Linear memory of the instance that answers this scrape; one of many.",
    );
    page.sample("order_service_instance_memory_bytes", "", heap::memory_bytes() as f64);
    page.metric(
        "order_service_instance_heap_in_use_bytes",
        "gauge",
        "Heap in use in the instance that answers this scrape; one of many.",
    );
    page.sample("order_service_instance_heap_in_use_bytes", "", heap::in_use_bytes() as f64);
    page.metric("order_service_info", "gauge", "Version of the service and what it runs on.");
    let label =
        format!("version=\"{}\",platform=\"wasm32-wasip2\",runtime=\"spin\"", env!("CARGO_PKG_VERSION"));
    page.sample("order_service_info", &label, 1.0);
    page.metric(
        "order_service_scrape_timestamp_seconds",
        "gauge",
        "Time of this scrape, in seconds since 1970.",
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    page.sample("order_service_scrape_timestamp_seconds", "", now);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }
}
