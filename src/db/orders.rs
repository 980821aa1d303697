//! The statements about orders.

use super::answer::{Answer, answer, named, optional_answer};
use super::{Columns, DbError, Session, ints, json, query, query_all, text, uuid};
use crate::config::Config;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::key::IdempotencyKey;
use crate::domain::money::Amounts;
use crate::domain::order::{Failure, FailureCode, Hold, Order, Payment, PaymentStatus, Phase, Status};
use crate::domain::retry;
use crate::domain::seats::SeatSet;
use crate::domain::trace::StoredTrace;
use crate::telemetry::tracing::current;
use anyhow::{Error, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};
use spin_sdk::pg::ParameterValue;
use std::time::Duration;

/// The order document of the HTTP contract, as JSON text that is passed through.
pub type Document = String;

/// A placing request that passed validation.
#[derive(Clone, Debug)]
pub struct PlacingRequest {
    /// The client's idempotency key.
    pub key: IdempotencyKey,
    /// The request's fingerprint: see [`crate::domain::seats::request_hash`].
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
pub enum ExistingOrder {
    /// The key is not in use.
    None,
    /// An earlier request with the same content placed this order.
    SameRequest(Box<Order>, Document),
    /// The key was used by a request with other content.
    OtherRequest,
}

/// The result of storing a new order.
#[derive(Debug)]
pub enum InsertOutcome {
    /// The order is stored.
    Placed,
    /// Nothing is stored: other live orders have these seats.
    SeatsTaken(Vec<i32>),
    /// Nothing is stored: the key is in use.
    Exists(ExistingOrder),
    /// Nothing is stored: the user has as many unpaid orders as a user may have. When the first of them expires.
    TooManyOpen(Duration),
}

/// Looks an idempotency key up, and compares the request's content.
///
/// # Errors
/// [`DbError`].
pub async fn find_by_key(config: &Config, request: &PlacingRequest) -> Result<ExistingOrder, DbError> {
    let parameters = || {
        named! { "sql/find_order.sql":
            p_key = text(request.key.as_str()),
            p_hash = text(&*request.hash),
            p_user = ParameterValue::Int32(request.user_id),
            p_event = ParameterValue::Int32(request.event_id),
            p_seats = ints(request.seats.ids()),
        }
    };
    let mut answer =
        answer(query(config, Session::Shared, include_str!("sql/find_order.sql"), parameters).await?)?;
    let outcome = answer.text()?;
    existing(&outcome, &mut answer)
}

/// Stores a new order in phase `reserving`, leased to the caller, with its seat claims and its first journal entry; or nothing at
/// all.
///
/// # Errors
/// [`DbError`].
pub async fn place(config: &Config, id: OrderId, request: &PlacingRequest) -> Result<InsertOutcome, DbError> {
    let mut answer = match config.max_open_orders {
        None => answer(
            query(config, Session::Shared, include_str!("sql/insert_order.sql"), || {
                named! { "sql/insert_order.sql":
                    p_id = uuid(id.0),
                    p_key = text(request.key.as_str()),
                    p_hash = text(&*request.hash),
                    p_user = ParameterValue::Int32(request.user_id),
                    p_event = ParameterValue::Int32(request.event_id),
                    p_seats = ints(request.seats.ids()),
                    p_currency = text(&*config.currency),
                    p_ttl_seconds = ParameterValue::Int32(config.order_ttl_seconds as i32),
                    p_hold_seconds = ParameterValue::Int32(retry::HOLD_WINDOW_SECONDS as i32),
                    p_lease_ms = ParameterValue::Int32(retry::lease_ms(Phase::Reserving) as i32),
                    p_trace = trace(),
                    p_sinks = sinks(config),
                }
            })
            .await?,
        )?,
        Some(limit) => place_limited(config, id, request, limit).await?,
    };
    let outcome = answer.text()?;
    Ok(match &outcome[..] {
        "placed" => InsertOutcome::Placed,
        "taken" => InsertOutcome::SeatsTaken(answer.ints()?),
        "limited" => InsertOutcome::TooManyOpen(Duration::from_millis(answer.number()?)),
        other => match existing(other, &mut answer)? {
            // A retry: the statement had succeeded on the connection that broke.
            ExistingOrder::SameRequest(order, _) if order.id == id => InsertOutcome::Placed,
            stored => InsertOutcome::Exists(stored),
        },
    })
}

/// Calls `insert_limited_order`. On the shared session nobody waits for another request of the same user: who would have to, waits on a
/// session of its own, for a moment.
async fn place_limited(
    config: &Config,
    id: OrderId,
    request: &PlacingRequest,
    limit: u32,
) -> Result<Answer, DbError> {
    let parameters = |wait| {
        named! { "sql/insert_limited_order.sql":
            p_id = uuid(id.0),
            p_key = text(request.key.as_str()),
            p_hash = text(&*request.hash),
            p_user = ParameterValue::Int32(request.user_id),
            p_event = ParameterValue::Int32(request.event_id),
            p_seats = ints(request.seats.ids()),
            p_currency = text(&*config.currency),
            p_ttl_seconds = ParameterValue::Int32(config.order_ttl_seconds as i32),
            p_hold_seconds = ParameterValue::Int32(retry::HOLD_WINDOW_SECONDS as i32),
            p_lease_ms = ParameterValue::Int32(retry::lease_ms(Phase::Reserving) as i32),
            p_trace = trace(),
            p_sinks = sinks(config),
            p_limit = ParameterValue::Int32(limit as i32),
            p_wait = ParameterValue::Boolean(wait),
        }
    };
    const STATEMENT: &str = include_str!("sql/insert_limited_order.sql");
    let row = query(config, Session::Shared, STATEMENT, || parameters(false)).await?;
    let tried = answer(row)?;
    if !tried.begins_with("locked") {
        return Ok(tried);
    }
    answer(query(config, Session::Own, STATEMENT, || parameters(true)).await?)
}

/// The trace that the order belongs to; NULL when there is none.
fn trace() -> ParameterValue {
    let Some(StoredTrace { traceparent, tracestate }) = current::stored() else {
        return ParameterValue::DbNull;
    };
    let mut trace = json!({ "traceparent": traceparent });
    if !tracestate.is_empty() {
        trace["tracestate"] = tracestate.into();
    }
    json(&trace)
}

/// Whom events are sent to; NULL when nobody.
fn sinks(config: &Config) -> ParameterValue {
    if !config.events.has_sinks() {
        return ParameterValue::DbNull;
    }
    ParameterValue::ArrayStr(config.events.sinks().map(|sink| Some(sink.as_str().to_owned())).collect())
}

fn existing(outcome: &str, answer: &mut Answer) -> Result<ExistingOrder, DbError> {
    Ok(match outcome {
        "none" => ExistingOrder::None,
        "other" => ExistingOrder::OtherRequest,
        "same" => ExistingOrder::SameRequest(Box::new(order(&answer.text()?)?), answer.text()?),
        unknown => return Err(DbError::Broken(anyhow!("unknown outcome {unknown}"))),
    })
}

/// Loads an order and its document; `None` when there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn load(config: &Config, id: OrderId) -> Result<Option<(Order, Document)>, DbError> {
    let row = query(
        config,
        Session::Shared,
        include_str!("sql/load_order.sql"),
        || named!("sql/load_order.sql": p_id = uuid(id.0)),
    )
    .await?;
    let Some(mut answer) = optional_answer(row)? else {
        return Ok(None);
    };
    Ok(Some((order(&answer.text()?)?, answer.text()?)))
}

/// Reads an order's tag, from which the `ETag` is made and which differs whenever the document does, and its document; `None` when
/// there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn read(config: &Config, id: OrderId) -> Result<Option<(String, Document)>, DbError> {
    let row = query(
        config,
        Session::Shared,
        include_str!("sql/read_order.sql"),
        || named!("sql/read_order.sql": p_id = uuid(id.0)),
    )
    .await?;
    let Some(mut answer) = optional_answer(row)? else {
        return Ok(None);
    };
    Ok(Some((answer.text()?, answer.text()?)))
}

/// Claims at most `limit` due orders for the sweep: each is leased to the caller. A row that cannot be parsed, such as one that a
/// newer version of the service wrote, is an error of its own and does not affect the others.
///
/// # Errors
/// [`DbError`] when nothing could be claimed.
pub async fn claim_due(config: &Config, limit: i32) -> Result<Vec<Result<Order, DbError>>, DbError> {
    let mut leases: serde_json::Map<String, Value> =
        Phase::ALL.iter().map(|phase| (phase.as_str().to_owned(), json!(retry::lease_ms(*phase)))).collect();
    leases.insert("in_flight".into(), json!(retry::IN_FLIGHT_MS));
    let leases = Value::Object(leases);
    let parameters = || {
        named! { "sql/claim_due_orders.sql": p_limit = ParameterValue::Int32(limit), p_leases = json(&leases) }
    };
    let rows = query_all(config, Session::Own, include_str!("sql/claim_due_orders.sql"), parameters).await?;
    Ok(rows.into_iter().map(|row| order(&Columns::of(row).text()?)).collect())
}

/// The JSON of the function `render_state`.
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
    refund_again_in_ms: Option<i64>,
    phase_ms: i64,
    parked: bool,
    /// Of the request that placed it, as far as the database has it.
    #[serde(default)]
    traceparent: Option<String>,
    #[serde(default)]
    tracestate: Option<String>,
}

pub(super) fn order(json: &str) -> Result<Order, DbError> {
    let state: State = serde_json::from_str(json)
        .map_err(|error| DbError::Broken(Error::new(error).context("the JSON of render_state")))?;
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
        refund_again_in_ms: state.refund_again_in_ms,
        phase_ms: state.phase_ms,
        parked: state.parked,
        trace: StoredTrace::of_columns(state.traceparent, state.tracestate),
    })
}
