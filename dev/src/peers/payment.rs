//! Payment: who has paid. It calls the order service back before it answers a charge.

use serde::{Deserialize, Serialize};

use super::Sandbox;
use super::answer::Answer;
use super::call::{About, Call, Matching};
use super::callbacks;
use super::contract::shapes::{self, Charge, Paid, Refund};
use super::state::State;

/// How a payment stands. Payment itself never shows `CANCELLED`; only a callback can say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum PaymentStatus {
    Pending,
    Success,
    Failed,
    Cancelled,
    Refunded,
}

/// A payment. Amounts are in cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Payment {
    pub id: String,
    pub order_id: String,
    pub idempotency_key: String,
    pub provider_txn_id: String,
    pub status: PaymentStatus,
    pub amount_cents: i64,
    pub currency: String,
    /// How often the money was taken from the buyer: once at most, if all is well.
    #[serde(default)]
    pub taken: u32,
    /// How often it went back to the buyer, by a refund or a charge-back.
    #[serde(default)]
    pub returned: u32,
}

impl Payment {
    /// Changes the status, and counts the money that moves with it.
    fn become_now(&mut self, status: PaymentStatus) {
        match (self.status, status) {
            (PaymentStatus::Success, PaymentStatus::Success) => {}
            (_, PaymentStatus::Success) => self.taken += 1,
            (PaymentStatus::Success, _) => self.returned += 1,
            _ => {}
        }
        self.status = status;
    }

    fn paid(&self) -> Paid<'_> {
        Paid {
            id: &self.id,
            order_id: &self.order_id,
            provider_txn_id: &self.provider_txn_id,
            status: self.status,
            amount_cents: self.amount_cents,
            currency: &self.currency,
        }
    }
}

/// The outcome of a charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It succeeds, and we are called back.
    #[default]
    Succeed,
    /// It stays pending until it is settled.
    Pending,
    /// It fails, and we are called back.
    Decline,
    /// It succeeds, and we are not called back.
    Silent,
}

/// The mode of every charge.
#[derive(Default)]
pub(super) struct Modes {
    default: Mode,
    /// The last that fits counts.
    special: Vec<(Matching, Mode)>,
}

impl Modes {
    pub fn set(&mut self, only: Matching, mode: Mode) {
        if only == Matching::default() {
            self.default = mode;
        } else {
            self.special.push((only, mode));
        }
    }

    fn of(&self, about: &About) -> Mode {
        let special = self.special.iter().rev().find(|(only, _)| only.fits(about));
        special.map_or(self.default, |(_, mode)| *mode)
    }
}

/// `POST /v1/charge`. `forced` overrides the mode that is set.
pub(super) async fn charge(sandbox: &Sandbox, call: &Call, forced: Option<Mode>) -> Answer {
    let Some(key) = call.idempotency_key.clone().filter(|key| !key.is_empty()) else {
        return Answer::error(400, "Idempotency-Key header is required");
    };
    let Some(request) = call.json::<Charge>().filter(|request| request.amount_cents >= 1) else {
        return Answer::error(400, "merchant_order_id, amount_cents (at least 1) and currency are required");
    };
    let (payment, mode) = {
        let mut state = sandbox.state();
        if let Some(payment) = state.charge_keys.get(&key).and_then(|id| state.payments.get(id)) {
            return Answer::json(200, &payment.paid().charged());
        }
        let mode = forced.unwrap_or_else(|| state.modes.of(&call.about));
        (create(&mut state, key, request, mode), mode)
    };
    let callback_wanted = matches!(mode, Mode::Succeed | Mode::Decline);
    if callback_wanted && !callbacks::about(sandbox, &call.about, &payment).await {
        return Answer::error(500, "the merchant's callback failed");
    }
    Answer::json(200, &payment.paid().charged())
}

/// `GET /v1/payments/{id}`: in camel case, unlike the charge.
pub(super) fn payment(state: &State, id: &str) -> Answer {
    let Some(payment) = state.payments.get(id) else {
        return Answer::error(404, "payment not found");
    };
    Answer::json(200, &payment.paid().shown())
}

/// `POST /v1/refund`: only of a payment that is `SUCCESS`, so not twice.
pub(super) fn refund(state: &mut State, call: &Call) -> Answer {
    let Some(request) = call.json::<Refund>() else {
        return Answer::error(400, "payment_id is required");
    };
    let Some(payment) = state.payments.get_mut(&request.payment_id) else {
        return Answer::error(404, "payment not found");
    };
    if payment.status != PaymentStatus::Success {
        return not_refundable();
    }
    payment.become_now(PaymentStatus::Refunded);
    Answer::json(200, &shapes::refunded(&payment.id, payment.status))
}

/// What Payment says when it will not refund.
pub(super) fn not_refundable() -> Answer {
    Answer::error(400, "only successful payments can be refunded")
}

/// Sets what a payment is, as if the buyer or the bank had decided, when it is one of `from` now (or whatever it is,
/// when that is empty); answers the payment as it was when it is another. `None`: no such payment.
pub(super) fn settle(
    state: &mut State,
    payment_id: &str,
    from: &[PaymentStatus],
    status: PaymentStatus,
) -> Option<Result<Payment, Payment>> {
    let payment = state.payments.get_mut(payment_id)?;
    if !from.is_empty() && !from.contains(&payment.status) {
        return Some(Err(payment.clone()));
    }
    payment.become_now(if status == PaymentStatus::Cancelled { PaymentStatus::Failed } else { status });
    Some(Ok(payment.clone()))
}

/// The payment exists, with its final status, before anybody is told of it.
fn create(state: &mut State, key: String, request: Charge, mode: Mode) -> Payment {
    let id = uuid::Uuid::new_v4();
    let mut payment = Payment {
        id: id.to_string(),
        order_id: request.merchant_order_id.to_string(),
        idempotency_key: key.clone(),
        provider_txn_id: format!("TXN-{}", id.simple().to_string()[..12].to_uppercase()),
        status: PaymentStatus::Pending,
        amount_cents: request.amount_cents,
        currency: request.currency,
        taken: 0,
        returned: 0,
    };
    match mode {
        Mode::Succeed | Mode::Silent => payment.become_now(PaymentStatus::Success),
        Mode::Pending => {}
        Mode::Decline => payment.become_now(PaymentStatus::Failed),
    }
    state.payment_order.push(payment.id.clone());
    state.charge_keys.insert(key, payment.id.clone());
    state.payments.insert(payment.id.clone(), payment.clone());
    payment
}
