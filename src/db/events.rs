//! The statements about events for other systems.

use super::answer::{answer, named};
use super::{Columns, DbError, Session, json, query, query_all, require_row, text, uuid};
use crate::config::Config;
use crate::domain::event::{Delivery, Event, Sink};
use crate::domain::ids::OrderId;
use crate::domain::trace::StoredTrace;
use anyhow::{Context, Error};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// The most events of an order that are claimed at once.
const EVENTS_PER_ORDER: i32 = 16;

/// A place in the list of events.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Of which database the number is.
    pub server: i64,
    /// The transaction.
    pub xid: i64,
    /// The order.
    pub order: Uuid,
    /// The number of the event within the order.
    pub sequence: i32,
}

/// From where events are listed or sent again.
#[derive(Clone, Copy, Debug)]
pub enum EventsFrom {
    /// The first one.
    Beginning,
    /// What was committed since a time, in microseconds since 1970.
    Time(i64),
    /// What comes after this.
    Place(Place),
}

impl EventsFrom {
    fn parts(self) -> (Option<Place>, Option<i64>) {
        match self {
            Self::Beginning => (None, None),
            Self::Time(since) => (None, Some(since)),
            Self::Place(place) => (Some(place), None),
        }
    }
}

/// What came of sending an order's events.
#[derive(Debug)]
pub struct DeliveryOutcome {
    /// The order.
    pub order_id: OrderId,
    /// The lease under which they were claimed.
    pub lease: i32,
    /// How many the sink has taken.
    pub delivered: usize,
    /// The status of its last answer.
    pub status: Option<u16>,
    /// Why it did not take the next one; `None` when it was not asked to.
    pub error: Option<String>,
    /// Whether the failed attempt counts.
    pub counts: bool,
    /// After how many milliseconds that one is sent again; `None`: it is a dead letter.
    pub delay_ms: Option<u64>,
}

/// Claims orders with events that are due for a sink, at most `limit`: they are leased to the caller.
///
/// # Errors
/// [`DbError`].
pub async fn claim_due(
    config: &Config,
    sink: Sink,
    limit: i32,
    lease_ms: u64,
) -> Result<Vec<Delivery>, DbError> {
    let parameters = || {
        named! { "sql/claim_due_events.sql":
            p_sinks = ParameterValue::ArrayStr(vec![Some(sink.as_str().to_owned())]),
            p_limit = ParameterValue::Int32(limit),
            p_events = ParameterValue::Int32(EVENTS_PER_ORDER),
            p_lease_ms = ParameterValue::Int32(lease_ms as i32),
            p_source = text(&*config.events.source),
        }
    };
    let rows = query_all(config, Session::Own, include_str!("sql/claim_due_events.sql"), parameters).await?;
    rows.into_iter().map(|row| delivery(Columns::of(row))).collect()
}

fn delivery(mut row: Columns) -> Result<Delivery, DbError> {
    let broken = |error: Error| DbError::Broken(error.context("claim_due_events"));
    let order_id: Uuid = row.text()?.parse().map_err(|error| broken(Error::new(error)))?;
    let (lease, attempts, events) = (row.int()?, row.int()?, row.text()?);
    let trace = StoredTrace::of_columns(row.optional_text()?, row.optional_text()?);
    let events: Vec<&RawValue> =
        serde_json::from_str(&events).context("the JSON of events").map_err(broken)?;
    // One that cannot be read is as one that is not there, and holds up its own order alone.
    let events = events.into_iter().map_while(|event| Event::parse(event.get())).collect();
    let attempts = u32::try_from(attempts).unwrap_or(0);
    Ok(Delivery { order_id: OrderId(order_id), trace, lease, attempts, events })
}

/// Stores what came of deliveries to a sink. `takes`: whether the sink takes events.
///
/// # Errors
/// [`DbError`]. Then they are sent again.
pub async fn store_outcomes(
    config: &Config,
    sink: Sink,
    outcomes: &[DeliveryOutcome],
    takes: bool,
) -> Result<(), DbError> {
    let outcomes: Value = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "order_id": outcome.order_id,
                "lease": outcome.lease,
                "delivered": outcome.delivered,
                "status": outcome.status,
                "error": outcome.error,
                "counts": outcome.counts,
                "delay_ms": outcome.delay_ms,
            })
        })
        .collect();
    let parameters = || {
        named! { "sql/store_event_deliveries.sql":
            p_sink = text(sink.as_str()),
            p_outcomes = json(&outcomes),
            p_takes = ParameterValue::Boolean(takes),
        }
    };
    query(config, Session::Own, include_str!("sql/store_event_deliveries.sql"), parameters).await.map(drop)
}

/// That a sink took nothing.
#[derive(PartialEq, Eq, Debug)]
pub struct Failing {
    /// Why, for operators.
    pub reason: String,
    /// How long it asks to be left alone, in milliseconds.
    pub wait_ms: u64,
    /// The only order that it was asked for, where that may be to blame; `None`: the sink is.
    pub order: Option<OrderId>,
}

/// What was made of a sink that took nothing.
#[derive(Debug)]
pub struct Paused {
    /// Whether the order that failed may be to blame: the sink took others before.
    pub is_of_order: bool,
    /// How long what failed waits, in milliseconds.
    pub wait_ms: u64,
    /// Whether the sink fails since now.
    pub has_begun: bool,
}

/// Notes that a sink took nothing, and pauses it when that was not of one order alone.
///
/// # Errors
/// [`DbError`].
pub async fn pause(config: &Config, sink: Sink, failing: &Failing) -> Result<Paused, DbError> {
    let wait_ms = i64::try_from(failing.wait_ms).unwrap_or(i64::MAX);
    let mut row = pause_row(config, sink, &failing.reason, Some(wait_ms), failing.order).await?;
    let is_of_order = row.bool()?;
    let wait_ms = u64::try_from(row.int()?).unwrap_or(0);
    Ok(Paused { is_of_order, wait_ms, has_begun: row.bool()? })
}

/// Switches a sink off, because it wants no more events.
///
/// # Errors
/// [`DbError`].
pub async fn switch_off(config: &Config, sink: Sink, reason: &str) -> Result<(), DbError> {
    pause_row(config, sink, reason, None, None).await.map(drop)
}

async fn pause_row(
    config: &Config,
    sink: Sink,
    reason: &str,
    wait_ms: Option<i64>,
    order: Option<OrderId>,
) -> Result<Columns, DbError> {
    let parameters = || {
        named! { "sql/pause_event_sink.sql":
            p_sink = text(sink.as_str()),
            p_reason = text(reason),
            p_wait_ms = long(wait_ms),
            p_order = id(order.map(|order| order.0)),
        }
    };
    require_row(query(config, Session::Own, include_str!("sql/pause_event_sink.sql"), parameters).await?)
}

/// Lists events in the order in which they were committed: a JSON array, and where the next page begins. `None`: the place is of another
/// database, or from before a failover.
///
/// # Errors
/// [`DbError`].
pub async fn list(config: &Config, from: EventsFrom, limit: i32) -> Result<Option<(String, Place)>, DbError> {
    let (after, since) = from.parts();
    let parameters = || {
        named! { "sql/list_events.sql":
            p_server = long(after.map(|after| after.server)),
            p_xid = long(after.map(|after| after.xid)),
            p_order = id(after.map(|after| after.order)),
            p_sequence = number(after.map(|after| after.sequence)),
            p_since = long(since),
            p_limit = ParameterValue::Int32(limit),
            p_source = text(&*config.events.source),
        }
    };
    let row = query(config, Session::Own, include_str!("sql/list_events.sql"), parameters).await?;
    let mut answer = answer(row)?;
    let events = answer.text()?;
    if events == "other_server" {
        return Ok(None);
    }
    let next = Place {
        server: answer.number()?,
        xid: answer.number()?,
        order: answer.number()?,
        sequence: answer.number()?,
    };
    Ok(Some((events, next)))
}

/// How far a replay has got.
#[derive(Debug)]
pub struct Replayed {
    /// The orders whose events are sent again.
    pub orders: u64,
    /// Where to go on; `None` when that was all.
    pub next: Option<Place>,
}

/// Sends events to a sink again: of these orders all, or those of the next `limit` entries from a place on. What may be under
/// way, for as long as a claim's lease, is sent after that. `None`: the place is of another database, or from before a failover.
///
/// # Errors
/// [`DbError`].
pub async fn replay(
    config: &Config,
    sink: Sink,
    orders: Option<&[Uuid]>,
    from: EventsFrom,
    limit: i32,
    lease_ms: u64,
) -> Result<Option<Replayed>, DbError> {
    let (after, since) = from.parts();
    let parameters = || {
        named! { "sql/replay_events.sql":
            p_sink = text(sink.as_str()),
            p_orders = super::ids(orders),
            p_server = long(after.map(|after| after.server)),
            p_xid = long(after.map(|after| after.xid)),
            p_order = id(after.map(|after| after.order)),
            p_sequence = number(after.map(|after| after.sequence)),
            p_since = long(since),
            p_limit = ParameterValue::Int32(limit),
            p_lease_ms = ParameterValue::Int32(lease_ms as i32),
        }
    };
    let row = query(config, Session::Own, include_str!("sql/replay_events.sql"), parameters).await?;
    let mut answer = answer(row)?;
    if answer.begins_with("other_server") {
        return Ok(None);
    }
    let orders = answer.number()?;
    let server = answer.number()?;
    let next = match answer.optional_text() {
        None => None,
        Some(xid) => {
            let xid = xid.parse().map_err(|error| DbError::Broken(Error::new(error)))?;
            Some(Place { server, xid, order: answer.number()?, sequence: 0 })
        }
    };
    Ok(Some(Replayed { orders, next }))
}

/// Lists what sinks were sent, as JSON text that is passed through: of one order, or what waits and what is dead.
///
/// # Errors
/// [`DbError`].
pub async fn deliveries(
    config: &Config,
    order: Option<OrderId>,
    state: Option<&str>,
    limit: i32,
) -> Result<String, DbError> {
    let parameters = || {
        named! { "sql/list_deliveries.sql":
            p_order = id(order.map(|order| order.0)),
            p_state = state.map_or(ParameterValue::DbNull, text),
            p_limit = ParameterValue::Int32(limit),
        }
    };
    require_row(query(config, Session::Own, include_str!("sql/list_deliveries.sql"), parameters).await?)?
        .text()
}

/// Switches a sink on, and makes its dead letters due, and what waits after a refusal for longer than a lease: of these orders, or all; at
/// most `limit`. Returns how many.
///
/// # Errors
/// [`DbError`].
pub async fn redrive(
    config: &Config,
    sink: Sink,
    orders: Option<&[Uuid]>,
    limit: usize,
    lease_ms: u64,
) -> Result<i32, DbError> {
    let parameters = || {
        named! { "sql/redrive_events.sql":
            p_sink = text(sink.as_str()),
            p_orders = super::ids(orders),
            p_limit = ParameterValue::Int32(limit as i32),
            p_lease_ms = ParameterValue::Int32(lease_ms as i32),
        }
    };
    require_row(query(config, Session::Own, include_str!("sql/redrive_events.sql"), parameters).await?)?.int()
}

fn long(number: Option<i64>) -> ParameterValue {
    number.map_or(ParameterValue::DbNull, ParameterValue::Int64)
}

fn number(number: Option<i32>) -> ParameterValue {
    number.map_or(ParameterValue::DbNull, ParameterValue::Int32)
}

fn id(id: Option<Uuid>) -> ParameterValue {
    id.map_or(ParameterValue::DbNull, uuid)
}
