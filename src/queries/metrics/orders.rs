//! Metrics of orders and of messages, from the sums that the transitions keep.

use super::page::{Kind, Page, number};
use crate::domain::order::{FailureCode, Phase, Status};
use serde_json::Value;

/// What is true of the orders.
pub fn orders(page: &mut Page, summary: &Value) {
    let orders = &summary["orders"];
    for name in ["order_service_orders_created_total", "orders_created_total"] {
        page.single(
            name,
            Kind::Counter,
            "Orders placed since the beginning, of all copies, kept in the database.",
            number(&orders["created"]),
        );
    }

    page.metric("order_service_orders", Kind::Gauge, "Orders by status.");
    for status in Status::ALL {
        let label = format!("status=\"{}\"", status.as_str());
        page.sample("order_service_orders", &label, number(&orders[status.as_str().to_ascii_lowercase()]));
    }

    page.metric(
        "order_service_orders_in_progress",
        Kind::Gauge,
        "Orders that the service still has something to do for, by phase.",
    );
    for phase in Phase::ALL.iter().filter(|phase| **phase != Phase::Done) {
        let label = format!("phase=\"{}\"", phase.as_str());
        page.sample("order_service_orders_in_progress", &label, number(&orders[phase.as_str()]));
    }

    page.metric(
        "order_service_orders_failed_total",
        Kind::Counter,
        "Orders that failed or expired, by failure code.",
    );
    for code in FailureCode::ALL {
        let label = format!("code=\"{}\"", code.as_str());
        page.sample("order_service_orders_failed_total", &label, number(&summary["failures"][code.as_str()]));
    }

    page.single(
        "order_service_oldest_due_order_seconds",
        Kind::Gauge,
        "Seconds for which the longest due order has been due; 0 when none is.",
        number(&summary["oldest_due_seconds"]),
    );

    page.single("order_service_orders_parked", Kind::Gauge, "Orders for which a peer has given no answer for long: an operator should know (counted up to 10000).", number(&summary["parked"]));

    page.single("order_service_second_payments", Kind::Gauge, "Payments beside an order's own that have not gone back yet, or may still succeed (counted up to 10000).", number(&summary["second_payments"]));

    page.metric(
        "order_service_invariant_violations",
        Kind::Gauge,
        "Orders, or refunds, that are as they never should be; zero while all is well (counted up to 10000).",
    );
    for (invariant, count) in summary["violations"].as_object().into_iter().flatten() {
        let label = format!("invariant=\"{invariant}\"");
        page.sample("order_service_invariant_violations", &label, number(count));
    }

    page.single("order_service_order_items_id_used_ratio", Kind::Gauge, "Share of the numbers for order_items.id that is used, 0 to 1; at 1 no order can be priced any more: make the column a \
         BIGINT long before.", number(&summary["order_items_id_used"]));

    page.single(
        "order_service_tickets_issued_total",
        Kind::Counter,
        "Tickets issued since the beginning.",
        number(&orders["tickets"]),
    );
}

/// What waits to be told to others.
pub fn messages(page: &mut Page, summary: &Value) {
    page.single(
        "order_service_outbox_messages",
        Kind::Gauge,
        "Notifications that wait for delivery.",
        number(&summary["orders"]["outbox"]),
    );
    page.single(
        "order_service_outbox_oldest_message_seconds",
        Kind::Gauge,
        "Age in seconds of the oldest notification that waits for delivery; 0 when none does.",
        number(&summary["outbox_age_seconds"]),
    );
    page.single(
        "order_service_outbox_dead_letters",
        Kind::Gauge,
        "Notifications that were given up after the last attempt.",
        number(&summary["orders"]["dead_letters"]),
    );
}
