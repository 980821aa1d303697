//! The statements about the service's own work: counts and their summary.

use super::{DbError, json, only_row, query};
use crate::config::Config;
use serde_json::Value;

/// Adds what this instance did, and keeps the heartbeat.
///
/// # Errors
/// [`DbError`].
pub async fn flush(config: &Config, counts: &Value) -> Result<(), DbError> {
    query(config, include_str!("sql/work_flush.sql"), vec![json(counts)]).await.map(drop)
}

/// Everything that `/metrics` tells of orders and of the work of all instances.
///
/// # Errors
/// [`DbError`].
pub async fn summary(config: &Config) -> Result<Value, DbError> {
    let summary = only_row(query(config, include_str!("sql/metrics_summary.sql"), vec![]).await?)?.text()?;
    serde_json::from_str(&summary).map_err(|error| DbError::Broken(format!("metrics summary: {error}")))
}
