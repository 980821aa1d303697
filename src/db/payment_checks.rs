//! The statements about checks: payments beside an order's own that Payment must be asked about. They are claimed with the second
//! payments.

use super::answer::named;
use super::{DbError, Session, query, require_row, text, uuid};
use crate::config::Config;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::payment_check::{self, PaymentCheck};
use spin_sdk::pg::ParameterValue;

/// Stores that Payment must be asked about a payment of which a callback told; `false` when the order has too many such checks.
/// Idempotent.
///
/// # Errors
/// [`DbError`].
pub async fn add_told(config: &Config, id: OrderId, payment: PaymentId) -> Result<bool, DbError> {
    add(config, id, Some(payment)).await
}

async fn add(config: &Config, id: OrderId, told: Option<PaymentId>) -> Result<bool, DbError> {
    let parameters = || {
        named! { "sql/add_payment_check.sql":
            p_order = uuid(id.0),
            p_payment = told.map_or(ParameterValue::DbNull, |told| uuid(told.0)),
            p_limit = ParameterValue::Int32(payment_check::MOST),
        }
    };
    require_row(query(config, Session::Shared, include_str!("sql/add_payment_check.sql"), parameters).await?)?
        .bool()
}

/// What came of a claimed check.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Nothing is left to check.
    Closed,
    /// Payment is asked again.
    Later {
        /// After so many milliseconds.
        wait_ms: u64,
        /// An operator must hear of it.
        parked: bool,
        /// Why.
        reason: &'a str,
    },
}

/// Stores what came of a claimed check; `false` when somebody else has claimed it since.
///
/// # Errors
/// [`DbError`].
pub async fn store(config: &Config, claimed: &PaymentCheck, progress: Progress<'_>) -> Result<bool, DbError> {
    use ParameterValue::{Boolean, DbNull, Int32, Int64};
    let parameters = || {
        let (wait_ms, parked, reason) = match progress {
            Progress::Closed => (DbNull, false, DbNull),
            Progress::Later { wait_ms, parked, reason } => {
                (Int64(i64::try_from(wait_ms).unwrap_or(i64::MAX)), parked, text(reason))
            }
        };
        named! { "sql/store_payment_check.sql":
            p_id = Int64(claimed.id),
            p_attempts = Int32(i32::try_from(claimed.attempts).unwrap_or(i32::MAX)),
            p_wait_ms = wait_ms,
            p_parked = Boolean(parked),
            p_reason = reason,
        }
    };
    require_row(
        query(config, Session::Shared, include_str!("sql/store_payment_check.sql"), parameters).await?,
    )?
    .bool()
}
