//! Reads an order's journal.

use super::get_order;
use crate::config::Config;
use crate::db::{DbError, orders};
use crate::domain::access::Caller;
use crate::domain::ids::OrderId;

/// The journal of an order (its events, oldest first), as JSON text; `None` when there is no such order that the caller may read.
///
/// # Errors
/// [`DbError`].
pub async fn events(config: &Config, caller: &Caller, id: OrderId) -> Result<Option<String>, DbError> {
    if !caller.may_read_all() && get_order::get(config, caller, id).await?.is_none() {
        return Ok(None);
    }
    orders::journal(config, id).await
}
