//! Mutation tests of the checker: a valid state has no violations, and each mutation of it is found under the name of the
//! invariant that it breaks.
//!
//! The state is a migrated database and a sandbox. Each case mutates a copy.

mod valid_events;
mod valid_state;

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::{Snapshot, check};
use crate::chaos::request_log::{Answer, Exchange, Operation};
use crate::chaos::transition_recorder;
use crate::migrations;
use crate::peers::{CallbackRecord, Payment, PaymentStatus, Peers};
use crate::postgres::{Options, Server, remove};
use valid_events::add_events;
use valid_state::{CANCELLED, CONFIRMED, DECLINED, FREE, LATE, orders, set_up_peers};

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
    ("the journal is whole", Sql("UPDATE order_events SET count = 1")),
    ("the journal is whole", Sql("UPDATE order_events SET seq = 11 WHERE seq = 10")),
    (
        "the journal tells causes before effects",
        Sql("UPDATE order_events SET type = 'payment_pending' WHERE type = 'payment_succeeded'"),
    ),
    (
        "the journal tells causes before effects",
        Sql("UPDATE order_events SET type = 'refund_requested' WHERE type = 'payment_failed'"),
    ),
    (
        "the journal tells causes before effects",
        Sql("UPDATE recorder.transitions SET phase = 'allocating' WHERE version = 8"),
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
    ("every event of every order arrived at the sink", OfSnapshot(|e| drop(e.events.pop()))),
    ("every event of every order arrived at the sink", OfSnapshot(|e| e.events.clear())),
    ("every event of every order arrived at the sink", Sql("UPDATE order_events SET events = NULL WHERE seq = 4")),
    ("the events of one order arrive in its order, without gaps", OfSnapshot(|e| e.events.reverse())),
    ("the events of one order arrive in its order, without gaps", OfSnapshot(|e| e.events.swap(1, 2))),
    ("the events of one order arrive in its order, without gaps", OfSnapshot(|e| drop(e.events.remove(0)))),
    (
        "an event that comes again is the same",
        OfSnapshot(|e| {
            let mut again = e.events[0].clone();
            again.event["data"]["seats"] = json!([7]);
            e.events.push(again);
        }),
    ),
    (
        "an event that comes again is the same",
        OfSnapshot(|e| {
            let mut again = e.events[0].clone();
            again.body.push(' ');
            e.events.push(again);
        }),
    ),
    ("an event that comes again is the same", OfSnapshot(|e| e.events[1].event["id"] = e.events[0].event["id"].clone())),
    (
        "every event is about an order that exists",
        OfSnapshot(|e| e.events[0].event["subject"] = json!("01980000-0000-7000-8000-0000000000ff")),
    ),
    ("every event is about an order that exists", OfSnapshot(|e| e.events[0].event["partitionkey"] = json!(FREE))),
    ("every event is signed", OfSnapshot(|e| e.events[0].webhook.clear())),
    ("every event is signed", OfSnapshot(|e| e.events[0].body.push(' '))),
    ("every event is signed", OfSnapshot(|e| e.events[0].webhook = e.events[1].webhook.clone())),
    ("every event belongs to the trace of its order", OfSnapshot(|e| e.events[0].event["traceparent"] = json!(null))),
    (
        "every event belongs to the trace of its order",
        OfSnapshot(|e| {
            let last = e.events.len() - 1;
            e.events[0].event["traceparent"] = e.events[last].event["traceparent"].clone();
        }),
    ),
    ("the events of an order tell its history", OfSnapshot(|e| e.events[0].event["type"] = json!("order.failed.v1"))),
    (
        "the events of an order tell its history",
        OfSnapshot(|e| e.events.retain(|taken| taken.event["type"] != "ticket.issued.v1")),
    ),
    (
        "the events of an order tell its history",
        OfSnapshot(|e| e.events.retain(|taken| taken.event["type"] != "ticket.voided.v1")),
    ),
    (
        "the events of an order tell its history",
        Sql("UPDATE recorder.transitions s SET status = 'FAILED' FROM orders o WHERE o.id = s.order_id AND o.status = 'CANCELLED' AND s.version > 3"),
    ),
    ("the data of events agree with the order", Sql("UPDATE orders SET user_id = 8 WHERE status = 'FAILED'")),
    ("the data of events agree with the order", Sql("UPDATE orders SET seats = '{9}' WHERE status = 'FAILED'")),
    ("the data of events agree with the order", Sql("UPDATE orders SET failure_code = 'seats_unavailable' WHERE status = 'FAILED'")),
    ("the data of events agree with the order", Sql("UPDATE tickets SET ticket_code = 'TKT' WHERE seat_id = 1")),
    ("the data of events agree with the order", Sql("UPDATE tickets SET voided_at = NULL")),
    (
        "the data of events agree with the order",
        OfSnapshot(|e| e.events.iter_mut().for_each(|taken| drop(taken.event["data"].as_object_mut().unwrap().remove("total_cents")))),
    ),
    (
        "the data of events agree with the order",
        OfSnapshot(|e| {
            for taken in e.events.iter_mut().filter(|taken| taken.event["type"] == "order.refunded.v1") {
                taken.event["data"]["total_cents"] = json!(1);
            }
        }),
    ),
    (
        "the data of events agree with the order",
        OfSnapshot(|e| e.orders.iter_mut().for_each(|order| order.payment_id = Some("another".into()))),
    ),
    ("the feed lists the same events, each once and in order", OfSnapshot(|e| drop(e.feed.pop()))),
    ("the feed lists the same events, each once and in order", OfSnapshot(|e| e.feed.push(e.feed[0].clone()))),
    ("the feed lists the same events, each once and in order", OfSnapshot(|e| e.feed.swap(0, 1))),
    ("the feed lists the same events, each once and in order", OfSnapshot(|e| e.feed[0]["data"]["seats"] = json!([7]))),
    ("the feed lists the same events, each once and in order", OfSnapshot(|e| e.feed[0]["time"] = json!("later"))),
    ("no event waits, and none is a dead letter", Sql("UPDATE event_deliveries SET due_at = now()")),
    ("no event waits, and none is a dead letter", Sql("UPDATE event_deliveries SET dead_at = now()")),
    ("no event waits, and none is a dead letter", Sql("UPDATE event_deliveries SET next = 1")),
    ("no sink of events is off or paused", Sql("UPDATE event_sinks SET off_at = now() WHERE sink = 'http'")),
    ("no sink of events is off or paused", Sql("UPDATE event_sinks SET paused_until = now() WHERE sink = 'http'")),
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

    add_events(&template, &sandbox.url()).await?;

    let valid_state = async |name: &str, sql: &str| {
        let database = server.create_database(name, Some("sound")).await?;
        database.connect().await?.batch_execute(sql).await?;
        let mut snapshot = Snapshot::of_database_and_peers(&database, &control).await?;
        // The first is of the order that was sold.
        snapshot.payments.sort_by(|a, b| a.order_id.cmp(&b.order_id));
        snapshot.prices =
            BTreeMap::from([(1, 15_000), (2, 9_999), (3, 1), (4, 7_525), (5, 2_000), (6, 4_000), (7, 0)]);
        snapshot.stuck = Some(json!({ "orders": [], "messages": [] }));
        snapshot.feed = snapshot.events.iter().map(|taken| taken.event.clone()).collect();
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
