//! Moves an order on: performs its next action, stores what came of it, and goes on while the order is held.
//!
//! The request that places an order, the callback and the sweep all move orders by this one loop.

use super::Context;
use super::perform::{ActionOutcome, perform};
use crate::db::DbError;
use crate::db::orders::Document;
use crate::db::transition::{self, Generated, JournalEntry, StoreOutcome};
use crate::domain::message::Message;
use crate::domain::order::{MessageKind, Order, Phase};
use crate::domain::saga::{self, Due, Event, Rejected, Tickets, Transition};
use crate::domain::ticket::ticket_code;
use crate::runtime::random::random;
use crate::telemetry::log::{Level, Log};
use anyhow::anyhow;
use serde_json::{Value, json};
use uuid::Uuid;

/// The journal's type for the missing answer at which the operator is told.
const PARKED: &str = "parked";

/// Where an event left an order.
pub struct TransitionOutcome {
    /// The order as it is now.
    pub order: Order,
    /// Its document, when the last statement gave it.
    pub document: Option<Document>,
    /// Whether the transition was ours, and we hold the order to perform its next action.
    pub held: bool,
    /// Why the event changed nothing, if so.
    pub rejected: Option<Rejected>,
}

/// Decides what news or a request does to an order and stores it; decides again when somebody else was faster.
///
/// # Errors
/// [`DbError`]. The order is then found again by the sweep when its lease is over.
pub async fn apply_event(
    context: &Context,
    order: &Order,
    event: Event,
    detail: Value,
) -> Result<TransitionOutcome, DbError> {
    apply_under_lease(context, order, event, detail, None).await
}

/// As [`store`]. With a `lease` it is what came of an action: when somebody else has meanwhile taken the order over, it
/// says nothing, because they, or the next sweep, learn the same by asking.
async fn apply_under_lease(
    context: &Context,
    order: &Order,
    mut event: Event,
    detail: Value,
    lease: Option<i32>,
) -> Result<TransitionOutcome, DbError> {
    let mut order = order.clone();
    let mut document = None;
    loop {
        let transition = match saga::next(&order, &event, context.config.tax) {
            Ok(transition) => transition,
            Err(rejected) => {
                return Ok(TransitionOutcome { order, document, held: false, rejected: Some(rejected) });
            }
        };
        let generated = Generated { lease, ..generate(&transition) };
        let parks = transition.order.parked && !order.parked;
        let name = if parks { PARKED } else { event.name() };
        let entry = JournalEntry { event: name, actor: context.actor, data: &detail };
        // Whoever goes on to the charge stores again: nobody reads this document.
        let with_document = transition.order.phase != Phase::Charging || transition.due != Due::Held;
        let held = transition.due == Due::Held;
        match transition::store(&context.config, &order, transition, entry, &generated, with_document).await?
        {
            StoreOutcome::Stored(after, document) => {
                log_transition(context, &order, &after, &event, &detail);
                if parks {
                    let fields =
                        json!({ "phase": after.phase, "attempts": after.attempts, "detail": detail });
                    context.log.order(after.id).error("an order needs a person", fields);
                }
                context.messages.borrow_mut().extend(generated.message);
                return Ok(TransitionOutcome { order: *after, document, held, rejected: None });
            }
            StoreOutcome::Conflict(now, fresh) if lease.is_some_and(|lease| lease != now.lease) => {
                let rejected = Some(Rejected::Stale);
                return Ok(TransitionOutcome { order: *now, document: fresh, held: false, rejected });
            }
            StoreOutcome::Conflict(now, fresh) => (order, document) = (*now, fresh),
            StoreOutcome::SeatsClaimed(now) => {
                let Event::PaymentIs(payment) = event else {
                    return Err(DbError::Broken(anyhow!("claims were refused to an order without money")));
                };
                event = Event::PaidWithoutSeats(payment);
                (order, document) = (*now, None);
            }
            StoreOutcome::Gone => {
                return Err(DbError::Unavailable(anyhow!("the order was lost in a crash of the database")));
            }
        }
    }
}

/// Performs actions and stores their outcomes for as long as we hold the order.
///
/// # Errors
/// [`DbError`]. The order is then found again by the sweep when its lease is over.
pub async fn drive(context: &Context, order: Order) -> Result<TransitionOutcome, DbError> {
    let mut stored = TransitionOutcome { order, document: None, held: true, rejected: None };
    while stored.held {
        let Some(action) = saga::action(&stored.order) else {
            break;
        };
        let ActionOutcome { event, detail } = perform(context, action, &stored.order).await;
        let (before, name) = ((stored.order.version, stored.order.lease), event.name());
        let lease = Some(stored.order.lease);
        stored = apply_under_lease(context, &stored.order, event, detail, lease).await?;
        if stored.rejected.is_some() && (stored.order.version, stored.order.lease) == before {
            // An answer for which the order has no use, such as a payment that is pending once it was paid: the peer is
            // asked again, and an operator is told in the end.
            let detail = json!({ "reason": format!("the answer was {name}") });
            stored =
                apply_under_lease(context, &stored.order, Event::NoAnswer { may_land: false }, detail, lease)
                    .await?;
        }
    }
    Ok(stored)
}

/// Makes what a transition needs beyond what the domain can make.
fn generate(transition: &Transition) -> Generated {
    let order = &transition.order;
    let mut generated = Generated::default();
    if transition.due == Due::Backoff {
        generated.jitter = random::<1>()[0];
    }
    if transition.tickets == Tickets::Issue {
        generated.tickets = order.seats.iter().map(|_| (Uuid::now_v7(), ticket_code(random()))).collect();
    }
    generated.message = transition.message.map(|kind| message(order, kind));
    generated
}

fn message(order: &Order, kind: MessageKind) -> Message {
    let id = Uuid::now_v7();
    let payload = json!({
        "id": id,
        "type": kind,
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
    }
}

fn log_transition(context: &Context, before: &Order, after: &Order, event: &Event, detail: &Value) {
    let level = match event {
        Event::NoAnswer { .. } => Level::Warn,
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
        _ => "order moved on",
    };
    context.log.order(after.id).line(level, message, fields);
}
