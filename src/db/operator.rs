//! The statements of operators: the stuck list, the redrive, the schema check of `/health`.

use super::answer::named;
use super::{DbError, query, require_row};
use crate::config::Config;
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

/// The most that one answer lists of orders, and of messages.
const LIST_LIMIT: i32 = 1_000;

/// Lists parked orders, orders that violate an invariant, and dead letters, as JSON text that is passed through.
///
/// # Errors
/// [`DbError`].
pub async fn stuck(config: &Config) -> Result<String, DbError> {
    let parameters = || named!("sql/list_stuck.sql": p_limit = ParameterValue::Int32(LIST_LIMIT));
    require_row(query(config, include_str!("sql/list_stuck.sql"), parameters).await?)?.text()
}

/// Why a database that answers cannot be used: `read-only`, or `old schema`, which lacks a table file or a function that this
/// version needs. `None` when it can be used.
///
/// # Errors
/// [`DbError`]; `Broken` where it has no schema of the service at all.
pub async fn check_schema(config: &Config) -> Result<Option<String>, DbError> {
    require_row(query(config, include_str!("sql/check_schema.sql"), Vec::new).await?)?.optional_text()
}

/// Redrives: makes parked orders and dead letters due at once, those listed, or all where a list is `None`; at most `limit` of
/// each. Returns how many orders and how many messages.
///
/// # Errors
/// [`DbError`].
pub async fn redrive(
    config: &Config,
    orders: Option<&[Uuid]>,
    messages: Option<&[Uuid]>,
    limit: usize,
) -> Result<(i32, i32), DbError> {
    let parameters = || {
        named! { "sql/redrive_stuck.sql":
            p_orders = ids(orders),
            p_messages = ids(messages),
            p_limit = ParameterValue::Int32(limit as i32),
        }
    };
    let mut row = require_row(query(config, include_str!("sql/redrive_stuck.sql"), parameters).await?)?;
    Ok((row.int()?, row.int()?))
}

fn ids(ids: Option<&[Uuid]>) -> ParameterValue {
    ids.map_or(ParameterValue::DbNull, |ids| {
        ParameterValue::ArrayStr(ids.iter().map(|id| Some(id.to_string())).collect())
    })
}
