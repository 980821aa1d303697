//! Hears what Payment says of a payment, makes sure of it, and moves the order on.
//!
//! The callback is a hint, never the truth: unless it is signed, Payment is asked. It comes before the charge that it
//! belongs to has answered, and must be answered within two seconds whatever the peers do.

use super::Context;
use super::drive::{apply_event, drive};
use super::time_budget::within_budget;
use crate::db::DbError;
use crate::db::orders::{self, Document};
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::{Order, Payment, PaymentStatus, Phase};
use crate::domain::saga::{Event, Rejected};
use crate::peers::{Outcome, payment};
use anyhow::anyhow;
use futures::future::join;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// What a callback says.
#[derive(Clone, Copy, Debug)]
pub struct Callback {
    /// The order that it speaks of.
    pub order_id: OrderId,
    /// The payment that it speaks of.
    pub payment_id: PaymentId,
    /// What it says of the payment.
    pub status: PaymentStatus,
}

/// What a callback came to.
#[derive(Debug)]
pub enum CallbackOutcome {
    /// It moved the order on; the order's document.
    Applied(Document),
    /// Repeated, late, or overtaken by the order's state.
    AlreadyProcessed(Document),
    /// Payment says that nothing is decided.
    StillPending(Document),
    /// No such order.
    OrderNotFound,
    /// It is not what Payment says, and why.
    Rejected(&'static str),
    /// Payment cannot be asked; the sweep will.
    PaymentUnavailable(String),
}

/// Payment hangs up after two seconds; the rest is for the way.
const BUDGET: Duration = Duration::from_millis(1_600);
/// Within it, the time to ask Payment.
const ASK_DEADLINE_MS: u64 = 1_000;

/// Handles a callback. `is_signed`: its signature was verified.
///
/// # Errors
/// [`DbError`].
pub async fn handle(
    context: &Context,
    callback: Callback,
    is_signed: bool,
) -> Result<CallbackOutcome, DbError> {
    let progress = Rc::new(RefCell::new(Progress::Loading));
    let work = process(context.clone(), callback, is_signed, progress.clone());
    if let Some(heard) = within_budget(context, BUDGET, work).await? {
        return Ok(heard);
    }
    match progress.take() {
        Progress::Loading => Err(DbError::Unavailable(anyhow!("the callback's time is over"))),
        Progress::Loaded => Ok(CallbackOutcome::PaymentUnavailable("the callback's time is over".into())),
        Progress::Stored(document) => Ok(CallbackOutcome::Applied(document)),
    }
}

/// How far a callback's work has come.
#[derive(Default)]
enum Progress {
    #[default]
    Loading,
    Loaded,
    /// The news of the payment is stored; the order's document since.
    Stored(Document),
}

/// Does it all, and tells how far it has come.
async fn process(
    context: Context,
    callback: Callback,
    is_signed: bool,
    progress: Rc<RefCell<Progress>>,
) -> Result<CallbackOutcome, DbError> {
    let load = async {
        let loaded = orders::load(&context.config, callback.order_id).await;
        if loaded.is_ok() {
            progress.replace(Progress::Loaded);
        }
        loaded
    };
    let (loaded, asked) = if is_signed {
        (load.await?, None)
    } else {
        let (loaded, asked) =
            join(load, payment::ask(&context.config, callback.payment_id, ASK_DEADLINE_MS)).await;
        (loaded?, Some(asked))
    };
    let Some((order, document)) = loaded else {
        return Ok(CallbackOutcome::OrderNotFound);
    };
    let asked = match asked {
        None if may_be_old(&order, callback) => {
            Some(payment::ask(&context.config, callback.payment_id, ASK_DEADLINE_MS).await)
        }
        asked => asked,
    };

    let news = match asked {
        None => Payment { id: callback.payment_id, status: callback.status },
        Some(Outcome::Answered(None)) => {
            return Ok(CallbackOutcome::Rejected("Payment does not know the payment"));
        }
        Some(Outcome::Answered(Some(record))) => match record.matching(&order) {
            Some(payment) => payment,
            None => {
                return Ok(CallbackOutcome::Rejected("the payment is of another order, amount or currency"));
            }
        },
        Some(Outcome::NoAnswer(failure)) => {
            return mark_payment_unsure(&context, &order, callback.payment_id, failure.reason).await;
        }
    };
    if order.payment.is_some_and(|known| known.id != news.id) {
        return Ok(CallbackOutcome::Rejected("the order has another payment"));
    }
    if news.status == PaymentStatus::Pending {
        return Ok(CallbackOutcome::StillPending(document));
    }

    let detail = json!({ "payment_id": news.id, "told": callback.status, "signed": is_signed });
    let stored = apply_event(&context, &order, Event::PaymentIs(news), detail).await?;
    match stored.rejected {
        None => {}
        Some(Rejected::OtherPayment) => {
            return Ok(CallbackOutcome::Rejected("the order has another payment"));
        }
        Some(Rejected::Stale | Rejected::NotCancellable | Rejected::NotRefundable) => {
            return Ok(CallbackOutcome::AlreadyProcessed(stored.document.unwrap_or(document)));
        }
    }
    let mut document = stored.document.unwrap_or(document);
    progress.replace(Progress::Stored(document.clone()));
    if stored.held {
        document = drive(&context, stored.order).await?.document.unwrap_or(document);
    }
    Ok(CallbackOutcome::Applied(document))
}

/// Whether a signed callback may be older than what is known of the payment, and would make a difference: a failure of
/// money that is on its way back, or anything about a payment that is in doubt.
fn may_be_old(order: &Order, callback: Callback) -> bool {
    let refunding = order.phase == Phase::Refunding && callback.status == PaymentStatus::Failed;
    order.payment.is_some_and(|known| known.id == callback.payment_id) && (refunding || order.payment_unsure)
}

/// Payment could not be asked: the order is put on the list, so that the sweep asks.
async fn mark_payment_unsure(
    context: &Context,
    order: &Order,
    payment: PaymentId,
    reason: String,
) -> Result<CallbackOutcome, DbError> {
    if order.payment.is_some_and(|known| known.id == payment) {
        apply_event(context, order, Event::PaymentUnsure, json!({ "reason": reason })).await?;
    }
    Ok(CallbackOutcome::PaymentUnavailable(reason))
}
