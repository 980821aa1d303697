//! The statements about outbox messages.

use super::answer::named;
use super::{Columns, DbError, Session, query, query_all, text, uuid};
use crate::config::Config;
use crate::domain::ids::OrderId;
use crate::domain::message::Message;
use crate::domain::retry;
use crate::domain::trace::StoredTrace;
use anyhow::Error;
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// Claims due messages for the sweep, each with the trace of its order: they are leased to the caller.
///
/// # Errors
/// [`DbError`].
pub async fn claim_due(config: &Config, limit: i32) -> Result<Vec<(Message, Option<StoredTrace>)>, DbError> {
    let parameters = || {
        named! { "sql/claim_due_messages.sql":
            p_limit = ParameterValue::Int32(limit),
            p_lease_ms = ParameterValue::Int32(retry::MESSAGE_LEASE_MS as i32),
        }
    };
    let rows =
        query_all(config, Session::Own, include_str!("sql/claim_due_messages.sql"), parameters).await?;
    rows.into_iter().map(|row| message(Columns::of(row))).collect()
}

fn message(mut row: Columns) -> Result<(Message, Option<StoredTrace>), DbError> {
    let id = |text: String| {
        text.parse::<Uuid>()
            .map_err(|error| DbError::Broken(Error::new(error).context("an id of claim_due_messages")))
    };
    let message = Message {
        id: id(row.text()?)?,
        order_id: OrderId(id(row.text()?)?),
        kind: row.text()?,
        payload: row.text()?,
        attempts: u32::try_from(row.int()?).unwrap_or(0),
        is_first: false,
    };
    Ok((message, StoredTrace::of_columns(row.optional_text()?, row.optional_text()?)))
}

/// Deletes a message that was delivered.
///
/// # Errors
/// [`DbError`].
pub async fn delete_delivered(config: &Config, id: Uuid) -> Result<(), DbError> {
    let parameters = || named!("sql/delete_message.sql": p_id = uuid(id));
    query(config, Session::Shared, include_str!("sql/delete_message.sql"), parameters).await.map(drop)
}

/// Postpones a message that was not delivered: due again after `delay_ms` milliseconds; a dead letter when that is `None`.
///
/// # Errors
/// [`DbError`].
pub async fn postpone(config: &Config, id: Uuid, error: &str, delay_ms: Option<u64>) -> Result<(), DbError> {
    let delay = || {
        delay_ms
            .map_or(ParameterValue::DbNull, |ms| ParameterValue::Int32(i32::try_from(ms).unwrap_or(i32::MAX)))
    };
    let parameters =
        || named!("sql/postpone_message.sql": p_id = uuid(id), p_error = text(error), p_delay_ms = delay());
    query(config, Session::Shared, include_str!("sql/postpone_message.sql"), parameters).await.map(drop)
}
