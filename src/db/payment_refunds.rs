//! The statements about second payments.

use super::answer::{answer, named};
use super::orders::{Document, order};
use super::transition::JournalEntry;
use super::{Columns, DbError, Session, query, query_all, require_row, text, uuid};
use crate::config::Config;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::{Order, Payment, PaymentStatus};
use crate::domain::payment_check::PaymentCheck;
use crate::domain::payment_refund::PaymentRefund;
use crate::domain::retry;
use anyhow::{Error, anyhow};
use serde::Deserialize;
use serde_json::value::RawValue;
use spin_sdk::pg::ParameterValue;

/// The result of storing a second payment.
#[derive(Debug)]
pub enum AddOutcome {
    /// It is stored; the order's document.
    Added(Document),
    /// It was stored before; the order's document.
    Known(Document),
    /// The payment is another order's.
    Foreign,
    /// The order's own payment has not succeeded, or is this one. The order as it is now, and its document.
    Conflict(Box<Order>, Option<Document>),
    /// There is no such order.
    Gone,
}

/// Stores that a payment beside the order's own must go back, if it has taken money or does so later. Idempotent.
///
/// # Errors
/// [`DbError`].
pub async fn add(
    config: &Config,
    id: OrderId,
    payment: PaymentId,
    is_undecided: bool,
    entry: JournalEntry<'_>,
) -> Result<AddOutcome, DbError> {
    let parameters = || {
        named! { "sql/add_second_payment.sql":
            p_order = uuid(id.0),
            p_payment = uuid(payment.0),
            p_undecided = ParameterValue::Boolean(is_undecided),
            p_actor = text(entry.actor),
            p_data = entry.parameter(),
        }
    };
    let mut answer = answer(
        query(config, Session::Shared, include_str!("sql/add_second_payment.sql"), parameters).await?,
    )?;
    let outcome = answer.text()?;
    Ok(match &outcome[..] {
        "added" => AddOutcome::Added(answer.text()?),
        "known" => AddOutcome::Known(answer.text()?),
        "foreign" => AddOutcome::Foreign,
        "conflict" => AddOutcome::Conflict(Box::new(order(&answer.text()?)?), answer.optional_text()),
        "gone" => AddOutcome::Gone,
        unknown => return Err(DbError::Broken(anyhow!("add_second_payment: unknown outcome {unknown}"))),
    })
}

/// Remembers a payment beside the order's own that has taken no money, or whose money went back. Idempotent.
///
/// # Errors
/// [`DbError`].
pub async fn remember(config: &Config, id: OrderId, payment: Payment) -> Result<(), DbError> {
    let parameters = || {
        named! { "sql/remember_payment.sql":
            p_order = uuid(id.0),
            p_payment = uuid(payment.id.0),
            p_outcome = text(payment.status.as_str()),
        }
    };
    query(config, Session::Shared, include_str!("sql/remember_payment.sql"), parameters).await.map(drop)
}

/// What is known of a payment beside the order's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// It has taken no money yet, or has failed.
    Undecided,
    /// It goes back, or is settled.
    Decided,
}

/// Whether a payment is known as one beside the order's own.
///
/// # Errors
/// [`DbError`].
pub async fn find(config: &Config, id: OrderId, payment: PaymentId) -> Result<Option<Known>, DbError> {
    let parameters = || {
        named! { "sql/find_second_payment.sql": p_order = uuid(id.0), p_payment = uuid(payment.0) }
    };
    let mut row = require_row(
        query(config, Session::Shared, include_str!("sql/find_second_payment.sql"), parameters).await?,
    )?;
    let known = row.optional_text()?;
    Ok(known.map(|known| if known == "undecided" { Known::Undecided } else { Known::Decided }))
}

/// What is asked about a payment beside an order's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A second payment: it goes back when it has taken money.
    Refund(PaymentRefund),
    /// Nobody knows yet whether there is such a payment.
    Check(PaymentCheck),
}

/// Claims at most `limit` second payments that are due, checks included: each is leased to the caller. With the order of each.
///
/// # Errors
/// [`DbError`] when nothing could be claimed; a row that cannot be read is an error of its own.
pub async fn claim_due(config: &Config, limit: i32) -> Result<Vec<Result<(Claim, Order), DbError>>, DbError> {
    let parameters = || {
        named! { "sql/claim_due_second_payments.sql":
            p_limit = ParameterValue::Int32(limit),
            p_lease_ms = ParameterValue::Int32(retry::PAYMENT_REFUND_LEASE_MS as i32),
        }
    };
    let rows = query_all(config, Session::Own, include_str!("sql/claim_due_second_payments.sql"), parameters)
        .await?;
    Ok(rows.into_iter().map(|row| claimed(&Columns::of(row).text()?)).collect())
}

/// The JSON of the function `claim_due_second_payments`.
#[derive(Deserialize)]
struct Claimed<'a> {
    payment_id: Option<PaymentId>,
    check_id: Option<i64>,
    told_payment_id: Option<PaymentId>,
    attempts: u32,
    age_ms: i64,
    again_in_ms: Option<i64>,
    #[serde(default)]
    undecided: bool,
    #[serde(default)]
    seen: bool,
    #[serde(default)]
    unknown: u32,
    parked: bool,
    #[serde(default)]
    foreign: bool,
    #[serde(borrow)]
    order: &'a RawValue,
}

fn claimed(json: &str) -> Result<(Claim, Order), DbError> {
    let broken = |cause: Error| DbError::Broken(cause.context("the JSON of claim_due_second_payments"));
    let claimed: Claimed<'_> = serde_json::from_str(json).map_err(|error| broken(Error::new(error)))?;
    let Claimed { attempts, age_ms, seen, unknown, parked, again_in_ms, undecided, foreign, .. } = claimed;
    let claim = match (claimed.payment_id, claimed.check_id) {
        (Some(payment), _) => Claim::Refund(PaymentRefund {
            payment,
            attempts,
            age_ms,
            again_in_ms,
            undecided,
            foreign,
            parked,
        }),
        (None, Some(id)) => {
            let told = claimed.told_payment_id;
            Claim::Check(PaymentCheck { id, told, attempts, age_ms, seen, unknown, parked })
        }
        (None, None) => return Err(broken(anyhow!("neither a payment nor a check"))),
    };
    Ok((claim, order(claimed.order.get())?))
}

/// What came of a second payment.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Its final status, and why, where an operator has said so.
    Settled(PaymentStatus, Option<&'a str>),
    /// Payment is asked again after so many milliseconds.
    Later {
        /// The payment as it is from now on.
        after: &'a PaymentRefund,
        /// Milliseconds.
        wait_ms: u64,
        /// Why.
        reason: &'a str,
    },
}

/// Stores what came of a claimed second payment; `false` when somebody else has claimed it since.
///
/// # Errors
/// [`DbError`].
pub async fn store(
    config: &Config,
    id: OrderId,
    before: &PaymentRefund,
    progress: Progress<'_>,
    actor: &str,
) -> Result<bool, DbError> {
    store_if(config, (id, before.payment), Some(before), progress, actor).await
}

/// Settles a second payment by an operator's word, with the `reason` in the journal; `false` when it is settled already.
///
/// # Errors
/// [`DbError`].
pub async fn resolve(
    config: &Config,
    id: OrderId,
    payment: PaymentId,
    status: PaymentStatus,
    reason: Option<&str>,
    actor: &str,
) -> Result<bool, DbError> {
    store_if(config, (id, payment), None, Progress::Settled(status, reason), actor).await
}

/// With `before`: only if nobody has claimed it since.
async fn store_if(
    config: &Config,
    (id, payment): (OrderId, PaymentId),
    before: Option<&PaymentRefund>,
    progress: Progress<'_>,
    actor: &str,
) -> Result<bool, DbError> {
    use ParameterValue::{Boolean, DbNull, Int32, Int64};
    let known_again = before.and_then(|before| before.again_in_ms);
    let parameters = || {
        let (outcome, after, wait_ms, reason) = match progress {
            Progress::Settled(status, reason) => {
                (text(status.as_str()), before, 0, reason.map_or(DbNull, text))
            }
            Progress::Later { after, wait_ms, reason } => (DbNull, Some(after), wait_ms, text(reason)),
        };
        let again = after.and_then(|after| after.again_in_ms).filter(|again| Some(*again) != known_again);
        named! { "sql/store_payment_refund.sql":
            p_order = uuid(id.0),
            p_payment = uuid(payment.0),
            p_attempts = before.map_or(DbNull, |before| Int32(i32::try_from(before.attempts).unwrap_or(i32::MAX))),
            p_outcome = outcome,
            p_wait_ms = Int64(i64::try_from(wait_ms).unwrap_or(i64::MAX)),
            p_again_ms = again.map_or(DbNull, Int64),
            p_undecided = Boolean(after.is_some_and(|after| after.undecided)),
            p_parked = Boolean(after.is_some_and(|after| after.parked)),
            p_reason = reason,
            p_actor = text(actor),
        }
    };
    require_row(
        query(config, Session::Shared, include_str!("sql/store_payment_refund.sql"), parameters).await?,
    )?
    .bool()
}
