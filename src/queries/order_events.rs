//! Reads an order's journal.

use crate::config::Config;
use crate::db::{DbError, orders};
use crate::domain::ids::OrderId;

/// The journal of an order (its events, oldest first), as JSON text; `None` when there is no such order.
///
/// # Errors
/// [`DbError`].
pub async fn events(config: &Config, id: OrderId) -> Result<Option<String>, DbError> {
    orders::journal(config, id).await
}
