//! The events of the valid state: each in the journal, taken by the sink, and delivered.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::chaos::testbed::WEBHOOK_SECRET;
use crate::chaos::{tracing, webhook};
use crate::postgres::Database;

/// The journal's events, from the recorded changes of status.
const JOURNAL: &str = "
    UPDATE order_events e SET events = made.events FROM (
        SELECT c.order_id, c.seq, CASE
            WHEN c.seq = 1 THEN '[{\"type\": \"order.placed\"}]'::jsonb
            WHEN c.status <> c.was THEN jsonb_build_array(jsonb_build_object('type', 'order.' || lower(c.status), 'data', jsonb_strip_nulls(jsonb_build_object(
                'subtotal_cents', o.subtotal_cents, 'tax_cents', o.tax_cents, 'total_cents', o.total_cents, 'payment_id', o.payment_id,
                'failure', CASE WHEN c.status = 'FAILED' THEN jsonb_build_object('code', o.failure_code) END))))
                || CASE WHEN c.status IN ('CONFIRMED', 'REFUNDED') THEN (SELECT jsonb_agg(jsonb_build_object(
                    'type', CASE c.status WHEN 'CONFIRMED' THEN 'ticket.issued' ELSE 'ticket.voided' END,
                    'data', jsonb_build_object('seat_id', t.seat_id, 'ticket_code', t.ticket_code)) ORDER BY t.seat_id)
                    FROM tickets t WHERE t.order_id = o.id) ELSE '[]' END END AS events
        FROM (SELECT x.order_id, x.seq, s.status, lag(s.status) OVER (PARTITION BY x.order_id ORDER BY x.seq) AS was
              FROM order_events x JOIN recorder.transitions s ON s.order_id = x.order_id AND s.version = x.seq) c
        JOIN orders o ON o.id = c.order_id) made
    WHERE e.order_id = made.order_id AND e.seq = made.seq;
    UPDATE order_events e SET sequence = n.first FROM (
        SELECT order_id, seq, sum(jsonb_array_length(events)) OVER (PARTITION BY order_id ORDER BY seq) - jsonb_array_length(events) + 1 AS first
        FROM order_events WHERE events IS NOT NULL) n
    WHERE e.order_id = n.order_id AND e.seq = n.seq;
    INSERT INTO event_deliveries (order_id, sink, next, last)
    SELECT order_id, 'http', count_events(order_id) + 1, count_events(order_id) FROM order_events GROUP BY order_id";

const RENDERED: &str = "
    SELECT render_event(e, o, i, 'urn:order-service') FROM orders o JOIN order_events e ON e.order_id = o.id
    CROSS JOIN LATERAL generate_series(0, jsonb_array_length(e.events) - 1) i ORDER BY o.id, e.sequence + i";

/// Adds the events to the orders, and has the sandbox take each.
pub async fn add_events(database: &Database, url: &str) -> Result<()> {
    let session = database.connect().await?;
    session.batch_execute(JOURNAL).await?;
    for row in session.query("SELECT id::text, idempotency_key FROM orders", &[]).await? {
        let (id, trace): (&str, String) = (row.get(0), tracing::traceparent(row.get(1)));
        let add = format!(
            "UPDATE order_events SET data = coalesce(data, '{{}}') || '{{\"traceparent\": \"{trace}\"}}' WHERE order_id = '{id}'"
        );
        session.batch_execute(&add).await?;
    }
    let client = reqwest::Client::new();
    for row in session.query(RENDERED, &[]).await? {
        let event: Value = serde_json::from_str(row.get(0))?;
        let (body, id) = (event["data"].to_string(), event["id"].as_str().context("an id")?);
        let mut request = client.post(format!("{url}/events/hook"));
        for (name, value) in event.as_object().context("an event is an object")? {
            if let Some(value) = value.as_str().filter(|_| name != "datacontenttype") {
                request = request.header(format!("ce-{name}"), value);
            }
        }
        request = request
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", "1")
            .header("webhook-signature", webhook::signature(WEBHOOK_SECRET, id, "1", &body));
        request.body(body).send().await?.error_for_status()?;
    }
    Ok(())
}
