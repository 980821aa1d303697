//! The statements about checks: payments beside an order's own that Payment must be asked about. They are claimed with the second
//! payments.

use super::answer::named;
use super::transition::JournalEntry;
use super::{DbError, Session, query, require_row, text, uuid};
use crate::config::Config;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::payment_check::{self, PaymentCheck};
use crate::domain::retry;
use spin_sdk::pg::ParameterValue;

/// Stores that Payment must be asked, after `wait_ms` milliseconds, about a payment of which a callback told; `false` when the order has
/// too many such checks. Idempotent: a check that waits for long because the payment is undecided is due within a minute.
///
/// # Errors
/// [`DbError`].
pub async fn add_told(
    config: &Config,
    id: OrderId,
    payment: PaymentId,
    wait_ms: u64,
) -> Result<bool, DbError> {
    add(config, id, Some(payment), wait_ms).await
}

/// Stores that a charge has had no answer, and that the order has another payment: the charge must be repeated. Idempotent.
/// `retry_after_ms`: how long Payment asks to wait, in milliseconds.
///
/// # Errors
/// [`DbError`].
pub async fn add_charge(config: &Config, id: OrderId, retry_after_ms: Option<u64>) -> Result<(), DbError> {
    add(config, id, None, retry::capped(retry_after_ms)).await.map(drop)
}

/// Stores that the payment of an order's charge is known: nothing is left to check. Idempotent.
///
/// # Errors
/// [`DbError`].
pub async fn close_charge(config: &Config, id: OrderId) -> Result<(), DbError> {
    let parameters = || named! { "sql/close_charge_check.sql": p_order = uuid(id.0) };
    query(config, Session::Shared, include_str!("sql/close_charge_check.sql"), parameters).await.map(drop)
}

async fn add(config: &Config, id: OrderId, told: Option<PaymentId>, wait_ms: u64) -> Result<bool, DbError> {
    let wait_ms = i64::try_from(wait_ms).unwrap_or(i64::MAX);
    let parameters = || {
        named! { "sql/add_payment_check.sql":
            p_order = uuid(id.0),
            p_payment = optional_uuid(told),
            p_limit = ParameterValue::Int32(payment_check::MOST),
            p_wait_ms = ParameterValue::Int64(wait_ms),
        }
    };
    require_row(query(config, Session::Shared, include_str!("sql/add_payment_check.sql"), parameters).await?)?
        .bool()
}

/// Whether an order has a check that an operator's word may close: of its charge or, with a `payment`, also of that.
///
/// # Errors
/// [`DbError`].
pub async fn is_open(config: &Config, id: OrderId, payment: Option<PaymentId>) -> Result<bool, DbError> {
    let parameters = || {
        named! { "sql/find_payment_check.sql": p_order = uuid(id.0), p_payment = optional_uuid(payment) }
    };
    require_row(
        query(config, Session::Shared, include_str!("sql/find_payment_check.sql"), parameters).await?,
    )?
    .bool()
}

/// Closes what [`is_open`] finds, by an operator's word, with an entry in the journal; `false` when there is nothing to close.
///
/// # Errors
/// [`DbError`].
pub async fn close(
    config: &Config,
    id: OrderId,
    payment: Option<PaymentId>,
    entry: JournalEntry<'_>,
) -> Result<bool, DbError> {
    let parameters = || {
        named! { "sql/close_payment_checks.sql":
            p_order = uuid(id.0),
            p_payment = optional_uuid(payment),
            p_event = text(entry.event),
            p_actor = text(entry.actor),
            p_data = entry.parameter(),
        }
    };
    require_row(
        query(config, Session::Shared, include_str!("sql/close_payment_checks.sql"), parameters).await?,
    )?
    .bool()
}

fn optional_uuid(payment: Option<PaymentId>) -> ParameterValue {
    payment.map_or(ParameterValue::DbNull, |payment| uuid(payment.0))
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
        /// Payment has shown the payment now.
        seen: bool,
        /// How often in a row it has not known it.
        unknown: u32,
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
        let (wait_ms, seen, unknown, parked, reason) = match progress {
            Progress::Closed => (DbNull, false, 0, false, DbNull),
            Progress::Later { wait_ms, seen, unknown, parked, reason } => {
                (Int64(i64::try_from(wait_ms).unwrap_or(i64::MAX)), seen, unknown, parked, text(reason))
            }
        };
        named! { "sql/store_check_outcome.sql":
            p_id = Int64(claimed.id),
            p_attempts = Int32(i32::try_from(claimed.attempts).unwrap_or(i32::MAX)),
            p_wait_ms = wait_ms,
            p_seen = Boolean(seen),
            p_unknown = Int32(i32::try_from(unknown).unwrap_or(i32::MAX)),
            p_parked = Boolean(parked),
            p_reason = reason,
        }
    };
    require_row(
        query(config, Session::Shared, include_str!("sql/store_check_outcome.sql"), parameters).await?,
    )?
    .bool()
}
