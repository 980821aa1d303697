//! Refunds: done at once, or accepted and done later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PaymentStatus, error};
use crate::peers::Sandbox;
use crate::peers::answer::Answer;
use crate::peers::call::Call;
use crate::peers::contract::shapes::{self, Refund};

/// What becomes of a refund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundMode {
    /// It is done before it is answered.
    #[default]
    AtOnce,
    /// It is answered `PENDING`. The payment stays `SUCCESS` until the refund is done.
    Accepted {
        /// After how many milliseconds it is done; `None`: when the payment is settled as `REFUNDED`, or never.
        #[serde(default)]
        after_ms: Option<u64>,
    },
}

/// `POST /v1/refund`: only of a payment that is `SUCCESS`, so not twice.
pub(in crate::peers) fn refund(sandbox: &Sandbox, call: &Call) -> Answer {
    let Some(request) = call.json::<Refund>() else {
        return error(400, "payment_id is required");
    };
    let state = &mut *sandbox.state();
    let mode = state.refund_modes.of(&call.about);
    let Some(payment) = state.payments.get_mut(&request.payment_id).filter(|payment| !payment.forgotten)
    else {
        return error(404, "Payment not found");
    };
    if payment.status != PaymentStatus::Success {
        return not_refundable();
    }
    match mode {
        RefundMode::AtOnce => {
            payment.become_now(PaymentStatus::Refunded);
            Answer::json(201, &shapes::refunded(&payment.id, payment.status))
        }
        RefundMode::Accepted { after_ms } => {
            payment.refund_accepted = true;
            if let Some(ms) = after_ms {
                finish_later(sandbox, payment.id.clone(), Duration::from_millis(ms));
            }
            Answer::json(201, &shapes::refunded(&payment.id, PaymentStatus::Pending))
        }
    }
}

/// What Payment says when it will not refund.
pub(in crate::peers) fn not_refundable() -> Answer {
    error(400, "Only successful payments can be refunded")
}

/// Once: a second refund that was accepted meanwhile finds nothing to do.
fn finish_later(sandbox: &Sandbox, payment_id: String, wait: Duration) {
    let sandbox = sandbox.itself();
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        let Some(sandbox) = sandbox.upgrade() else { return };
        let state = &mut *sandbox.state();
        state.changes += 1;
        if let Some(payment) = state.payments.get_mut(&payment_id).filter(|payment| payment.refund_accepted) {
            payment.become_now(PaymentStatus::Refunded);
        }
    });
}
