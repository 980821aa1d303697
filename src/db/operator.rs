//! The statements of operators: the stuck list, the redrive, the schema check of `/health`.

use super::answer::named;
use super::error::{Class, StatementFailure};
use super::{DbError, READ_ONLY, Row, Session, fetch_optional, name, query, require_row, run};
use crate::config::Config;
use spin_sdk::pg::{DbValue, ParameterValue};
use uuid::Uuid;

/// The most that one answer lists of orders, and of messages.
const LIST_LIMIT: i32 = 1_000;

/// Lists parked orders, orders that violate an invariant, and dead letters, as JSON text that is passed through.
///
/// # Errors
/// [`DbError`].
pub async fn stuck(config: &Config) -> Result<String, DbError> {
    let parameters = || named!("sql/list_stuck.sql": p_limit = ParameterValue::Int32(LIST_LIMIT));
    require_row(query(config, Session::Own, include_str!("sql/list_stuck.sql"), parameters).await?)?.text()
}

/// Why a database that answers cannot be used: `read-only`; `old schema`, which lacks a table file or a function that this
/// version needs; or `no statement timeout`, because a connection pooler has left out the session's settings: statements would go on
/// after they were given up here. `None` when it can be used. Read-only sessions from before a failover are ended on the way.
///
/// # Errors
/// [`DbError`]; `Broken` where it has no schema of the service at all.
pub async fn check_schema(config: &Config) -> Result<Option<String>, DbError> {
    const STATEMENT: &str = include_str!("sql/check_schema.sql");
    let checked = run(
        config,
        Session::Shared,
        "check_schema",
        |_| false,
        |guard| async {
            let row = fetch_optional(guard, STATEMENT, Vec::new()).await?;
            match row.as_deref() {
                Some([DbValue::Str(error)]) if error == READ_ONLY => {
                    Err(StatementFailure::Refused(Class::ReadOnly, READ_ONLY.to_owned()))
                }
                _ => Ok(row),
            }
        },
    )
    .await;
    match checked {
        Ok(values) => require_row(values.map(|values| Row { statement: STATEMENT, values }))?.optional_text(),
        Err(failure) if failure.class() == Class::ReadOnly => Ok(Some(READ_ONLY.to_owned())),
        Err(failure) => Err(DbError::from(failure).context(name(STATEMENT))),
    }
}

/// Makes the next claims and the next scan read the queues from their beginning, unless they have been a moment ago.
///
/// # Errors
/// [`DbError`].
pub async fn request_full_scan(config: &Config) -> Result<(), DbError> {
    query(config, Session::Own, include_str!("sql/request_full_scan.sql"), Vec::new).await.map(drop)
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
            p_orders = super::ids(orders),
            p_messages = super::ids(messages),
            p_limit = ParameterValue::Int32(limit as i32),
        }
    };
    let mut row =
        require_row(query(config, Session::Own, include_str!("sql/redrive_stuck.sql"), parameters).await?)?;
    Ok((row.int()?, row.int()?))
}
