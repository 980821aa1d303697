//! What is done at Payment: charge, ask, refund.

use super::outcome::{ActionOutcome, no_answer};
use crate::commands::Context;
use crate::domain::order::{Order, Payment, PaymentStatus};
use crate::domain::retry;
use crate::domain::saga::Event;
use crate::peers::payment::{Charge, Refund};
use crate::peers::{Outcome, payment};

/// Charges the order's total, under the order's id as key.
pub async fn charge(context: &Context, order: &Order) -> ActionOutcome {
    match payment::charge(&context.config, order).await {
        Outcome::Answered(Charge::Payment { payment, .. }) => Event::PaymentIs(payment).into(),
        Outcome::Answered(Charge::Invalid) => Event::ChargeRefused.into(),
        Outcome::NoAnswer(failure) => no_answer(failure.reason),
    }
}

/// Asks Payment what is true of the `known` payment.
pub async fn ask_payment(context: &Context, order: &Order, known: Payment) -> ActionOutcome {
    match payment::ask(&context.config, known.id, retry::PAYMENT_DEADLINE_MS).await {
        Outcome::Answered(Some(record)) => match record.matching(order) {
            Some(payment) => Event::PaymentIs(payment).into(),
            None => no_answer("Payment shows the payment for another order, amount or currency"),
        },
        Outcome::Answered(None) => no_answer("Payment does not know the payment"),
        Outcome::NoAnswer(failure) => no_answer(failure.reason),
    }
}

/// Refunds the order's payment.
pub async fn refund(context: &Context, order: &Order, payment: Payment) -> ActionOutcome {
    match payment::refund(&context.config, payment.id).await {
        Outcome::Answered(Refund::Done) => {
            Event::PaymentIs(Payment { status: PaymentStatus::Refunded, ..payment }).into()
        }
        // Payment refuses also what is refunded already, so it is asked for the payment's status.
        Outcome::Answered(Refund::Accepted | Refund::UnknownPayment | Refund::Refused) => {
            match ask_payment(context, order, payment).await {
                ActionOutcome {
                    event:
                        Event::PaymentIs(Payment {
                            status: PaymentStatus::Success | PaymentStatus::Pending, ..
                        }),
                    ..
                } => no_answer("Payment refuses the refund, and the money is still taken"),
                other => other,
            }
        }
        Outcome::NoAnswer(failure) => no_answer(failure.reason),
    }
}

/// A retry: the refund may have taken effect.
pub async fn ask_then_refund(context: &Context, order: &Order, payment: Payment) -> ActionOutcome {
    match ask_payment(context, order, payment).await {
        ActionOutcome { event: Event::PaymentIs(Payment { status: PaymentStatus::Success, .. }), .. } => {
            refund(context, order, payment).await
        }
        other => other,
    }
}
