//! What is done at Payment: charge, ask, refund.

use super::outcome::{ActionOutcome, no_answer};
use crate::commands::Context;
use crate::domain::order::{Order, Payment, PaymentStatus};
use crate::domain::retry;
use crate::domain::saga::Event;
use crate::peers::catalog::{self, EventStatus};
use crate::peers::payment::{Charge, Refund, ShownStatus};
use crate::peers::{CallFailure, Outcome, payment};
use serde_json::json;

/// Charges the order's total, under the order's id as key.
pub async fn charge(context: &Context, order: &Order) -> ActionOutcome {
    match payment::charge(&context.config, order).await {
        Outcome::Answered(Charge::Payment { payment, shown }) => match reported(payment, &shown) {
            ActionOutcome { event: Event::PaymentIs(payment), detail, retry_after_ms } => {
                ActionOutcome { event: Event::Charged(payment), detail, retry_after_ms }
            }
            unfamiliar => unfamiliar,
        },
        Outcome::Answered(Charge::Invalid) => {
            because(Event::ChargeRefused, "Payment finds the charge invalid")
        }
        Outcome::NoAnswer(failure) => silent(failure),
    }
}

/// Asks Payment what is true of the `known` payment.
pub async fn ask_payment(context: &Context, order: &Order, known: Payment) -> ActionOutcome {
    match payment::ask(&context.config, known.id, retry::PAYMENT_DEADLINE_MS).await {
        Outcome::Answered(Some(record)) => match record.matching(order) {
            Some(payment) => reported(payment, &record.status),
            None => no_answer("Payment shows the payment for another order, amount or currency"),
        },
        Outcome::Answered(None) => unknown(),
        Outcome::NoAnswer(failure) => silent(failure),
    }
}

/// Asks Payment whether it has made the refund that it accepted.
pub async fn ask_refund(context: &Context, order: &Order, known: Payment) -> ActionOutcome {
    let asked = ask_payment(context, order, known).await;
    if !is_open(&asked.event) {
        return asked;
    }
    let mut pending = ActionOutcome { event: Event::RefundPending, ..asked };
    if pending.detail.get("reason").is_none() {
        pending.detail["reason"] = json!("Payment has accepted the refund, and has not made it");
    }
    pending
}

/// Refunds the order's payment.
pub async fn refund(context: &Context, order: &Order, payment: Payment) -> ActionOutcome {
    match payment::refund(&context.config, payment.id).await {
        Outcome::Answered(Refund::Done) => {
            Event::PaymentIs(Payment { status: PaymentStatus::Refunded, ..payment }).into()
        }
        Outcome::Answered(Refund::Accepted) => {
            because(Event::RefundAccepted, "Payment has accepted the refund")
        }
        Outcome::Answered(Refund::UnknownPayment) => unknown(),
        // Payment refuses also what is refunded already, so it is asked for the payment's status.
        Outcome::Answered(Refund::Refused) => {
            let asked = ask_payment(context, order, payment).await;
            match order.refund_again_in_ms {
                _ if !is_open(&asked.event) => asked,
                None => no_answer("Payment refuses the refund, and the money is still taken"),
                // An answer to the one request more: it is only watched from now on.
                Some(_) => because(Event::RefundAccepted, "Payment refuses the refund that it has accepted"),
            }
        }
        Outcome::NoAnswer(failure) => silent(failure),
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

/// Whether a payment to refund has not gone back: it is taken, or Payment shows it as undecided meanwhile.
fn is_open(event: &Event) -> bool {
    let status = event.reported().map(|payment| payment.status);
    matches!(status, Some(PaymentStatus::Success | PaymentStatus::Pending))
}

/// The outcome when Catalog, asked past the cache, shows the order's event as cancelled; `None` when seats may be reserved for its
/// late payment. No answer is no permission.
pub async fn event_cancelled(context: &Context, order: &Order) -> Option<ActionOutcome> {
    match catalog::event(&context.config, order.event_id).await {
        Outcome::Answered(EventStatus::Cancelled) => Some(Event::EventCancelled.into()),
        Outcome::Answered(EventStatus::OnSale | EventStatus::NotOnSale | EventStatus::Unknown) => None,
        Outcome::NoAnswer(failure) => Some(silent(failure)),
    }
}

/// The payment's status as Payment shows it.
fn reported(payment: Payment, shown: &ShownStatus) -> ActionOutcome {
    if shown.is_unfamiliar() {
        let reason = format!("Payment shows the payment as {}", shown.as_str());
        return because(Event::PaymentUnfamiliar(payment.id), reason);
    }
    match shown {
        ShownStatus::Known(_) => Event::PaymentIs(payment).into(),
        other => {
            ActionOutcome { detail: json!({ "shown": other.as_str() }), ..Event::PaymentIs(payment).into() }
        }
    }
}

fn unknown() -> ActionOutcome {
    because(Event::PaymentUnknown, "Payment does not know the payment")
}

fn because(event: Event, reason: impl Into<String>) -> ActionOutcome {
    ActionOutcome { detail: json!({ "reason": reason.into() }), ..event.into() }
}

/// No answer, and nothing at Seating is in flight.
fn silent(failure: CallFailure) -> ActionOutcome {
    ActionOutcome { retry_after_ms: failure.retry_after_ms(), ..no_answer(failure.reason) }
}
