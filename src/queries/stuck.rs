//! Lists the orders and messages that need an operator, and why.

use crate::config::Config;
use crate::db::{DbError, operator};

/// Parked orders, orders that violate an invariant, and dead letters, as JSON text.
///
/// # Errors
/// [`DbError`].
pub async fn stuck(config: &Config) -> Result<String, DbError> {
    operator::stuck(config).await
}
