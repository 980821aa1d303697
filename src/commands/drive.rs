//! The saga's executor: performs the order's next action, stores its outcome, and repeats while it has the order's lease.
//!
//! The request that places an order, the callback and the sweep all drive orders by this one loop.

use super::perform::{ActionOutcome, perform};
use super::{Context, transition_span};
use crate::db::DbError;
use crate::db::orders::Document;
use crate::db::payment_checks;
use crate::db::payment_refunds::{self, AddOutcome};
use crate::db::transition::{self, Generated, JournalEntry, StoreOutcome};
use crate::domain::message::Message;
use crate::domain::order::{MessageKind, OWN_CALLBACK_MS, Order, Payment, PaymentStatus, Phase, Status};
use crate::domain::retry::{AskedWaits, Peer};
use crate::domain::saga::{self, Action, ChargeCheck, Due, Event, Rejected, Tickets, Transition, Verdict};
use crate::domain::ticket::ticket_code;
use crate::runtime::random::random;
use crate::runtime::task;
use crate::telemetry::log::{Level, Log, rfc3339};
use crate::telemetry::tracing::current;
use anyhow::anyhow;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// The journal's type for the missing answer at which the order is parked.
const PARKED: &str = "parked";
/// The journal's type for a payment beside the order's own.
const SECOND_PAYMENT: &str = "second_payment";

/// See [`OWN_CALLBACK_MS`].
const OWN_CALLBACK: Duration = Duration::from_millis(OWN_CALLBACK_MS as u64);

/// The outcome of applying an event to an order.
pub struct TransitionOutcome {
    /// The order as it is now.
    pub order: Order,
    /// Its document, when the last statement returned it.
    pub document: Option<Document>,
    /// Whether the transition was stored and this request has the lease, to perform the next action.
    pub has_lease: bool,
    /// Why the event changed nothing, if it was rejected.
    pub rejected: Option<Rejected>,
}

/// Applies an event that is not the outcome of an action (a payment report, a buyer's request): decides, stores, and decides again
/// when the version check fails (optimistic concurrency).
///
/// # Errors
/// [`DbError`]. The sweep then claims the order when its lease is over.
pub async fn apply_event(
    context: &Context,
    order: &Order,
    event: Event,
    detail: Value,
) -> Result<TransitionOutcome, DbError> {
    apply_under_lease(context, order, event, detail, None, AskedWaits::default()).await
}

/// As [`apply_event`], after an answer of Payment that asks to wait `retry_after_ms`.
///
/// # Errors
/// As [`apply_event`].
pub async fn apply_event_after(
    context: &Context,
    order: &Order,
    event: Event,
    detail: Value,
    retry_after_ms: Option<u64>,
) -> Result<TransitionOutcome, DbError> {
    let asked = AskedWaits::of(Peer::Payment, retry_after_ms);
    apply_under_lease(context, order, event, detail, None, asked).await
}

/// As [`apply_event`]. With a `lease` (a fencing token) the event is the outcome of an action: it is rejected as stale when another
/// request has taken the order over, which learns the same by asking the peer. A payment of which nobody else learns, such as one
/// beside the order's own, is stored under any lease. `asked`: how long peers ask to be left alone.
async fn apply_under_lease(
    context: &Context,
    order: &Order,
    mut event: Event,
    detail: Value,
    mut lease: Option<i32>,
    asked: AskedWaits,
) -> Result<TransitionOutcome, DbError> {
    let mut order = order.clone();
    let mut document = None;
    loop {
        let transition = match (saga::next(&order, &event, context.config.tax), event.reported()) {
            (Ok(transition), _) => transition.after_asked_waits(asked),
            (Err(Rejected::SecondPayment), Some(second)) => {
                match add_second_payment(context, &order, second, &detail).await? {
                    SecondPayment::Stored(outcome) => return Ok(*outcome),
                    SecondPayment::Conflict(now, fresh) => (order, document) = (*now, fresh),
                }
                continue;
            }
            (Err(rejected), _) => {
                return Ok(TransitionOutcome { order, document, has_lease: false, rejected: Some(rejected) });
            }
        };
        let retry_after_ms = saga::asked_wait_ms(&transition.order, asked);
        let generated = Generated { lease, retry_after_ms, ..generate(&order, &transition) };
        let parks = transition.order.parked && !order.parked;
        let name = if parks { PARKED } else { event.name() };
        let entry = JournalEntry { event: name, actor: context.actor, data: &detail };
        // After the charge there is another store, whose document is the one that is read.
        let with_document = transition.order.phase != Phase::Charging || transition.due != Due::Held;
        let has_lease = transition.due == Due::Held;
        let span = transition_span::begin(&order, &transition, name);
        let storing =
            transition::store(&context.config, &order, transition, entry, &generated, with_document);
        let outcome = current::within(span.as_ref(), storing).await;
        transition_span::end(span, &outcome);
        match outcome? {
            StoreOutcome::Stored(after, document) => {
                log_transition(context, &order, &after, &event, &detail);
                if parks {
                    let fields =
                        json!({ "phase": after.phase, "attempts": after.attempts, "detail": detail });
                    context.log.order(after.id).error("an order needs a person", fields);
                }
                // A later message may have to wait for an earlier one, which only the sweep's claim tells.
                context.messages.borrow_mut().extend(generated.message.filter(|message| message.is_first));
                return Ok(TransitionOutcome { order: *after, document, has_lease, rejected: None });
            }
            StoreOutcome::Conflict(now, fresh)
                if lease.is_some_and(|lease| lease != now.lease) && !is_unheard_payment(&now, &event) =>
            {
                let rejected = Some(Rejected::Stale);
                return Ok(TransitionOutcome { order: *now, document: fresh, has_lease: false, rejected });
            }
            StoreOutcome::Conflict(now, fresh) => {
                if is_unheard_payment(&now, &event) {
                    lease = None;
                }
                (order, document) = (*now, fresh);
            }
            StoreOutcome::ForeignPayment(now) => {
                let fields =
                    json!({ "payment": event.reported().map(|payment| payment.id), "detail": detail });
                context.log.order(now.id).error("a payment belongs to another order", fields);
                let rejected = Some(Rejected::ForeignPayment);
                return Ok(TransitionOutcome { order: *now, document: None, has_lease: false, rejected });
            }
            StoreOutcome::SeatsClaimed(now) => {
                order = if matches!(event, Event::Charged(_)) { now.with_answered_charge() } else { *now };
                let (Event::PaymentIs(payment) | Event::Charged(payment)) = said(event) else {
                    return Err(DbError::Broken(anyhow!("claims were refused to an order without money")));
                };
                event = Event::PaidWithoutSeats(payment);
                document = None;
            }
            StoreOutcome::Gone => {
                return Err(DbError::Unavailable(anyhow!("the order was lost in a crash of the database")));
            }
        }
    }
}

/// Drives an order on: performs actions and stores their outcomes while this request has the order's lease.
///
/// # Errors
/// [`DbError`]. The sweep then claims the order when its lease is over.
pub async fn drive(context: &Context, order: Order) -> Result<TransitionOutcome, DbError> {
    let mut stored = TransitionOutcome { order, document: None, has_lease: true, rejected: None };
    let mut asked = AskedWaits::default();
    while stored.has_lease {
        let Some(action) = saga::action(&stored.order) else {
            break;
        };
        let begun = task::now();
        let ActionOutcome { event, detail, retry_after_ms } = perform(context, action, &stored.order).await;
        let charge = (action == Action::Charge).then(|| (stored.order.attempts, event.clone()));
        let (before, name) = ((stored.order.version, stored.order.lease), event.name());
        let lease = Some(stored.order.lease);
        let passed = task::now() - begun;
        stored.order.advance_clock(passed);
        asked.advance_clock(passed);
        asked.ask(action.peer(), retry_after_ms);
        stored = apply_under_lease(context, &stored.order, event, detail, lease, asked).await?;
        if let (Some((attempts, outcome)), Some(rejected)) = (charge, stored.rejected)
            && stored.order.payment.is_some()
        {
            let charge = OvertakenCharge { attempts, begun, outcome, retry_after_ms };
            follow_overtaken_charge(context, &stored.order, &charge, rejected).await?;
        }
        if stored.rejected.is_some() && (stored.order.version, stored.order.lease) == before {
            // An answer that does not fit the order's state, such as a payment that is pending again after it was paid: retried
            // with back-off, and parked in the end.
            let detail = json!({ "reason": format!("the answer was {name}") });
            let silence = Event::NoAnswer { may_land: false };
            stored = apply_under_lease(context, &stored.order, silence, detail, lease, asked).await?;
        }
    }
    Ok(stored)
}

/// A charge whose order has got a payment meanwhile.
struct OvertakenCharge {
    /// How many attempts there were before.
    attempts: u32,
    begun: Instant,
    outcome: Event,
    /// How long Payment asks to wait, in milliseconds.
    retry_after_ms: Option<u64>,
}

/// A callback about some payment has overtaken the charge: keeps the check of the charge, which may have made another one.
async fn follow_overtaken_charge(
    context: &Context,
    order: &Order,
    charge: &OvertakenCharge,
    rejected: Rejected,
) -> Result<(), DbError> {
    if let (Event::Charged(payment), Rejected::OtherPayment) = (&charge.outcome, rejected)
        && payment.is_without_money()
    {
        payment_refunds::remember(&context.config, order.id, *payment).await?;
    }
    // A callback that came sooner has left none.
    let has_check = || charge.attempts > 0 || task::now() - charge.begun >= OWN_CALLBACK;
    match saga::overtaken_charge(charge.attempts, &charge.outcome, rejected) {
        Some(ChargeCheck::Open) => {
            payment_checks::add_charge(&context.config, order.id, charge.retry_after_ms).await
        }
        Some(ChargeCheck::Closed) if has_check() => {
            payment_checks::close_charge(&context.config, order.id).await
        }
        Some(ChargeCheck::Closed) | None => Ok(()),
    }
}

/// Whether the event reports a payment that the order has not, and of which nobody else tells: another one than the order's, or that of
/// a charge which is not repeated, because an operator has said meanwhile that it took nothing.
fn is_unheard_payment(order: &Order, event: &Event) -> bool {
    let charge_is_repeated = order.phase == Phase::Charging || order.charge_is_open();
    event.reported().is_some_and(|reported| match order.payment {
        Some(known) => known.id != reported.id,
        None => !charge_is_repeated,
    })
}

/// An operator's word that the money was taken is a report of the payment like any other.
fn said(event: Event) -> Event {
    match event {
        Event::Resolved(Verdict::Taken(id)) => {
            Event::PaymentIs(Payment { id, status: PaymentStatus::Success })
        }
        event => event,
    }
}

/// What came of storing a payment beside the order's own.
enum SecondPayment {
    /// It will go back; or it is another order's.
    Stored(Box<TransitionOutcome>),
    /// Decide again on the order as it is now.
    Conflict(Box<Order>, Option<Document>),
}

/// Stores a payment beside the order's own, which goes back by a row of its own.
async fn add_second_payment(
    context: &Context,
    order: &Order,
    second: Payment,
    detail: &Value,
) -> Result<SecondPayment, DbError> {
    let is_undecided = second.status == PaymentStatus::Pending;
    let data = json!({ "payment_id": second.id, "status": second.status, "detail": detail });
    let entry = JournalEntry { event: SECOND_PAYMENT, actor: context.actor, data: &data };
    let (rejected, document) =
        match payment_refunds::add(&context.config, order.id, second.id, is_undecided, entry).await? {
            AddOutcome::Added(document) => {
                context.log.order(order.id).warn("a second payment goes back", data);
                (Rejected::SecondPayment, Some(document))
            }
            AddOutcome::Known(document) => (Rejected::SecondPayment, Some(document)),
            AddOutcome::Foreign => {
                context.log.order(order.id).error("a payment belongs to another order", data);
                (Rejected::ForeignPayment, None)
            }
            AddOutcome::Conflict(now, document) => return Ok(SecondPayment::Conflict(now, document)),
            AddOutcome::Gone => {
                return Err(DbError::Unavailable(anyhow!("the order was lost in a crash of the database")));
            }
        };
    let order = order.clone();
    let rejected = Some(rejected);
    Ok(SecondPayment::Stored(Box::new(TransitionOutcome { order, document, has_lease: false, rejected })))
}

/// Makes the random values and the outbox message of a transition of `before`, which the pure domain cannot make.
fn generate(before: &Order, transition: &Transition) -> Generated {
    let order = &transition.order;
    let mut generated = Generated::default();
    if transition.due == Due::Backoff {
        generated.jitter = random::<1>()[0];
    }
    if transition.tickets == Tickets::Issue {
        generated.tickets = order.seats.iter().map(|_| (Uuid::now_v7(), ticket_code(random))).collect();
    }
    generated.message = transition.message.map(|kind| message(before, order, kind));
    generated
}

fn message(before: &Order, order: &Order, kind: MessageKind) -> Message {
    let id = Uuid::now_v7();
    let payload = json!({
        "id": id,
        "type": kind,
        // That of the journal's entry: the version that the order has after this transition.
        "sequence": before.version + 1,
        "occurred_at": rfc3339(SystemTime::now()),
        "order_id": order.id,
        "user_id": order.user_id,
        "event_id": order.event_id,
        "seats": order.seats,
        "status": order.status,
        "failure_code": order.failure.as_ref().map(|failure| failure.code),
        "total_cents": order.amounts.map(|amounts| amounts.total_cents),
        "currency": order.currency,
    });
    Message {
        id,
        order_id: order.id,
        kind: kind.as_str().to_owned(),
        payload: payload.to_string(),
        attempts: 0,
        // Every message but the first is about an order that is pending no more, and none becomes pending again.
        is_first: before.status == Status::Pending,
    }
}

fn log_transition(context: &Context, before: &Order, after: &Order, event: &Event, detail: &Value) {
    let level = match event {
        Event::NoAnswer { .. }
        | Event::PaymentUnfamiliar(_)
        | Event::CallbackUnfamiliar
        | Event::PaymentUnknown => Level::Warn,
        _ if before.status != after.status => Level::Info,
        _ => Level::Debug,
    };
    if !Log::writes(level) {
        return;
    }
    let fields = json!({
        "event": event.name(), "actor": context.actor, "status": after.status, "phase": after.phase,
        "version": after.version, "attempts": after.attempts, "detail": detail,
    });
    let message = match event {
        Event::NoAnswer { .. } => "a peer gave no answer",
        Event::PaymentUnfamiliar(_) | Event::CallbackUnfamiliar => {
            "Payment shows a status that means nothing to the service"
        }
        Event::PaymentUnknown => "Payment does not know a payment",
        _ => "order moved on",
    };
    context.log.order(after.id).line(level, message, fields);
}
