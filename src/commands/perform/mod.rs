//! Performs an order's next action at a peer, and translates its outcome to an event of the saga.

mod money;
mod outcome;
mod seats;

use super::Context;
use crate::domain::order::Order;
use crate::domain::saga::Action;
pub use outcome::ActionOutcome;
use outcome::no_answer;

/// Performs `action` for `order`. A peer that gives no answer is one of the outcomes, not an error.
pub async fn perform(context: &Context, action: Action, order: &Order) -> ActionOutcome {
    // The seats of a late payment are reserved again, unless the event is cancelled meanwhile.
    if matches!(action, Action::Reserve | Action::LookThenReserve)
        && order.is_paid()
        && let Some(outcome) = money::event_cancelled(context, order).await
    {
        return outcome;
    }
    match action {
        Action::Reserve => seats::reserve(context, order, false).await,
        Action::LookThenReserve => seats::reserve(context, order, true).await,
        Action::Charge => money::charge(context, order).await,
        Action::AskPayment | Action::Refund | Action::AskThenRefund | Action::AskRefund => {
            match (action, order.payment) {
                (_, None) => no_answer("no payment is known"),
                (Action::Refund, Some(payment)) => money::refund(context, order, payment).await,
                (Action::AskThenRefund, Some(payment)) => {
                    money::ask_then_refund(context, order, payment).await
                }
                (Action::AskRefund, Some(payment)) => money::ask_refund(context, order, payment).await,
                (_, Some(payment)) => money::ask_payment(context, order, payment).await,
            }
        }
        Action::Allocate => seats::allocate(context, order).await,
        Action::AskThenAllocate => seats::ask_then_allocate(context, order).await,
        Action::LookThenAllocate => seats::look_then_allocate(context, order).await,
        Action::LookThenRelease => seats::look_then_release(context, order).await,
    }
}
