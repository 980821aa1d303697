//! The statements of those who run the service.

use super::{DbError, query, there};
use crate::config::Config;
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// The most that one answer lists of orders, and of messages.
const LIST_LIMIT: i32 = 1_000;

/// What needs a person, and why, as JSON text that is passed through.
///
/// # Errors
/// [`DbError`].
pub async fn stuck(config: &Config) -> Result<String, DbError> {
    let parameters = || vec![ParameterValue::Int32(LIST_LIMIT)];
    there(query(config, include_str!("sql/stuck.sql"), parameters).await?)?.text()
}

/// Makes parked orders and dead letters due: those named, or all where a list is `None`; how many orders and messages.
///
/// # Errors
/// [`DbError`].
pub async fn redrive(
    config: &Config,
    orders: Option<&[Uuid]>,
    messages: Option<&[Uuid]>,
    limit: usize,
) -> Result<(i32, i32), DbError> {
    let parameters = || vec![ids(orders), ids(messages), ParameterValue::Int32(limit as i32)];
    let mut row = there(query(config, include_str!("sql/redrive.sql"), parameters).await?)?;
    Ok((row.int()?, row.int()?))
}

fn ids(ids: Option<&[Uuid]>) -> ParameterValue {
    ids.map_or(ParameterValue::DbNull, |ids| {
        ParameterValue::ArrayStr(ids.iter().map(|id| Some(id.to_string())).collect())
    })
}
