//! Payment: who has paid. It calls the order service back before it answers a charge.

use serde::{Deserialize, Serialize};

use super::Sandbox;
use super::answer::Answer;
use super::call::{About, Call, Matching};
use super::callbacks;
use super::contract::errors::{nest, payment as error};
use super::contract::shapes::{Charge, Paid};
use super::state::State;

mod refunds;
mod requests;

pub use refunds::RefundMode;
pub(super) use refunds::{not_refundable, refund};

/// The largest amount that the column takes.
const INT_MAX: i64 = i32::MAX as i64;
/// The longest currency that the column takes.
const LONGEST_CURRENCY: usize = 10;

/// How a payment stands. The published Payment shows `PENDING`, `SUCCESS`, `FAILED` and `REFUNDED`; others that speak its
/// contract show the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum PaymentStatus {
    Pending,
    Success,
    Failed,
    Cancelled,
    Refunded,
    Expired,
    Processing,
    /// A word that is nowhere in the contract.
    OnHold,
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
    /// Whether Payment has forgotten it: it answers 404.
    #[serde(default)]
    pub forgotten: bool,
    /// Whether the control API made it, and not a charge.
    #[serde(default)]
    pub charged_elsewhere: bool,
    /// Whether a refund was accepted that is not done yet.
    #[serde(default)]
    pub refund_accepted: bool,
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
        self.refund_accepted &= status == PaymentStatus::Success;
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
    /// It has this status, and we are not called back.
    Ends(PaymentStatus),
}

/// The mode of every charge, or of every refund.
#[derive(Default)]
pub(super) struct Chosen<M> {
    default: M,
    /// The last that fits counts.
    special: Vec<(Matching, M)>,
}

impl<M: Copy> Chosen<M> {
    pub fn set(&mut self, only: Matching, mode: M) {
        if only == Matching::default() {
            self.default = mode;
        } else {
            self.special.push((only, mode));
        }
    }

    fn of(&self, about: &About) -> M {
        let special = self.special.iter().rev().find(|(only, _)| only.fits(about));
        special.map_or(self.default, |(_, mode)| *mode)
    }
}

/// `POST /v1/charge`. `forced` overrides the mode that is set.
pub(super) async fn charge(sandbox: &Sandbox, call: &Call, forced: Option<Mode>) -> Answer {
    let request = match requests::charge(call) {
        Ok(request) => request,
        Err(answer) => return answer,
    };
    let Some(key) = call.idempotency_key.clone().filter(|key| !key.is_empty()) else {
        return nest(400, "Idempotency-Key header is required");
    };
    let (payment, mode) = {
        let mut state = sandbox.state();
        if let Some(payment) = state.charge_keys.get(&key).and_then(|id| state.payments.get(id)) {
            return Answer::json(201, &payment.paid().charged());
        }
        if request.amount_cents > INT_MAX || request.currency.chars().count() > LONGEST_CURRENCY {
            return internal_error();
        }
        let mode = forced.unwrap_or_else(|| state.modes.of(&call.about));
        (create(&mut state, key, request, mode), mode)
    };
    let callback_wanted = matches!(mode, Mode::Succeed | Mode::Decline);
    if callback_wanted && let Err(refusal) = callbacks::about(sandbox, &call.about, &payment).await {
        // Payment answers with the status that its own request got.
        return refusal.map_or_else(internal_error, |status| {
            error(status, &format!("Request failed with status code {status}"))
        });
    }
    Answer::json(201, &payment.paid().charged())
}

/// `GET /v1/payments/{id}`: in camel case, unlike the charge.
pub(super) fn payment(state: &State, id: &str) -> Answer {
    let Some(payment) = state.payments.get(id).filter(|payment| !payment.forgotten) else {
        return not_found();
    };
    Answer::json(200, &payment.paid().shown())
}

/// What Payment says of a payment that it does not have.
pub(super) fn not_found() -> Answer {
    nest(404, "Payment not found")
}

/// What Payment says when it meets an error that it did not think of.
pub(super) fn internal_error() -> Answer {
    error(500, "Internal server error")
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
    payment.become_now(status);
    Some(Ok(payment.clone()))
}

/// Another payment of the order of one that there is, under a key of its own. `None`: there is no such payment.
pub(super) fn another(state: &mut State, payment_id: &str, status: PaymentStatus) -> Option<Payment> {
    let first = state.payments.get(payment_id)?;
    let request = Charge {
        merchant_order_id: first.order_id.parse().ok()?,
        amount_cents: first.amount_cents,
        currency: first.currency.clone(),
    };
    let payment = create(state, uuid::Uuid::new_v4().to_string(), request, Mode::Ends(status));
    let payment = state.payments.get_mut(&payment.id)?;
    payment.charged_elsewhere = true;
    Some(payment.clone())
}

/// Payment forgets a payment, and its key; or remembers it. `None`: there is no such payment.
pub(super) fn forget(state: &mut State, payment_id: &str, forgotten: bool) -> Option<Payment> {
    let payment = state.payments.get_mut(payment_id)?;
    payment.forgotten = forgotten;
    if forgotten {
        state.charge_keys.remove(&payment.idempotency_key);
    } else {
        state.charge_keys.insert(payment.idempotency_key.clone(), payment.id.clone());
    }
    Some(payment.clone())
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
        forgotten: false,
        charged_elsewhere: false,
        refund_accepted: false,
    };
    match mode {
        Mode::Ends(status) => payment.become_now(status),
        Mode::Succeed | Mode::Silent => payment.become_now(PaymentStatus::Success),
        Mode::Pending => {}
        Mode::Decline => payment.become_now(PaymentStatus::Failed),
    }
    state.payment_order.push(payment.id.clone());
    state.charge_keys.insert(key, payment.id.clone());
    state.payments.insert(payment.id.clone(), payment.clone());
    payment
}
