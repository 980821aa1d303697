//! The valid state: what the order database and the sandbox peers have of six orders that have come to their ends.

use anyhow::Result;
use serde_json::json;

use crate::peers::{Control, Mode, NewPayment, SeatSpec, SeatStatus};

/// A confirmed order.
pub const CONFIRMED: &str = "01980000-0000-7000-8000-00000000000a";
/// An order that the buyer cancelled while the payment was pending.
pub const CANCELLED: &str = "01980000-0000-7000-8000-00000000000b";
/// An order that was confirmed and then refunded.
pub const REFUNDED: &str = "01980000-0000-7000-8000-00000000000c";
/// An order whose payment was declined.
pub const DECLINED: &str = "01980000-0000-7000-8000-00000000000d";
/// An order that expired, and was paid after its event was cancelled.
pub const LATE: &str = "01980000-0000-7000-8000-00000000000e";
/// A confirmed order that costs nothing.
pub const FREE: &str = "01980000-0000-7000-8000-00000000000f";

/// An event that the sandbox has as cancelled.
const CANCELLED_EVENT: i64 = 103;

/// Six orders, transition by transition, so that the triggers record each.
pub fn orders() -> String {
    let mut sql = String::from(
        "CREATE FUNCTION step(o UUID, event TEXT, new_status TEXT, new_phase TEXT) RETURNS VOID LANGUAGE sql AS $$
             UPDATE orders SET version = version + 1, status = new_status, phase = new_phase,
                 due_at = CASE WHEN new_phase = 'done' THEN NULL ELSE now() END WHERE id = o;
             INSERT INTO order_events (order_id, seq, type, actor)
                 SELECT o, version, event, 'client' FROM orders WHERE id = o;
             INSERT INTO outbox (id, order_id, kind, payload, due_at)
                 SELECT (left(o::text, 24) || lpad(length(new_status) || right(o::text, 1), 12, '9'))::uuid, o, 'ORDER_' || new_status, '{}', now()
                 WHERE new_status <> 'PENDING'
                   AND NOT EXISTS (SELECT FROM recorder.messages m WHERE m.order_id = o AND m.kind = 'ORDER_' || new_status);
         $$;
         CREATE FUNCTION repeat_step(o UUID, event TEXT) RETURNS VOID LANGUAGE sql AS $$
             UPDATE orders SET version = version + 1 WHERE id = o;
             UPDATE order_events SET count = count + 1, last_at = now() WHERE order_id = o AND type = event;
         $$;",
    );
    let mut order = |id: &str,
                     event_id: i64,
                     key: &str,
                     seats: &[(i64, i64)],
                     transitions: &[(&str, &str, &str)]| {
        let ids: Vec<String> = seats.iter().map(|(seat, _)| seat.to_string()).collect();
        sql += &format!(
            "INSERT INTO orders (id, idempotency_key, request_hash, user_id, event_id, seats, phase, due_at)
             VALUES ('{id}', '{key}', 'hash', 7, {event_id}, '{{{}}}', 'reserving', now());
             INSERT INTO order_events (order_id, seq, type, actor) VALUES ('{id}', 1, 'order_placed', 'client');",
            ids.join(",")
        );
        let subtotal: i64 = seats.iter().map(|(_, cents)| cents).sum();
        let tax = (subtotal * 75 + 999) / 1_000;
        sql += &format!(
            "UPDATE orders SET subtotal_cents = {subtotal}, tax_cents = {tax}, total_cents = {},
                 failure_code = 'payment_declined' WHERE id = '{id}';",
            subtotal + tax
        );
        if subtotal > 0 {
            sql +=
                &format!("UPDATE orders SET payment_id = id, payment_status = 'PENDING' WHERE id = '{id}';");
        }
        for (seat, cents) in seats {
            sql += &format!(
                "INSERT INTO order_items (order_id, seat_id, seat_price_cents) VALUES ('{id}', {seat}, {cents});"
            );
            if transitions.iter().any(|(_, status, _)| *status == "CONFIRMED") {
                sql += &format!(
                    "INSERT INTO tickets (order_id, seat_id, ticket_code) VALUES ('{id}', {seat}, 'TKT-{key}-{seat}');"
                );
            }
        }
        for (number, transition) in transitions.iter().enumerate() {
            let (event, status, phase) = transition;
            sql += &if transitions[..number].contains(transition) {
                format!("SELECT repeat_step('{id}', '{event}');")
            } else {
                format!("SELECT step('{id}', '{event}', '{status}', '{phase}');")
            };
        }
    };
    let paid = [
        ("seats_reserved", "PENDING", "charging"),
        ("payment_succeeded", "PENDING", "allocating"),
        ("seats_allocated", "CONFIRMED", "done"),
    ];
    order(CONFIRMED, 101, "errand-a", &[(1, 15_000), (2, 9_999)], &paid);
    let cancelled = [
        ("seats_reserved", "PENDING", "charging"),
        ("payment_pending", "PENDING", "awaiting_payment"),
        ("cancel_requested", "CANCELLED", "awaiting_payment"),
        ("payment_failed", "CANCELLED", "releasing"),
        ("no_answer", "CANCELLED", "releasing"),
        ("seats_released", "CANCELLED", "releasing"),
        ("no_answer", "CANCELLED", "releasing"),
        ("seats_released", "CANCELLED", "releasing"),
        ("seats_released", "CANCELLED", "done"),
    ];
    order(CANCELLED, 101, "errand-b", &[(3, 1)], &cancelled);
    let back = [
        ("refund_requested", "CONFIRMED", "refunding"),
        ("payment_refunded", "REFUNDED", "releasing"),
        ("seats_released", "REFUNDED", "done"),
    ];
    order(REFUNDED, 101, "errand-c", &[(4, 7_525)], &[&paid[..], &back].concat());
    let declined = [
        ("seats_reserved", "PENDING", "charging"),
        ("payment_failed", "FAILED", "releasing"),
        ("seats_released", "FAILED", "done"),
    ];
    order(DECLINED, 101, "errand-d", &[(5, 2_000)], &declined);
    let late = [
        ("seats_reserved", "PENDING", "charging"),
        ("payment_pending", "PENDING", "awaiting_payment"),
        ("payment_pending", "CANCELLED", "releasing"),
        ("seats_released", "CANCELLED", "done"),
        ("payment_succeeded", "CANCELLED", "reserving"),
        ("event_cancelled", "CANCELLED", "refunding"),
        ("payment_refunded", "CANCELLED", "done"),
    ];
    order(LATE, CANCELLED_EVENT, "errand-e", &[(6, 4_000)], &late);
    let free = [("seats_reserved", "PENDING", "allocating"), ("seats_allocated", "CONFIRMED", "done")];
    order(FREE, 101, "errand-f", &[(7, 0)], &free);
    sql += &format!(
        "UPDATE tickets SET voided_at = now() WHERE order_id = '{REFUNDED}';
         INSERT INTO seat_claims SELECT event_id, unnest(seats), id FROM orders WHERE status = 'CONFIRMED';
         DELETE FROM outbox;"
    );
    sql
}

/// The id that the SQL function `step` gives a message: distinct within an order.
fn message_id(order_id: &str, status: &str) -> String {
    format!("{}{:9>12}", &order_id[..24], format!("{}{}", status.len(), &order_id[35..]))
}

/// Puts the state of the six orders into the sandbox peers.
pub async fn set_up_peers(url: &str, control: &Control) -> Result<()> {
    let client = reqwest::Client::new();
    let charges = [
        (CONFIRMED, Mode::Silent, 26_874),
        (CANCELLED, Mode::Decline, 2),
        (REFUNDED, Mode::Silent, 8_090),
        (DECLINED, Mode::Decline, 2_150),
        (LATE, Mode::Silent, 4_300),
    ];
    for (id, mode, cents) in charges {
        control.payment_mode(mode).await?;
        let body = json!({ "merchant_order_id": id, "amount_cents": cents, "currency": "INR" });
        let request = client.post(format!("{url}/payment/v1/charge")).header("idempotency-key", id);
        request.json(&body).send().await?.error_for_status()?;
    }
    let goes_back = |new: &&NewPayment| [REFUNDED, LATE].contains(&&*new.payment.order_id);
    for new in control.payments_from(0).await?.iter().filter(goes_back) {
        let body = json!({ "payment_id": new.payment.id });
        client.post(format!("{url}/payment/v1/refund")).json(&body).send().await?.error_for_status()?;
    }
    let sold = |id, order_id: &str| SeatSpec {
        id,
        status: Some(SeatStatus::Allocated),
        order_id: Some(order_id.into()),
        reserved_by: Some(7),
        ..SeatSpec::default()
    };
    control.put_seats(101, &[sold(1, CONFIRMED), sold(2, CONFIRMED), sold(7, FREE)]).await?;
    let messages = [
        (CONFIRMED, "CONFIRMED", 4),
        (CANCELLED, "CANCELLED", 4),
        (REFUNDED, "CONFIRMED", 4),
        (REFUNDED, "REFUNDED", 6),
        (DECLINED, "FAILED", 3),
        (LATE, "CANCELLED", 4),
        (FREE, "CONFIRMED", 3),
    ];
    for (id, status, sequence) in messages {
        let kind = format!("ORDER_{status}");
        let body =
            json!({ "id": message_id(id, status), "type": kind, "order_id": id, "sequence": sequence });
        client.post(format!("{url}/notification/v1/notify")).json(&body).send().await?.error_for_status()?;
    }
    Ok(())
}
