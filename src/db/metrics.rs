//! The statements behind `/metrics`: flushing the counters of an instance, and reading the summary of all.

use super::answer::{answer, named};
use super::{DbError, Session, json, query, require_row, uuid};
use crate::config::Config;
use crate::telemetry::counters::Batch;
use anyhow::Error;
use serde_json::Value;

/// Which work is due now.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// An order, or the payment of an order at rest that is watched.
    pub orders: bool,
    /// An outbox message.
    pub messages: bool,
    /// An event for a sink.
    pub events: bool,
}

/// Flushes counters of this instance, and scans the queues if no instance has within the last second. `None`: nothing is due, or this
/// call was not the one that scanned. A batch that is flushed again is counted once.
///
/// # Errors
/// [`DbError`]; then it may have been counted, and may be flushed again.
pub async fn flush_counters(config: &Config, batch: &Batch) -> Result<Option<Due>, DbError> {
    let parameters =
        || named!("sql/flush_counters.sql": p_flush = uuid(batch.id), p_counts = json(&batch.counts));
    let mut row = require_row(
        query(config, Session::Shared, include_str!("sql/flush_counters.sql"), parameters).await?,
    )?;
    let due = row.optional_texts()?.unwrap_or_default();
    let has = |name: &str| due.iter().any(|due| due.as_deref() == Some(name));
    let found = Due { orders: has("orders"), messages: has("messages"), events: has("events") };
    Ok((!due.is_empty()).then_some(found))
}

/// What `/metrics` shows of all instances.
#[derive(Debug)]
pub struct Summary {
    /// Of orders and of the work, as `read_metrics` has it.
    pub totals: Value,
    /// Of the service as one process, as `read_load` has it.
    pub load: Value,
}

/// Reads everything that `/metrics` shows of orders and of the work of all instances.
///
/// # Errors
/// [`DbError`].
pub async fn read_summary(config: &Config) -> Result<Summary, DbError> {
    let row = query(config, Session::Own, include_str!("sql/read_all_metrics.sql"), Vec::new).await?;
    let mut both = answer(row)?;
    let mut next = || {
        let parsed = serde_json::from_str(&both.text()?);
        parsed.map_err(|error| DbError::Broken(Error::new(error).context("the JSON of read_all_metrics")))
    };
    Ok(Summary { totals: next()?, load: next()? })
}
