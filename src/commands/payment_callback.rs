//! Handles the callback (webhook) of Payment: verifies it, stores the payment's status, and drives the order on.
//!
//! A callback that is not signed is not trusted: Payment is asked. It comes before the charge that it belongs to has answered, and
//! must be answered within two seconds whatever the peers do.

use super::Context;
use super::drive::{apply_event, apply_event_after, drive};
use super::time_budget::within_budget;
use crate::db::DbError;
use crate::db::orders::{self, Document};
use crate::db::payment_checks;
use crate::db::payment_refunds::{self, Known};
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::{Order, Payment, PaymentStatus, Phase, Status};
use crate::domain::retry;
use crate::domain::saga::{self, Event, Rejected};
use crate::peers::Outcome;
use crate::peers::payment::{self, ShownStatus};
use crate::telemetry::tracing::current;
use anyhow::anyhow;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// What a callback says.
#[derive(Clone, Copy, Debug)]
pub struct Callback {
    /// The order that it is about.
    pub order_id: OrderId,
    /// The payment that it is about.
    pub payment_id: PaymentId,
    /// The payment's status that it reports.
    pub status: PaymentStatus,
}

/// The outcome of a callback.
#[derive(Debug)]
pub enum CallbackOutcome {
    /// It was applied; the order's document.
    Applied(Document),
    /// A duplicate, or too late for the order's state; the order's document.
    AlreadyProcessed(Document),
    /// Payment reports the payment as pending; the order's document.
    StillPending(Document),
    /// Another payment of the order succeeded first: this one goes back. The order's document.
    SecondPayment(Document),
    /// There is no such order.
    OrderNotFound,
    /// It does not match what Payment reports, or the order; the reason.
    Rejected(&'static str),
    /// Payment did not answer; the sweep will ask it. The reason.
    PaymentUnavailable(String),
}

/// Time budget of the answer: Payment times out after two seconds, and the rest is for the network.
const BUDGET: Duration = Duration::from_millis(1_600);
/// Why a callback about a payment that took no money is rejected.
const OTHER_PAYMENT: &str = "the order has another payment";
/// Why a callback is rejected about a payment that cannot be the order's.
const NO_MATCH: &str = "the payment is of another order, amount or currency";
/// Deadline of the query to Payment within the budget, in milliseconds.
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
    if let Some(outcome) = within_budget(context, BUDGET, work).await? {
        return Ok(outcome);
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
    /// The payment's status is stored; the order's document since then.
    Stored(Document),
}

/// Processes the callback, and reports its progress in `progress`.
async fn process(
    context: Context,
    callback: Callback,
    is_signed: bool,
    progress: Rc<RefCell<Progress>>,
) -> Result<CallbackOutcome, DbError> {
    let loaded = orders::load(&context.config, callback.order_id).await?;
    progress.replace(Progress::Loaded);
    let Some((order, document)) = loaded else {
        return Ok(CallbackOutcome::OrderNotFound);
    };
    // Where its time was over before the order was known, its answer has told of another trace.
    let stays = current::adopt(order.trace.as_ref());
    let (id, trace) = (order.id.0, order.trace.clone());
    // On the heap once, instead of in the state of both branches.
    let work = Box::pin(judge(context, callback, is_signed, progress, order, document));
    if stays { work.await } else { current::continuing("payment callback", id, trace, work).await }
}

/// Judges a callback by the order that it is about, and stores what it comes to.
async fn judge(
    context: Context,
    callback: Callback,
    is_signed: bool,
    progress: Rc<RefCell<Progress>>,
    order: Order,
    document: Document,
) -> Result<CallbackOutcome, DbError> {
    // Payment is asked only about what could change the order: anybody can send a callback.
    let told = Payment { id: callback.payment_id, status: callback.status };
    match saga::next(&order, &Event::PaymentIs(told), context.config.tax) {
        Ok(_) => {}
        Err(Rejected::SecondPayment) => {
            let known = payment_refunds::find(&context.config, order.id, told.id).await?;
            if known == Some(Known::Decided) {
                return Ok(CallbackOutcome::SecondPayment(document));
            }
        }
        Err(Rejected::OtherPayment) => {
            // One that another payment has replaced is the order's, too.
            if payment_refunds::find(&context.config, order.id, told.id).await?.is_some() {
                return Ok(CallbackOutcome::AlreadyProcessed(document));
            }
            // It may be what the charge has made, whose answer is open.
            if !payment_checks::is_open(&context.config, order.id, Some(told.id)).await? {
                return Ok(CallbackOutcome::Rejected(OTHER_PAYMENT));
            }
        }
        Err(_) => return Ok(CallbackOutcome::AlreadyProcessed(document)),
    }
    // Nothing that Payment shows matches an order without a total: it was never charged. The service before this one may have charged
    // its own, which are pending at rest.
    let is_inherited = order.phase == Phase::Done && order.status == Status::Pending;
    if !is_signed && order.amounts.is_none() && !is_inherited {
        if order.phase == Phase::Done {
            return Ok(CallbackOutcome::AlreadyProcessed(document));
        }
        if !payment_checks::is_open(&context.config, order.id, None).await? {
            return Ok(CallbackOutcome::Rejected(NO_MATCH));
        }
    }
    let asked = if !is_signed || must_be_checked(&order, callback) {
        Some(payment::ask(&context.config, callback.payment_id, ASK_DEADLINE_MS).await)
    } else {
        None
    };

    let reported = match asked {
        None => told,
        Some(Outcome::Answered(None)) => {
            // Payment has sent it, and a replica of it may lag behind.
            if is_signed {
                remember_told(&context, &order, told.id, retry::UNKNOWN_FIRST_MS).await?;
            }
            return Ok(CallbackOutcome::Rejected("Payment does not know the payment"));
        }
        Some(Outcome::Answered(Some(record))) => match record.matching(&order) {
            // Nobody knows what it means: it is undecided, as far as is known.
            Some(payment) if matches!(record.status, ShownStatus::Other(_)) => {
                let reason = format!("Payment shows the payment as {}", record.status.as_str());
                let event = Event::CallbackUnfamiliar;
                leave_to_sweep(&context, &order, payment.id, event, &reason, None).await?;
                return Ok(CallbackOutcome::StillPending(document));
            }
            Some(payment) => payment,
            None => {
                // Money of the order for which no rule says what to do: the sweep tells an operator.
                if record.is_of(&order) && !record.status.is_without_money() {
                    remember_told(&context, &order, told.id, 0).await?;
                }
                return Ok(CallbackOutcome::Rejected(NO_MATCH));
            }
        },
        Some(Outcome::NoAnswer(failure)) => {
            let wait = failure.retry_after_ms();
            let (payment, event) = (callback.payment_id, Event::PaymentUnsure);
            leave_to_sweep(&context, &order, payment, event, &failure.reason, wait).await?;
            return Ok(CallbackOutcome::PaymentUnavailable(failure.reason));
        }
    };
    if reported.status == PaymentStatus::Pending {
        // It may succeed without another callback.
        remember_told(&context, &order, reported.id, retry::WATCH_FIRST_MS).await?;
        return Ok(CallbackOutcome::StillPending(document));
    }

    let detail = json!({ "payment_id": reported.id, "told": callback.status, "signed": is_signed });
    let stored = apply_event(&context, &order, Event::PaymentIs(reported), detail).await?;
    match stored.rejected {
        None => {}
        Some(Rejected::ForeignPayment) => {
            return Ok(CallbackOutcome::Rejected("the payment is another order's"));
        }
        Some(Rejected::SecondPayment) => {
            return Ok(CallbackOutcome::SecondPayment(stored.document.unwrap_or(document)));
        }
        // A payment of the order that took no money, beside the one that did: it is not the one that counts.
        Some(
            Rejected::OtherPayment
            | Rejected::Stale
            | Rejected::NotCancellable
            | Rejected::NotRefundable
            | Rejected::NotResolvable,
        ) => {
            return Ok(CallbackOutcome::AlreadyProcessed(stored.document.unwrap_or(document)));
        }
    }
    let mut document = stored.document.unwrap_or(document);
    progress.replace(Progress::Stored(document.clone()));
    if stored.has_lease {
        match drive(&context, stored.order).await {
            Ok(driven) => document = driven.document.unwrap_or(document),
            // What the callback said is stored.
            Err(error) => context.log_left_to_sweep(callback.order_id, &error),
        }
    }
    Ok(CallbackOutcome::Applied(document))
}

/// Whether Payment is asked about a signed callback, too. It may be out of date, and would make a difference: a failure of a payment
/// whose refund has begun, or any report about a payment whose status is in doubt. Or it is about another payment than the order's,
/// whose amount it does not tell.
fn must_be_checked(order: &Order, callback: Callback) -> bool {
    let refunding = order.phase == Phase::Refunding && callback.status == PaymentStatus::Failed;
    order.payment.is_some_and(|known| known.id != callback.payment_id || refunding || order.payment_unsure)
}

/// Payment's answer decides nothing, and the sweep asks: the order is marked by this event; about a payment other than the order's own,
/// a check is stored. A second callback changes nothing. `retry_after_ms`: how long Payment asks to wait.
async fn leave_to_sweep(
    context: &Context,
    order: &Order,
    payment: PaymentId,
    event: Event,
    reason: &str,
    retry_after_ms: Option<u64>,
) -> Result<(), DbError> {
    if is_own(order, payment) {
        let detail = json!({ "reason": reason });
        return apply_event_after(context, order, event, detail, retry_after_ms).await.map(drop);
    }
    remember_told(context, order, payment, retry::capped(retry_after_ms)).await
}

/// Stores a check of a payment that is not the order's own, for a sweep in `wait_ms` milliseconds: nobody else asks about it, and Payment
/// does not call back again. The order's own is asked about anyway.
async fn remember_told(
    context: &Context,
    order: &Order,
    payment: PaymentId,
    wait_ms: u64,
) -> Result<(), DbError> {
    if !is_own(order, payment)
        && !payment_checks::add_told(&context.config, order.id, payment, wait_ms).await?
    {
        let fields = json!({ "payment": payment });
        context.log.order(order.id).refusal("a callback that cannot be checked is not remembered", fields);
    }
    Ok(())
}

fn is_own(order: &Order, payment: PaymentId) -> bool {
    order.payment.is_some_and(|own| own.id == payment)
}
