//! Checks whether there are payments beside an order's own: one that a callback told of when Payment could not be asked, or one that a
//! charge without an answer has made.

use super::Context;
use super::drive::{apply_event, drive};
use crate::db::DbError;
use crate::db::payment_checks::{self, Progress};
use crate::db::payment_refunds;
use crate::domain::order::{Order, Payment};
use crate::domain::payment_check::{self, Answer, Next, PaymentCheck};
use crate::domain::retry;
use crate::domain::saga::{Event, Rejected};
use crate::peers::payment::{self, Charge, ShownStatus};
use crate::peers::{CallFailure, Outcome};
use crate::runtime::random::random;
use serde_json::json;

/// An answer with its reason, for an operator.
struct Told {
    answer: Answer,
    reason: String,
}

/// Asks Payment what a claimed check is about, and stores what came of it.
///
/// # Errors
/// [`DbError`]. A sweep then claims it again when its lease is over.
pub async fn check(context: &Context, order: Order, claimed: &PaymentCheck) -> Result<(), DbError> {
    let told = ask(context, &order, claimed).await;
    match payment_check::next(claimed, &order, told.answer) {
        Next::Report(payment) => report(context, order, claimed, payment).await,
        Next::Close => payment_checks::store(&context.config, claimed, Progress::Closed).await.map(drop),
        Next::Later { seen, unknown, parked } => {
            let wait_ms = payment_check::wait_ms(claimed, told.answer, random::<1>()[0]);
            let progress = Progress::Later { wait_ms, seen, unknown, parked, reason: &told.reason };
            let is_stored = payment_checks::store(&context.config, claimed, progress).await?;
            if is_stored && parked && !claimed.parked {
                let fields =
                    json!({ "payment": claimed.told, "attempts": claimed.attempts, "reason": told.reason });
                context.log.order(order.id).error("a payment that cannot be checked needs a person", fields);
            }
            Ok(())
        }
    }
}

/// The payment is of the order: its own, or one that goes back by itself.
async fn report(
    context: &Context,
    order: Order,
    claimed: &PaymentCheck,
    payment: Payment,
) -> Result<(), DbError> {
    let detail = json!({ "payment_id": payment.id });
    let stored = apply_event(context, &order, Event::PaymentIs(payment), detail).await?;
    if stored.rejected == Some(Rejected::OtherPayment) && payment.is_without_money() {
        payment_refunds::remember(&context.config, order.id, payment).await?;
    }
    payment_checks::store(&context.config, claimed, Progress::Closed).await?;
    if stored.has_lease {
        drive(context, stored.order).await?;
    }
    Ok(())
}

/// Asks about the payment that a callback told of, or repeats the charge under its key.
async fn ask(context: &Context, order: &Order, claimed: &PaymentCheck) -> Told {
    let Some(told) = claimed.told else {
        return charge(context, order).await;
    };
    match payment::ask(&context.config, told, retry::PAYMENT_DEADLINE_MS).await {
        Outcome::Answered(Some(record)) => match record.matching(order) {
            Some(payment) => is(payment, &record.status),
            None if record.is_of(order) => {
                let reason = format!("{}, for another amount or currency", shown(record.status.as_str()));
                Told { answer: Answer::OtherAmount(record.status.meaning()), reason }
            }
            None => Told { answer: Answer::NotTheOrders, reason: "it is another order's".to_owned() },
        },
        Outcome::Answered(None) => {
            Told { answer: Answer::Unknown, reason: "Payment does not know the payment".to_owned() }
        }
        Outcome::NoAnswer(failure) => silent(failure),
    }
}

async fn charge(context: &Context, order: &Order) -> Told {
    match payment::charge(&context.config, order).await {
        Outcome::Answered(Charge::Payment { payment, shown: status }) => is(payment, &status),
        Outcome::Answered(Charge::Invalid) => silent("Payment finds the charge invalid".to_owned().into()),
        Outcome::NoAnswer(failure) => silent(failure),
    }
}

fn is(payment: Payment, status: &ShownStatus) -> Told {
    let answer = if status.is_unfamiliar() { Answer::Unfamiliar(payment.id) } else { Answer::Is(payment) };
    Told { answer, reason: shown(status.as_str()) }
}

fn shown(status: &str) -> String {
    format!("Payment shows the payment as {status}")
}

fn silent(failure: CallFailure) -> Told {
    Told { answer: Answer::None(failure.retry_after_ms()), reason: failure.reason }
}
