//! The statements about orders.

use super::{Columns, DbError, ints, json, only_row, query, text, uuid};
use crate::config::Config;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::key::IdempotencyKey;
use crate::domain::money::Amounts;
use crate::domain::order::{Failure, FailureCode, Hold, Order, Payment, PaymentStatus, Phase, Status};
use crate::domain::retry;
use crate::domain::saga::{Claims, Tickets, Transition};
use crate::domain::seats::SeatSet;
use serde::Deserialize;
use serde_json::{Value, json};
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// The order document of the HTTP contract, as JSON text that is passed through.
pub type Document = String;

/// A placing request that passed validation.
#[derive(Clone, Debug)]
pub struct Request {
    /// The client's key.
    pub key: IdempotencyKey,
    /// See [`crate::domain::seats::request_hash`].
    pub hash: String,
    /// The buyer.
    pub user_id: i32,
    /// The event.
    pub event_id: i32,
    /// The seats.
    pub seats: SeatSet,
}

/// What is stored under an idempotency key.
#[derive(Debug)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// The order that the same request placed.
    Same(Box<Order>, Document),
    /// Something that another request placed.
    Other,
}

/// What became of a new order.
#[derive(Debug)]
pub enum Inserted {
    /// It is stored.
    Placed,
    /// Nothing is stored: other live orders have these seats.
    Taken(Vec<i32>),
    /// Nothing is stored: the key is in use.
    Exists(Stored),
}

/// What became of a transition.
#[derive(Debug)]
pub enum Applied {
    /// It is stored; the order as it is now, and its document if it was asked for.
    Yes(Box<Order>, Option<Document>),
    /// Somebody else made a transition meanwhile; the order as it is now.
    Conflict(Box<Order>, Option<Document>),
    /// Its claims cannot be taken: another live order has one of the seats.
    Claimed(Box<Order>),
    /// There is no such order (a crash of PostgreSQL may lose one that was just placed).
    Gone,
}

/// What the journal says of a transition beside what changed.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The event's name.
    pub event: &'a str,
    /// Who caused it: `client`, `payment`, `sweep` or `operator`.
    pub actor: &'a str,
    /// Details, no personal data.
    pub data: Value,
}

/// What a transition needs that the pure domain cannot make: randomness and the outbox message.
#[derive(Debug, Default)]
pub struct Made {
    /// One id and code per seat, when tickets are issued.
    pub tickets: Vec<(Uuid, i32, String)>,
    /// The message that goes out with it.
    pub message: Option<super::outbox::Message>,
    /// Random, for the back-off.
    pub jitter: u8,
    /// What came of an action counts only under the lease under which it was performed; news and requests have none.
    pub lease: Option<i32>,
}

/// Looks an idempotency key up.
///
/// # Errors
/// [`DbError`].
pub async fn find(config: &Config, request: &Request) -> Result<Stored, DbError> {
    let parameters = vec![
        text(request.key.as_str()),
        text(&*request.hash),
        ParameterValue::Int32(request.user_id),
        ParameterValue::Int32(request.event_id),
        ints(request.seats.ids()),
    ];
    let mut row = only_row(query(config, include_str!("sql/order_find.sql"), parameters).await?)?;
    let outcome = row.text()?;
    stored(&outcome, &mut row)
}

/// Stores a new order in phase `reserving`, its claims and its journal's first entry; or nothing at all.
///
/// # Errors
/// [`DbError`].
pub async fn place(config: &Config, id: OrderId, request: &Request) -> Result<Inserted, DbError> {
    let parameters = vec![
        uuid(id.0),
        text(request.key.as_str()),
        text(&*request.hash),
        ParameterValue::Int32(request.user_id),
        ParameterValue::Int32(request.event_id),
        ints(request.seats.ids()),
        text(&*config.currency),
        ParameterValue::Int32(config.order_ttl_seconds as i32),
        ParameterValue::Int32(retry::HOLD_WINDOW_SECONDS as i32),
        ParameterValue::Int32(retry::lease_ms(Phase::Reserving) as i32),
    ];
    let mut row = only_row(query(config, include_str!("sql/order_place.sql"), parameters).await?)?;
    let outcome = row.text()?;
    let taken = row.ints()?;
    Ok(match &outcome[..] {
        "placed" => Inserted::Placed,
        "taken" => Inserted::Taken(taken),
        other => match stored(other, &mut row)? {
            // The statement was repeated on a new connection, and had succeeded on the old one.
            Stored::Same(order, _) if order.id == id => Inserted::Placed,
            stored => Inserted::Exists(stored),
        },
    })
}

fn stored(outcome: &str, row: &mut Columns) -> Result<Stored, DbError> {
    Ok(match outcome {
        "none" => Stored::Nothing,
        "other" => Stored::Other,
        "same" => Stored::Same(Box::new(order(&row.text()?)?), row.text()?),
        unknown => return Err(DbError::Broken(format!("outcome {unknown}"))),
    })
}

/// The order and its document; none when there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn load(config: &Config, id: OrderId) -> Result<Option<(Order, Document)>, DbError> {
    let rows = query(config, include_str!("sql/order_load.sql"), vec![uuid(id.0)]).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let mut row = Columns::of(row);
    Ok(Some((order(&row.text()?)?, row.text()?)))
}

/// The order's version and document; none when there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn read(config: &Config, id: OrderId) -> Result<Option<(i32, Document)>, DbError> {
    let rows = query(config, include_str!("sql/order_read.sql"), vec![uuid(id.0)]).await?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let mut row = Columns::of(row);
    Ok(Some((row.int()?, row.text()?)))
}

/// The order's journal as JSON text that is passed through; none when there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn journal(config: &Config, id: OrderId) -> Result<Option<String>, DbError> {
    let rows = query(config, include_str!("sql/order_journal.sql"), vec![uuid(id.0)]).await?;
    rows.into_iter().next().map(|row| Columns::of(row).text()).transpose()
}

/// Stores a transition in one statement, if the order still has the version on which it was decided.
///
/// # Errors
/// [`DbError`].
pub async fn apply(
    config: &Config,
    transition: &Transition,
    entry: Entry<'_>,
    made: &Made,
    with_document: bool,
) -> Result<Applied, DbError> {
    let parameters = vec![
        uuid(transition.order.id.0),
        ParameterValue::Int32(transition.order.version),
        json(&change(config, transition, entry, made)),
        ParameterValue::Boolean(with_document),
    ];
    let mut row = only_row(query(config, include_str!("sql/order_apply.sql"), parameters).await?)?;
    let outcome = row.text()?;
    if outcome == "gone" {
        return Ok(Applied::Gone);
    }
    let order = Box::new(order(&row.text()?)?);
    let document = row.optional_text()?;
    Ok(match &outcome[..] {
        "applied" => Applied::Yes(order, document),
        "conflict" => Applied::Conflict(order, document),
        "claimed" => Applied::Claimed(order),
        unknown => return Err(DbError::Broken(format!("outcome {unknown}"))),
    })
}

/// Claims due orders for the sweep: each is leased to the caller. A row that cannot be read, as one that a newer
/// version of the service wrote, is an error of its own and keeps nobody from the others.
///
/// # Errors
/// [`DbError`] when nothing could be claimed.
pub async fn claim_due(config: &Config, limit: i32) -> Result<Vec<Result<Order, DbError>>, DbError> {
    let mut leases: serde_json::Map<String, Value> =
        Phase::ALL.iter().map(|phase| (phase.as_str().to_owned(), json!(retry::lease_ms(*phase)))).collect();
    leases.insert("in_flight".into(), json!(retry::IN_FLIGHT_MS));
    let parameters = vec![ParameterValue::Int32(limit), json(&Value::Object(leases))];
    let rows = query(config, include_str!("sql/order_claim_due.sql"), parameters).await?;
    Ok(rows.into_iter().map(|row| order(&Columns::of(row).text()?)).collect())
}

/// The JSON of a transition, as the function `order_apply` takes it.
fn change(config: &Config, transition: &Transition, entry: Entry<'_>, made: &Made) -> Value {
    use crate::domain::saga::Due;
    let order = &transition.order;
    let mut change = json!({
        "status": order.status,
        "phase": order.phase,
        "hold": order.hold,
        "failure_code": order.failure.as_ref().map(|failure| failure.code),
        "failure_detail": order.failure.as_ref().map(|failure| &failure.detail),
        "payment_id": order.payment.map(|payment| payment.id),
        "payment_status": order.payment.map(|payment| payment.status),
        "attempts": order.attempts,
        "due": match transition.due {
            Due::Never => "never".to_owned(),
            Due::Unchanged => "unchanged".to_owned(),
            Due::AtExpiry => "expiry".to_owned(),
            Due::Now => "0".to_owned(),
            Due::Held => retry::lease_ms(order.phase).to_string(),
            Due::Backoff => {
                let cap_ms = retry::order_backoff_cap_ms(order.attempts);
                retry::backoff_ms(order.attempts, cap_ms, made.jitter).to_string()
            }
            Due::Settled => "settled".to_owned(),
            Due::Watch => "watch".to_owned(),
        },
        "leased": transition.due == Due::Held,
        "given_up": order.given_up,
        "payment_unsure": order.payment_unsure,
        "parked": order.parked,
        "event": entry.event,
        "actor": entry.actor,
        "data": entry.data,
    });
    if let Some(lease) = made.lease {
        change["lease"] = json!(lease);
    }
    if transition.in_flight {
        change["in_flight_ms"] = json!(order.in_flight_ms);
    }
    if transition.due == Due::Watch {
        change["watch_first_ms"] = json!(retry::WATCH_FIRST_MS);
        change["watch_cap_ms"] = json!(retry::WATCH_CAP_MS);
    }
    if let (Some(items), Some(amounts)) = (&transition.items, order.amounts) {
        change["subtotal_cents"] = json!(amounts.subtotal_cents);
        change["tax_cents"] = json!(amounts.tax_cents);
        change["total_cents"] = json!(amounts.total_cents);
        change["items"] = items
            .iter()
            .map(|item| json!({"seat_id": item.seat_id, "seat_code": item.seat_code, "seat_price_cents": item.price_cents}))
            .collect();
    }
    if transition.renew_expiry {
        change["renew_seconds"] = json!(config.order_ttl_seconds);
        change["renew_hold_seconds"] = json!(retry::HOLD_WINDOW_SECONDS);
    }
    match transition.tickets {
        Tickets::Keep => {}
        Tickets::Issue => {
            change["tickets"] = made
                .tickets
                .iter()
                .map(|(id, seat_id, code)| json!({"id": id, "seat_id": seat_id, "ticket_code": code}))
                .collect();
        }
        Tickets::Void => change["void_tickets"] = json!(true),
    }
    match transition.claims {
        Claims::Keep => {}
        Claims::Take => change["claims"] = json!("take"),
        Claims::Drop => change["claims"] = json!("drop"),
    }
    if let Some(message) = &made.message {
        change["message"] = json!({
            "id": message.id,
            "kind": message.kind,
            "payload": message.payload,
            "lease_ms": retry::MESSAGE_LEASE_MS,
        });
    }
    change
}

/// The JSON of the function `order_state`.
#[derive(Deserialize)]
struct State {
    id: OrderId,
    version: i32,
    user_id: i32,
    event_id: i32,
    seats: Vec<i32>,
    status: Status,
    phase: Phase,
    hold: Hold,
    failure_code: Option<FailureCode>,
    failure_detail: Option<String>,
    currency: String,
    subtotal_cents: Option<i64>,
    tax_cents: Option<i64>,
    total_cents: Option<i64>,
    payment_id: Option<PaymentId>,
    payment_status: Option<PaymentStatus>,
    attempts: u32,
    lease: i32,
    expires_in_ms: i64,
    hold_in_ms: i64,
    in_flight_ms: i64,
    given_up: bool,
    payment_unsure: bool,
    parked: bool,
}

fn order(json: &str) -> Result<Order, DbError> {
    let state: State =
        serde_json::from_str(json).map_err(|error| DbError::Broken(format!("order state: {error}")))?;
    let amounts = match (state.subtotal_cents, state.tax_cents, state.total_cents) {
        (Some(subtotal_cents), Some(tax_cents), Some(total_cents)) => {
            Some(Amounts { subtotal_cents, tax_cents, total_cents })
        }
        _ => None,
    };
    Ok(Order {
        id: state.id,
        version: state.version,
        user_id: state.user_id,
        event_id: state.event_id,
        seats: state.seats,
        status: state.status,
        phase: state.phase,
        hold: state.hold,
        failure: state.failure_code.map(|code| Failure::new(code, state.failure_detail.unwrap_or_default())),
        currency: state.currency,
        amounts,
        payment: state.payment_id.zip(state.payment_status).map(|(id, status)| Payment { id, status }),
        attempts: state.attempts,
        lease: state.lease,
        expires_in_ms: state.expires_in_ms,
        hold_in_ms: state.hold_in_ms,
        in_flight_ms: state.in_flight_ms,
        given_up: state.given_up,
        payment_unsure: state.payment_unsure,
        parked: state.parked,
    })
}
