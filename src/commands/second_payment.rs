//! Refunds second payments: payments beside an order's own that have taken money.

use super::Context;
use crate::db::DbError;
use crate::db::payment_refunds::{self, Progress};
use crate::domain::order::{Order, PaymentStatus};
use crate::domain::payment_refund::{self, Answer, Next, PaymentRefund};
use crate::domain::retry;
use crate::peers::payment::{self, Refund};
use crate::peers::{CallFailure, Outcome};
use crate::runtime::random::random;
use serde_json::json;

/// An answer with its reason, for an operator.
struct Told {
    answer: Answer,
    reason: String,
}

/// Asks Payment about a claimed payment, refunds it if it has taken money, and stores what came of it.
///
/// # Errors
/// [`DbError`]. A sweep then claims it again when its lease is over.
pub async fn refund(context: &Context, order: &Order, claimed: &PaymentRefund) -> Result<(), DbError> {
    let mut told = ask(context, order, claimed).await;
    let mut next = payment_refund::next(claimed, told.answer, false);
    if let Next::Refund(taken) = next {
        told = ask_for_refund(context, claimed).await;
        next = payment_refund::next(&taken, told.answer, true);
    }
    let progress = match &next {
        Next::Settled(status) => Progress::Settled(*status, None),
        Next::Refund(taken) => {
            Progress::Later { after: taken, wait_ms: retry::WATCH_FIRST_MS, reason: &told.reason }
        }
        Next::Later(after) => {
            let wait_ms = payment_refund::wait_ms(after, told.answer, random::<1>()[0]);
            Progress::Later { after, wait_ms, reason: &told.reason }
        }
    };
    let is_stored =
        payment_refunds::store(&context.config, order.id, claimed, progress, context.actor).await?;
    if is_stored && matches!(next, Next::Later(after) if after.parked && !claimed.parked) {
        let fields =
            json!({ "payment": claimed.payment, "attempts": claimed.attempts, "reason": told.reason });
        context.log.order(order.id).error("a second payment needs a person", fields);
    }
    Ok(())
}

async fn ask(context: &Context, order: &Order, claimed: &PaymentRefund) -> Told {
    match payment::ask(&context.config, claimed.payment, retry::PAYMENT_DEADLINE_MS).await {
        Outcome::Answered(Some(record)) => match record.matching(order) {
            Some(payment) => {
                let reason = format!("Payment shows the payment as {}", record.status.as_str());
                let is_unfamiliar = record.status.is_unfamiliar();
                let answer = if is_unfamiliar { Answer::Unfamiliar } else { Answer::Is(payment.status) };
                Told { answer, reason }
            }
            None => {
                silent("Payment shows the payment for another order, amount or currency".to_owned().into())
            }
        },
        Outcome::Answered(None) => unknown(),
        Outcome::NoAnswer(failure) => silent(failure),
    }
}

async fn ask_for_refund(context: &Context, claimed: &PaymentRefund) -> Told {
    match payment::refund(&context.config, claimed.payment).await {
        Outcome::Answered(Refund::Done) => {
            Told { answer: Answer::Is(PaymentStatus::Refunded), reason: String::new() }
        }
        Outcome::Answered(Refund::Accepted) => {
            Told { answer: Answer::Accepted, reason: "Payment has accepted the refund".to_owned() }
        }
        Outcome::Answered(Refund::UnknownPayment) => unknown(),
        // An answer to the one request more: it is only watched from now on.
        Outcome::Answered(Refund::Refused) if claimed.again_in_ms.is_some() => Told {
            answer: Answer::Accepted,
            reason: "Payment refuses the refund that it has accepted".to_owned(),
        },
        // It may be refunded already; the next attempt asks.
        Outcome::Answered(Refund::Refused) => silent("Payment refuses the refund".to_owned().into()),
        Outcome::NoAnswer(failure) => silent(failure),
    }
}

fn unknown() -> Told {
    Told { answer: Answer::Unknown, reason: "Payment does not know the payment".to_owned() }
}

fn silent(failure: CallFailure) -> Told {
    Told { answer: Answer::None(failure.retry_after_ms()), reason: failure.reason }
}
