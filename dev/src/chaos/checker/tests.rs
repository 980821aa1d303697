//! Mutation tests of the checker: a valid state has no violations, and each mutation of it is found under the name of the
//! invariant that it breaks.
//!
//! The state is a migrated database and a sandbox. Each case mutates a copy.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::{Snapshot, check};
use crate::chaos::request_log::{Answer, Exchange, Operation};
use crate::chaos::transition_recorder;
use crate::migrations;
use crate::peers::{
    CallbackRecord, Control, Mode, NewPayment, Payment, PaymentStatus, Peers, SeatSpec, SeatStatus,
};
use crate::postgres::{Options, Server, remove};

/// A confirmed order.
const CONFIRMED: &str = "01980000-0000-7000-8000-00000000000a";
/// An order that the buyer cancelled while the payment was pending.
const CANCELLED: &str = "01980000-0000-7000-8000-00000000000b";
/// An order that was confirmed and then refunded.
const REFUNDED: &str = "01980000-0000-7000-8000-00000000000c";
/// An order whose payment was declined.
const DECLINED: &str = "01980000-0000-7000-8000-00000000000d";

/// An order that expired, and was paid after its event was cancelled.
const LATE: &str = "01980000-0000-7000-8000-00000000000e";
/// An event that the sandbox has as cancelled.
const CANCELLED_EVENT: i64 = 103;
/// A confirmed order that costs nothing.
const FREE: &str = "01980000-0000-7000-8000-00000000000f";

/// A mutation of the valid state.
enum Mutation {
    /// Of the order database.
    Sql(&'static str),
    /// Of the snapshot: what peers, clients or the service reported.
    OfSnapshot(fn(&mut Snapshot)),
}
use Mutation::{OfSnapshot, Sql};

/// The invariant that must be reported, and the mutation.
const CASES: &[(&str, Mutation)] = &[
    (
        "every order is at rest",
        Sql("UPDATE orders SET phase = 'releasing', due_at = now() WHERE status = 'FAILED'"),
    ),
    ("every order is at rest", Sql("UPDATE orders SET status = 'PENDING' WHERE status = 'FAILED'")),
    (
        "nothing is left over: messages, parked orders",
        Sql("INSERT INTO outbox (id, order_id, kind, payload, due_at)
             SELECT gen_random_uuid(), id, 'ORDER_FAILED', '{}', now() FROM orders WHERE status = 'FAILED'"),
    ),
    (
        "nothing is left over: messages, parked orders",
        Sql("UPDATE orders SET parked_at = now() WHERE status = 'FAILED'"),
    ),
    ("the journal is whole", Sql("DELETE FROM order_events WHERE seq = 3")),
    ("the journal is whole", Sql("UPDATE order_events SET actor = 'nobody' WHERE seq = 3")),
    (
        "the journal tells causes before effects",
        Sql("UPDATE order_events SET type = 'payment_pending' WHERE type = 'payment_succeeded'"),
    ),
    (
        "the journal tells causes before effects",
        Sql("UPDATE order_events SET type = 'refund_requested' WHERE type = 'payment_failed'"),
    ),
    (
        "every change of status is a legal one",
        Sql("UPDATE recorder.transitions SET status = 'FAILED' WHERE version = 3"),
    ),
    (
        "what the buyer cancelled is never confirmed",
        Sql("UPDATE recorder.transitions s SET status = 'CONFIRMED' FROM orders o
             WHERE o.id = s.order_id AND o.status = 'CANCELLED' AND s.version = 5"),
    ),
    ("one charge per order at most, and none without an order", OfSnapshot(|e| e.payments.push(e.payments[0].clone()))),
    ("one charge per order at most, and none without an order", OfSnapshot(|e| e.payments[0].taken += 1)),
    (
        "one charge per order at most, and none without an order",
        OfSnapshot(|e| e.payments[0].idempotency_key = "another".into()),
    ),
    ("one charge per order at most, and none without an order", OfSnapshot(|e| drop(e.orders.remove(1)))),
    (
        "amounts are equal: seats, tax, total, charge",
        Sql("UPDATE orders SET tax_cents = tax_cents - 1, total_cents = total_cents - 1 WHERE status = 'FAILED'"),
    ),
    ("amounts are equal: seats, tax, total, charge", Sql("UPDATE order_items SET seat_price_cents = 1")),
    (
        "money goes back once, and only for orders that are not confirmed",
        OfSnapshot(|e| {
            let first = e.payments[0].clone();
            e.payments.push(Payment { id: "second".into(), charged_elsewhere: true, ..first });
        }),
    ),
    ("amounts are equal: seats, tax, total, charge", OfSnapshot(|e| e.payments[0].amount_cents += 1)),
    ("amounts are equal: seats, tax, total, charge", OfSnapshot(|e| e.payments[0].currency = "EUR".into())),
    ("paid exactly if the tickets are valid", Sql("UPDATE tickets SET voided_at = now()")),
    ("paid exactly if the tickets are valid", OfSnapshot(|e| e.payments.clear())),
    (
        "paid exactly if the tickets are valid",
        OfSnapshot(|e| e.payments.iter_mut().for_each(|payment| payment.status = PaymentStatus::Success)),
    ),
    (
        "the order knows what became of its money",
        Sql("UPDATE orders SET payment_status = 'PENDING' WHERE status = 'FAILED'"),
    ),
    (
        "money goes back once, and only for orders that are not confirmed",
        OfSnapshot(|e| e.payments.iter_mut().for_each(|payment| payment.returned += 1)),
    ),
    (
        "an order that costs nothing is never charged",
        OfSnapshot(|e| {
            let first = e.payments[0].clone();
            e.payments.push(Payment { order_id: FREE.into(), taken: 0, status: PaymentStatus::Failed, ..first });
        }),
    ),
    (
        "an order that costs nothing is never charged",
        OfSnapshot(|e| e.calls.iter_mut().for_each(|call| call.order_id = Some(FREE.into()))),
    ),
    (
        "an order that costs nothing is never charged",
        Sql("UPDATE orders SET payment_id = id, payment_status = 'SUCCESS' WHERE total_cents = 0"),
    ),
    (
        "money that came late for a cancelled event went back",
        OfSnapshot(|e| payment_of(e, LATE).returned = 0),
    ),
    (
        "money that came late for a cancelled event went back",
        OfSnapshot(|e| payment_of(e, LATE).status = PaymentStatus::Success),
    ),
    (
        "money that came late for a cancelled event went back",
        Sql("UPDATE recorder.transitions SET status = 'CONFIRMED' WHERE order_id::text LIKE '%0e' AND version = 7"),
    ),
    (
        "no seat of a cancelled event is sold",
        OfSnapshot(|e| drop(e.seats.insert(6, e.seats[&1].clone()))),
    ),
    (
        "no seat of a cancelled event is sold",
        Sql("INSERT INTO tickets (order_id, seat_id, ticket_code) SELECT id, 6, 'TKT-6' FROM orders WHERE event_id = 103"),
    ),
    (
        "no seat is sold twice",
        Sql("UPDATE tickets SET voided_at = NULL, seat_id = (SELECT min(seat_id) FROM tickets WHERE voided_at IS NULL)
             WHERE voided_at IS NOT NULL"),
    ),
    (
        "no ticket code is used twice",
        Sql("ALTER TABLE tickets DROP CONSTRAINT tickets_ticket_code_key; UPDATE tickets SET ticket_code = 'TKT'"),
    ),
    ("tickets, claims and Seating's allocations agree", Sql("DELETE FROM seat_claims")),
    ("tickets, claims and Seating's allocations agree", OfSnapshot(|e| e.seats.clear())),
    (
        "no seat is allocated to an order that is not confirmed",
        OfSnapshot(|e| {
            let mut seat = e.seats[&1].clone();
            seat.order_id = Some(CANCELLED.into());
            e.seats.insert(3, seat);
        }),
    ),
    (
        "live orders claim their seats, dead ones none",
        Sql("INSERT INTO seat_claims SELECT event_id, seats[1], id FROM orders WHERE status = 'FAILED'"),
    ),
    ("every message was delivered at least once", OfSnapshot(|e| drop(e.notifications.pop()))),
    (
        "a message that comes again is the same",
        OfSnapshot(|e| {
            let mut again = e.notifications[0].clone();
            again["seats"] = json!([7]);
            e.notifications.push(again);
        }),
    ),
    ("a message that comes again is the same", OfSnapshot(|e| e.notifications[0]["id"] = json!("made-up"))),
    ("every change of status is told", Sql("DELETE FROM recorder.messages WHERE kind = 'ORDER_REFUNDED'")),
    ("the messages of one order arrive in its order", OfSnapshot(|e| e.notifications.reverse())),
    ("every answer is one that the contract has", OfSnapshot(|e| add_exchange(e, Operation::Place, "errand-a", 500, CONFIRMED, None))),
    (
        "every order that was acknowledged exists",
        OfSnapshot(|e| add_exchange(e, Operation::Place, "errand-x", 202, "01980000-0000-7000-8000-0000000000ff", Some("PENDING"))),
    ),
    (
        "one key, one order",
        OfSnapshot(|e| {
            add_exchange(e, Operation::Place, "errand-a", 202, CONFIRMED, Some("PENDING"));
            add_exchange(e, Operation::Place, "errand-a", 202, DECLINED, Some("PENDING"));
        }),
    ),
    ("a confirmation holds", OfSnapshot(|e| add_exchange(e, Operation::Read, "errand-b", 200, CANCELLED, Some("CONFIRMED")))),
    ("a cancellation holds", OfSnapshot(|e| add_exchange(e, Operation::Cancel, "errand-a", 200, CONFIRMED, Some("CANCELLED")))),
    (
        "what users see never goes back",
        OfSnapshot(|e| {
            add_exchange(e, Operation::Read, "errand-a", 200, CONFIRMED, Some("CONFIRMED"));
            add_exchange(e, Operation::Read, "errand-a", 200, CONFIRMED, Some("PENDING"));
        }),
    ),
    ("half a body is a request timeout, in time", OfSnapshot(|e| add_half_sent(e, 9_000))),
    ("half a body is a request timeout, in time", OfSnapshot(|e| add_half_sent(e, 30_000))),
    ("half a body is a request timeout, in time", OfSnapshot(|e| add_exchange(e, Operation::PlaceHalf, "errand-a", 201, CONFIRMED, None))),
    (
        "every callback is answered as the contract has it",
        OfSnapshot(|e| {
            let sent = json!({ "order_id": CONFIRMED });
            let answer = json!({ "code": "internal_error" });
            e.callbacks.push(CallbackRecord { sent, status: Some(500), answer, started_at_ms: 0, took_ms: 1 });
        }),
    ),
    (
        "no order and no message is stuck",
        OfSnapshot(|e| e.stuck = Some(json!({ "orders": [{ "order_id": CONFIRMED, "why": "overdue" }], "messages": [] }))),
    ),
    ("no order and no message is stuck", OfSnapshot(|e| e.stuck = Some(json!({ "orders": [] })))),
    (
        "the gauges of violations are at zero",
        OfSnapshot(|e| {
 e.gauges.insert("invariant=\"overdue\"".into(), 1.0);
 }),
    ),
    ("the component never panicked", OfSnapshot(|e| e.panics = "panicked at src/lib.rs".into())),
];

#[tokio::test]
async fn a_valid_state_passes_and_every_invariant_can_be_violated() -> Result<()> {
    let server = Server::start(Options::for_tests()?).await?;
    let template = server.create_database("sound", None).await?;
    migrations::apply(&template).await?;
    transition_recorder::install(&template).await?;
    let sandbox = Peers::start(crate::peers::Options::default()).await?;
    let control = sandbox.control();
    template.connect().await?.batch_execute(&orders()).await?;
    set_up_peers(&sandbox.url(), &control).await?;
    // One that costs nothing has none.
    let payments = control.payments_from(0).await?;
    for payment in payments.iter().map(|new| &new.payment) {
        let known = format!(
            "UPDATE orders SET payment_id = '{}', payment_status = '{}' WHERE id = '{}'",
            payment.id,
            json!(payment.status).as_str().unwrap_or_default(),
            payment.order_id
        );
        template.connect().await?.batch_execute(&known).await?;
    }

    let valid_state = async |name: &str, sql: &str| {
        let database = server.create_database(name, Some("sound")).await?;
        database.connect().await?.batch_execute(sql).await?;
        let mut snapshot = Snapshot::of_database_and_peers(&database, &control).await?;
        // The first is of the order that was sold.
        snapshot.payments.sort_by(|a, b| a.order_id.cmp(&b.order_id));
        snapshot.prices =
            BTreeMap::from([(1, 15_000), (2, 9_999), (3, 1), (4, 7_525), (5, 2_000), (6, 4_000), (7, 0)]);
        snapshot.stuck = Some(json!({ "orders": [], "messages": [] }));
        snapshot.gauges.insert("invariant=\"refund_unknown\"".into(), 0.0);
        add_exchange(&mut snapshot, Operation::Place, "errand-a", 201, CONFIRMED, Some("PENDING"));
        add_exchange(&mut snapshot, Operation::Read, "errand-a", 200, CONFIRMED, Some("CONFIRMED"));
        add_half_sent(&mut snapshot, 10_020);
        add_exchange(&mut snapshot, Operation::Cancel, "errand-b", 200, CANCELLED, Some("CANCELLED"));
        anyhow::Ok(snapshot)
    };
    let found = |snapshot: &Snapshot| -> Vec<&'static str> {
        let checks = check(snapshot).into_iter();
        checks.filter(|check| !check.violations.is_empty()).map(|check| check.name).collect()
    };

    let snapshot = valid_state("untouched", "").await?;
    assert_eq!(found(&snapshot), [""; 0], "{:#?}", check(&snapshot));
    let invariants: Vec<&str> = check(&snapshot).iter().map(|check| check.name).collect();
    for check in check(&snapshot).iter().filter(|check| !check.name.contains("callback")) {
        assert!(check.checked > 0, "nothing was looked at: {}", check.name);
    }
    for (number, (name, mutation)) in CASES.iter().enumerate() {
        let sql = if let Sql(sql) = mutation { sql } else { "" };
        let mut snapshot = valid_state(&format!("wrong_{number}"), sql).await?;
        if let OfSnapshot(change) = mutation {
            change(&mut snapshot);
        }
        let found = found(&snapshot);
        assert!(found.contains(name), "{name} (case {number}) was not found, only {found:?}");
    }
    for name in invariants {
        assert!(CASES.iter().any(|(case, _)| *case == name), "no case shows that this can fail: {name}");
    }
    let data_dir = server.data_dir().to_path_buf();
    server.stop().await;
    remove(&data_dir)
}

/// Adds an exchange to the request log, a second after the last one.
fn add_exchange(
    snapshot: &mut Snapshot,
    operation: Operation,
    key: &str,
    status: u16,
    id: &str,
    order: Option<&str>,
) {
    let at_ms = snapshot.exchanges.len() as u64 * 1_000;
    let answer =
        Answer { status, code: None, order_id: Some(id.to_owned()), order_status: order.map(str::to_owned) };
    let key = key.to_owned();
    snapshot.exchanges.push(Exchange { at_ms, took_ms: 1, key, replica: 0, operation, answer: Ok(answer) });
}

/// Adds a request with half a body that was given up after this time.
fn add_half_sent(snapshot: &mut Snapshot, took_ms: u64) {
    add_exchange(snapshot, Operation::PlaceHalf, "errand-half", 408, "", None);
    if let Some(exchange) = snapshot.exchanges.last_mut() {
        exchange.took_ms = took_ms;
        let code = Some("request_timeout".into());
        exchange.answer = Ok(Answer { status: 408, code, order_id: None, order_status: None });
    }
}

/// The payment of an order.
fn payment_of<'a>(snapshot: &'a mut Snapshot, order_id: &str) -> &'a mut Payment {
    let payment = snapshot.payments.iter_mut().find(|payment| payment.order_id == order_id);
    payment.expect("it has a payment")
}

/// Six orders, transition by transition, so that the triggers record each.
fn orders() -> String {
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
        for (event, status, phase) in transitions {
            sql += &format!("SELECT step('{id}', '{event}', '{status}', '{phase}');");
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
async fn set_up_peers(url: &str, control: &Control) -> Result<()> {
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
