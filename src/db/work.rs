//! The statements about the service's own work: counts and their summary.

use super::answer::named;
use super::{DbError, json, query, require_row};
use crate::config::Config;
use anyhow::Error;
use serde_json::Value;

/// What is due just now.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Some order, or some payment that is watched.
    pub orders: bool,
    /// Some message.
    pub messages: bool,
}

/// Adds what this instance did, keeps the heartbeat, and looks whether anything is due.
///
/// # Errors
/// [`DbError`].
pub async fn flush(config: &Config, counts: &Value) -> Result<Due, DbError> {
    let parameters = || named!("sql/flush_work.sql": p_counts = json(counts));
    let mut row = require_row(query(config, include_str!("sql/flush_work.sql"), parameters).await?)?;
    let due = row.optional_texts()?.unwrap_or_default();
    let has = |name: &str| due.iter().any(|due| due.as_deref() == Some(name));
    Ok(Due { orders: has("orders"), messages: has("messages") })
}

/// Everything that `/metrics` tells of orders and of the work of all instances.
///
/// # Errors
/// [`DbError`].
pub async fn summary(config: &Config) -> Result<Value, DbError> {
    let summary =
        require_row(query(config, include_str!("sql/read_metrics.sql"), Vec::new).await?)?.text()?;
    serde_json::from_str(&summary)
        .map_err(|error| DbError::Broken(Error::new(error).context("the JSON of read_metrics")))
}
