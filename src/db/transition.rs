//! The statement that stores a transition.

use super::answer::{Answer, answer, named};
use super::orders::{Document, order};
use super::{DbError, Session, json, query, text, uuid};
use crate::config::Config;
use crate::domain::event::Sink;
use crate::domain::message::Message;
use crate::domain::order::{Order, PaymentStatus, Phase};
use crate::domain::retry;
use crate::domain::saga::{Claims, Due, Tickets, Transition};
use crate::telemetry::tracing::current;
use anyhow::anyhow;
use serde_json::{Map, Value, json};
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// The result of storing a transition.
#[derive(Debug)]
pub enum StoreOutcome {
    /// It is stored; the order as it is now, and its document if it was asked for.
    Stored(Box<Order>, Option<Document>),
    /// The version check failed (optimistic concurrency): a concurrent transition was stored first. The order as it is now.
    Conflict(Box<Order>, Option<Document>),
    /// Its seats cannot be claimed: another live order has one of them. The order as it is now.
    SeatsClaimed(Box<Order>),
    /// The payment is another order's. The order as it is now.
    ForeignPayment(Box<Order>),
    /// There is no such order (a crash of PostgreSQL may lose one that was just placed).
    Gone,
}

/// The journal entry of a transition.
#[derive(Clone, Copy, Debug)]
pub struct JournalEntry<'a> {
    /// The event's name.
    pub event: &'a str,
    /// What caused it: `client`, `payment`, `sweep` or `operator`.
    pub actor: &'a str,
    /// Details, no personal data.
    pub data: &'a Value,
}

impl JournalEntry<'_> {
    /// The details, with the `traceparent` of the span in which it happened, if there is one.
    pub(super) fn parameter(&self) -> ParameterValue {
        match (current::traceparent(), self.data) {
            (Some(traceparent), Value::Object(members)) => {
                let mut members = members.clone();
                members.insert("traceparent".to_owned(), traceparent.into());
                json(&Value::Object(members))
            }
            (Some(traceparent), Value::Null) => json(&json!({ "traceparent": traceparent })),
            (_, data) => json(data),
        }
    }
}

/// What a transition needs that the pure domain cannot make: random values and the outbox message.
#[derive(Debug, Default)]
pub struct Generated {
    /// One id and code per seat, when tickets are issued, in the order of the order's seats.
    pub tickets: Vec<(Uuid, String)>,
    /// The outbox message that is stored with it.
    pub message: Option<Message>,
    /// Jitter of the back-off: random, 0 to 255.
    pub jitter: u8,
    /// How long the peer of the next action asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Fencing token: the outcome of an action is stored only under the lease under which it was performed. `None` for payment
    /// reports and buyers' requests, which are stored under any lease.
    pub lease: Option<i32>,
}

/// Stores a transition of `before` in one statement, if the order still has the version on which it was decided (optimistic
/// concurrency). `with_document`: also return the order's document.
///
/// # Errors
/// [`DbError`].
pub async fn store(
    config: &Config,
    before: &Order,
    transition: Transition,
    entry: JournalEntry<'_>,
    generated: &Generated,
    with_document: bool,
) -> Result<StoreOutcome, DbError> {
    let parameters = || parameters(config, before, &transition, entry, generated, with_document);
    let mut answer =
        answer(query(config, Session::Shared, include_str!("sql/apply_transition.sql"), parameters).await?)?;
    let outcome = answer.text()?;
    Ok(match &outcome[..] {
        "applied" => {
            let order = after(transition.order, &mut answer)?;
            StoreOutcome::Stored(Box::new(order), answer.optional_text())
        }
        "conflict" => StoreOutcome::Conflict(Box::new(order(&answer.text()?)?), answer.optional_text()),
        "claimed" => StoreOutcome::SeatsClaimed(Box::new(order(&answer.text()?)?)),
        "foreign" => StoreOutcome::ForeignPayment(Box::new(order(&answer.text()?)?)),
        "gone" => StoreOutcome::Gone,
        unknown => return Err(DbError::Broken(anyhow!("apply_transition: unknown outcome {unknown}"))),
    })
}

/// The order as stored: as decided, with the version, lease and times that the database set.
fn after(decided: Order, answer: &mut Answer) -> Result<Order, DbError> {
    Ok(Order {
        version: answer.number()?,
        lease: answer.number()?,
        expires_in_ms: answer.number()?,
        hold_in_ms: answer.number()?,
        in_flight_ms: answer.number()?,
        ..decided
    })
}

/// The parameters of the function `apply_transition`.
fn parameters(
    config: &Config,
    before: &Order,
    transition: &Transition,
    entry: JournalEntry<'_>,
    generated: &Generated,
    with_document: bool,
) -> Vec<ParameterValue> {
    use ParameterValue::{Boolean, Int32, Int64};
    let order = &transition.order;
    let (due, due_ms) = due(transition, generated);
    let [subtotal, tax, total, codes, prices] = priced(transition);
    let [ticket_ids, ticket_codes] = tickets(generated);
    named! { "sql/apply_transition.sql":
        p_id = uuid(order.id.0),
        p_version = Int32(order.version),
        p_lease = generated.lease.map_or(ParameterValue::DbNull, Int32),
        p_was_status = text(before.status.as_str()),
        p_was_phase = text(before.phase.as_str()),
        p_status = text(order.status.as_str()),
        p_phase = text(order.phase.as_str()),
        p_hold = text(order.hold.as_str()),
        p_attempts = Int32(i32::try_from(order.attempts).unwrap_or(i32::MAX)),
        p_payment_id = order.payment.map_or(ParameterValue::DbNull, |payment| uuid(payment.id.0)),
        p_payment_status = order.payment.map_or(ParameterValue::DbNull, |payment| text(payment.status.as_str())),
        p_payment_unsure = Boolean(order.payment_unsure),
        p_given_up = Boolean(order.given_up),
        p_parked = Boolean(order.parked),
        p_due = text(due),
        p_due_ms = Int64(i64::try_from(due_ms).unwrap_or(i64::MAX)),
        p_leased = Boolean(transition.due == Due::Held),
        p_subtotal = subtotal,
        p_tax = tax,
        p_total = total,
        p_seat_codes = codes,
        p_seat_prices = prices,
        p_ticket_ids = ticket_ids,
        p_ticket_codes = ticket_codes,
        p_event = text(entry.event),
        p_actor = text(entry.actor),
        p_data = entry.parameter(),
        p_more = more(config, before, transition, entry, generated),
        p_document = Boolean(with_document),
    }
}

/// `p_due` and `p_due_ms` of the function.
fn due(transition: &Transition, generated: &Generated) -> (&'static str, u64) {
    let order = &transition.order;
    match transition.due {
        Due::Never => ("never", 0),
        Due::Unchanged => ("unchanged", 0),
        Due::AtExpiry => ("expiry", 0),
        Due::Settled => ("settled", 0),
        Due::Watch => {
            ("watch", retry::WATCH_FIRST_MS.max(retry::asked_wait_ms(order, generated.retry_after_ms)))
        }
        Due::Now => ("in", retry::asked_wait_ms(order, generated.retry_after_ms)),
        Due::Held => ("in", retry::lease_ms(order.phase)),
        Due::Backoff => ("in", retry::order_wait_ms(order, generated.retry_after_ms, generated.jitter)),
    }
}

/// Subtotal, tax, total and prices in cents, and the seats' codes, when they have just become known. Items come in the order
/// of the order's seats.
fn priced(transition: &Transition) -> [ParameterValue; 5] {
    let (Some(items), Some(amounts)) = (&transition.items, transition.order.amounts) else {
        return [const { ParameterValue::DbNull }; 5];
    };
    // Amounts are checked to fit the columns where they are made.
    let cents = |cents: i64| i32::try_from(cents).unwrap_or(i32::MAX);
    [
        ParameterValue::Int32(cents(amounts.subtotal_cents)),
        ParameterValue::Int32(cents(amounts.tax_cents)),
        ParameterValue::Int32(cents(amounts.total_cents)),
        ParameterValue::ArrayStr(items.iter().map(|item| item.seat_code.clone()).collect()),
        ParameterValue::ArrayInt32(items.iter().map(|item| Some(cents(item.price_cents))).collect()),
    ]
}

/// Ids and codes of the tickets, when they are issued.
fn tickets(generated: &Generated) -> [ParameterValue; 2] {
    if generated.tickets.is_empty() {
        return [const { ParameterValue::DbNull }; 2];
    }
    [
        ParameterValue::ArrayStr(generated.tickets.iter().map(|(id, _)| Some(id.to_string())).collect()),
        ParameterValue::ArrayStr(generated.tickets.iter().map(|(_, code)| Some(code.clone())).collect()),
    ]
}

/// `p_more`: the rare parameters as JSON; NULL when there are none.
fn more(
    config: &Config,
    before: &Order,
    transition: &Transition,
    entry: JournalEntry<'_>,
    generated: &Generated,
) -> ParameterValue {
    let order = &transition.order;
    let mut more = Map::new();
    let mut put = |name: &str, value: Value| drop(more.insert(name.to_owned(), value));
    if let Some(failure) = &order.failure {
        put("failure_code", json!(failure.code));
        put("failure_detail", json!(failure.detail));
        if before.failure.as_ref().map(|failure| failure.code) != Some(failure.code) {
            put("failure_is_new", json!(true));
        }
    }
    if transition.in_flight {
        put("in_flight_ms", json!(order.in_flight_ms));
    }
    if transition.due == Due::Watch {
        put("watch_cap_ms", json!(retry::WATCH_CAP_MS));
    }
    if transition.renew_expiry {
        put("renew_seconds", json!(config.order_ttl_seconds));
        put("renew_hold_seconds", json!(retry::HOLD_WINDOW_SECONDS));
    }
    if transition.hold_observed {
        put("renew_hold_seconds", json!(0));
    }
    if transition.tickets == Tickets::Void {
        put("void_tickets", json!(true));
    }
    match transition.claims {
        Claims::Keep => {}
        Claims::Take => put("claims", json!("take")),
        Claims::Drop => put("claims", json!("drop")),
    }
    if is_about_refund(before, order) {
        put("refund_was", json!(before.payment_status()));
    }
    if order.refund_again_in_ms.is_some() && order.refund_again_in_ms != before.refund_again_in_ms {
        put("refund_again_ms", json!(order.refund_again_in_ms));
    }
    if let Some(replaced) = transition.replaced {
        put("replaced", json!(replaced.id));
        // A doubted one is asked about.
        if replaced.status == PaymentStatus::Failed && !before.payment_unsure {
            put("replaced_failed", json!(true));
        }
    }
    if transition.charge_open {
        // Until then the attempt that is under way may have its answer.
        put("charge_open_ms", json!(retry::lease_ms(Phase::Charging)));
    }
    if repeats(before, transition, entry) {
        put("repeats", json!(true));
    }
    // Few other transitions make events.
    if config.events.has_sinks() && (order.status != before.status || transition.tickets != Tickets::Keep) {
        put("sinks", config.events.sinks().map(Sink::as_str).collect());
    }
    if let Some(message) = &generated.message {
        let message = json!({
            "id": message.id,
            "kind": message.kind,
            "payload": message.payload,
            "lease_ms": if message.is_first { retry::MESSAGE_LEASE_MS } else { 0 },
        });
        put("message", message);
    }
    if more.is_empty() { ParameterValue::DbNull } else { json(&Value::Object(more)) }
}

/// Whether the transition is only an attempt more: nothing that anybody acts on is different. An operator's word, with its reason, is
/// always an entry of its own.
fn repeats(before: &Order, transition: &Transition, entry: JournalEntry<'_>) -> bool {
    let order = &transition.order;
    entry.actor != "operator"
        && (order.status, order.phase, order.hold, order.payment, order.given_up)
            == (before.status, before.phase, before.hold, before.payment, before.given_up)
        && transition.items.is_none()
        && transition.message.is_none()
        && transition.tickets == Tickets::Keep
        && transition.claims == Claims::Keep
}

/// Whether the order's row of `refunds` may have to change.
fn is_about_refund(before: &Order, order: &Order) -> bool {
    before.phase == Phase::Refunding
        || order.phase == Phase::Refunding
        || order.payment_status() == Some(PaymentStatus::Refunded)
}
