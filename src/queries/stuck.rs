//! Lists what needs a person, and why.

use crate::config::Config;
use crate::db::{DbError, operator};

/// Parked orders, orders that break an invariant, and dead letters, as JSON text.
///
/// # Errors
/// [`DbError`].
pub async fn stuck(config: &Config) -> Result<String, DbError> {
    operator::stuck(config).await
}
