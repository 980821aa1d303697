//! The statements of lists. They may take long, and have sessions of their own.

use super::answer::{Answer, answer, named, optional_answer};
use super::{DbError, Session, query, text, uuid};
use crate::config::Config;
use crate::domain::ids::OrderId;
use crate::domain::order::Status;
use crate::domain::order_list::{Filters, Lookup};
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// The most index entries that a page visits: with filters that few orders meet, a page is short.
const VISITS: i32 = 2_000;

/// A page: a JSON array of its elements as text that is passed through, and where the next one begins.
#[derive(Debug)]
pub struct Page<C> {
    /// JSON text.
    pub elements: String,
    /// `None` where there is no other page.
    pub next: Option<C>,
}

/// A place in a list that is newest first: when the order there was created, in microseconds since 1970, and its id.
pub type Place = (i64, Uuid);

/// A place in the order of changes.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Of which database the number is.
    pub server: i64,
    /// The transaction.
    pub xid: i64,
    /// The order.
    pub id: Uuid,
}

/// From where changes are listed.
#[derive(Clone, Copy, Debug)]
pub enum ChangesFrom {
    /// What has changed since a time, in microseconds since 1970.
    Time(i64),
    /// What comes after this.
    Change(Change),
}

/// Lists orders, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn newest(
    config: &Config,
    filters: Filters,
    before: Option<Place>,
    limit: i32,
) -> Result<Page<Place>, DbError> {
    let parameters = || {
        named! { "sql/list_orders.sql":
            p_user = int(filters.user_id),
            p_event = int(filters.event_id),
            p_status = status(filters.status),
            p_before = long(before.map(|(created_at, _)| created_at)),
            p_before_id = id(before.map(|(_, id)| id)),
            p_limit = ParameterValue::Int32(limit),
            p_visits = ParameterValue::Int32(VISITS),
        }
    };
    page(answer(query(config, Session::Own, include_str!("sql/list_orders.sql"), parameters).await?)?)
}

/// Lists orders in the order in which they changed. `None`: the place is of another database, or from before a failover.
///
/// # Errors
/// [`DbError`].
pub async fn changed(
    config: &Config,
    filters: Filters,
    from: ChangesFrom,
    limit: i32,
) -> Result<Option<(String, Change)>, DbError> {
    let (since, after) = match from {
        ChangesFrom::Time(since) => (Some(since), None),
        ChangesFrom::Change(change) => (None, Some(change)),
    };
    let parameters = || {
        named! { "sql/list_changed_orders.sql":
            p_user = int(filters.user_id),
            p_event = int(filters.event_id),
            p_status = status(filters.status),
            p_since = long(since),
            p_server = long(after.map(|after| after.server)),
            p_xid = long(after.map(|after| after.xid)),
            p_id = id(after.map(|after| after.id)),
            p_limit = ParameterValue::Int32(limit),
            p_visits = ParameterValue::Int32(VISITS),
        }
    };
    let row = query(config, Session::Own, include_str!("sql/list_changed_orders.sql"), parameters).await?;
    let mut answer = answer(row)?;
    let elements = answer.text()?;
    if elements == "other_server" {
        return Ok(None);
    }
    let next = Change { server: answer.number()?, xid: answer.number()?, id: answer.number()? };
    Ok(Some((elements, next)))
}

/// Looks orders up, newest first; only those of a user, where one is given.
///
/// # Errors
/// [`DbError`].
pub async fn find(
    config: &Config,
    owner: Option<i32>,
    lookup: &Lookup,
    before: Option<Place>,
    limit: i32,
) -> Result<Page<Place>, DbError> {
    let (mut key, mut payment, mut ticket, mut seat) = (None, None, None, None);
    match lookup {
        Lookup::Key(by) => key = Some(by.as_str()),
        Lookup::Payment(by) => payment = Some(by.0),
        Lookup::Ticket(by) => ticket = Some(&**by),
        Lookup::Seat { event_id, seat_id } => seat = Some((*event_id, *seat_id)),
    }
    let parameters = || {
        named! { "sql/find_orders.sql":
            p_owner = int(owner),
            p_key = optional_text(key),
            p_payment = id(payment),
            p_ticket = optional_text(ticket),
            p_event = int(seat.map(|(event_id, _)| event_id)),
            p_seat = int(seat.map(|(_, seat_id)| seat_id)),
            p_before = long(before.map(|(created_at, _)| created_at)),
            p_before_id = id(before.map(|(_, id)| id)),
            p_limit = ParameterValue::Int32(limit),
        }
    };
    page(answer(query(config, Session::Own, include_str!("sql/find_orders.sql"), parameters).await?)?)
}

/// Reads a page of an order's journal, after the entry with a number; `None` when there is no such order, or it is not the owner's,
/// where one is given.
///
/// # Errors
/// [`DbError`].
pub async fn journal(
    config: &Config,
    order: OrderId,
    owner: Option<i32>,
    after: i32,
    limit: i32,
) -> Result<Option<Page<i32>>, DbError> {
    let parameters = || {
        named! { "sql/read_journal_page.sql":
            p_id = uuid(order.0),
            p_owner = int(owner),
            p_after = ParameterValue::Int32(after),
            p_limit = ParameterValue::Int32(limit),
        }
    };
    let row = query(config, Session::Own, include_str!("sql/read_journal_page.sql"), parameters).await?;
    let Some(mut answer) = optional_answer(row)? else {
        return Ok(None);
    };
    Ok(Some(Page { elements: answer.text()?, next: answer.optional_number()? }))
}

fn page(mut answer: Answer) -> Result<Page<Place>, DbError> {
    let elements = answer.text()?;
    let next = match answer.optional_number()? {
        Some(created_at) => Some((created_at, answer.number()?)),
        None => None,
    };
    Ok(Page { elements, next })
}

fn int(number: Option<i32>) -> ParameterValue {
    number.map_or(ParameterValue::DbNull, ParameterValue::Int32)
}

fn long(number: Option<i64>) -> ParameterValue {
    number.map_or(ParameterValue::DbNull, ParameterValue::Int64)
}

fn id(id: Option<Uuid>) -> ParameterValue {
    id.map_or(ParameterValue::DbNull, uuid)
}

fn optional_text(value: Option<&str>) -> ParameterValue {
    value.map_or(ParameterValue::DbNull, text)
}

fn status(status: Option<Status>) -> ParameterValue {
    optional_text(status.map(Status::as_str))
}
