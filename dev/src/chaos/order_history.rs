//! The printed history of one order, to diagnose a violation.

use std::fmt::Write;

use serde_json::Value;

use super::snapshot::{Order, Snapshot};

/// All rows, calls, callbacks and requests of one order. Without a stored order: what has its idempotency key.
pub fn of_order(snapshot: &Snapshot, order_id: Option<&str>, key: Option<&str>) -> String {
    let mut text = String::new();
    let order = snapshot.orders.iter().find(|order| {
        Some(&*order.id) == order_id || (order_id.is_none() && Some(&*order.idempotency_key) == key)
    });
    let id = order.map(|order| &*order.id).or(order_id).unwrap_or_default();
    let key = order.map(|order| &*order.idempotency_key).or(key);
    section(&mut text, "order", order.iter().map(|order| order.row.to_string()));
    if let Some(order) = order {
        order_rows(&mut text, order);
    }
    let payments = snapshot.payments.iter().filter(|payment| payment.order_id == id);
    section(&mut text, "Payment", payments.map(|payment| format!("{payment:?}")));
    let seats = order.into_iter().flat_map(Order::sorted_seats);
    section(&mut text, "Seating", seats.map(|seat| format!("seat {seat}: {:?}", snapshot.seats.get(&seat))));
    let callbacks = snapshot.callbacks.iter().filter(|callback| callback.sent["order_id"] == id);
    let callbacks = callbacks.map(|callback| {
        let note = if callback.answer["note"].is_null() {
            &callback.answer["code"]
        } else {
            &callback.answer["note"]
        };
        let state = &callback.answer["order"]["status"];
        format!(
            "{} {} → {:?} {note} {state} after {} ms",
            time(callback.started_at_ms),
            callback.sent["status"],
            callback.status,
            callback.took_ms
        )
    });
    section(&mut text, "callbacks", callbacks);
    let calls = snapshot.calls.iter().filter(|call| call.order_id.as_deref() == Some(id));
    let calls = calls.map(|call| {
        let end = if call.closed { "closed".to_owned() } else { format!("{:?}", call.status) };
        format!(
            "{} {:?} {:?} → {end} after {:?} ms",
            time(call.started_at_ms),
            call.call,
            call.seat_ids,
            call.took_ms
        )
    });
    section(&mut text, "calls of peers", calls);
    let notifications = snapshot.notifications.iter().filter(|message| message["order_id"] == id);
    section(&mut text, "notifications", notifications.map(Value::to_string));
    let events = snapshot.events.iter().filter(|taken| taken.event["subject"] == id);
    section(&mut text, "events that the sink took", events.map(|taken| taken.event.to_string()));
    let exchanges = snapshot.exchanges.iter().filter(|exchange| Some(&*exchange.key) == key);
    let mut exchanges: Vec<_> = exchanges.collect();
    exchanges.sort_by_key(|exchange| exchange.at_ms);
    let exchanges = exchanges.into_iter().map(|one| {
        let answer = match &one.answer {
            Ok(answer) => format!("{answer:?}"),
            Err(error) => error.clone(),
        };
        format!(
            "{} ms {:?} at copy {} → {answer} after {} ms",
            one.at_ms,
            one.operation,
            one.replica + 1,
            one.took_ms
        )
    });
    section(&mut text, "requests of the user", exchanges);
    text
}

fn order_rows(text: &mut String, order: &Order) {
    section(text, "items", order.items.iter().map(|item| format!("{item:?}")));
    section(text, "tickets", order.tickets.iter().map(|ticket| format!("{ticket:?}")));
    section(text, "claims", order.claims.iter().map(|seat| format!("seat {seat}")));
    let journal = order.journal.iter().map(|entry| {
        let state = order.transitions.iter().find(|step| step.version == entry.seq);
        let state = state.map(|step| format!("{} {}", step.status, step.phase)).unwrap_or_default();
        let times = if entry.count > 1 { format!(" {} times,", entry.count) } else { String::new() };
        format!(
            "{} {}{times} by {} at {} → {state} {}",
            entry.seq, entry.r#type, entry.actor, entry.at, entry.data
        )
    });
    section(text, "journal", journal);
    section(text, "outbox", order.outbox.iter().map(|message| format!("{message:?}")));
    section(text, "event deliveries", order.deliveries.iter().map(|delivery| format!("{delivery:?}")));
    section(text, "messages ever written", order.messages.iter().map(|message| format!("{message:?}")));
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let _ = writeln!(text, "  {title}:");
    let before = text.len();
    for line in lines {
        let _ = writeln!(text, "    {line}");
    }
    if text.len() == before {
        let _ = writeln!(text, "    nothing");
    }
}

fn time(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.format("%H:%M:%S%.3f").to_string()
}
