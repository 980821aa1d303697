//! Payment: who has paid. It calls the order service back before it answers a charge.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Sandbox;
use super::answer::Answer;
use super::call::{About, Call, Matching};
use super::state::{State, now_ms};

/// How long Payment waits for the answer to a callback.
const CALLBACK_LIMIT: Duration = Duration::from_secs(2);
/// How many callbacks are remembered.
const LIMIT: usize = 100_000;

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
}

/// A callback that was sent to the order service, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallbackRecord {
    /// What was sent.
    pub sent: Value,
    /// The status that was answered; `None` when no answer came in time.
    pub status: Option<u16>,
    /// The body that was answered.
    pub answer: Value,
    /// When it was sent: milliseconds since 1970.
    pub started_at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What becomes of a charge.
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

#[derive(Deserialize)]
struct Charge {
    merchant_order_id: uuid::Uuid,
    amount_cents: i64,
    currency: String,
}

#[derive(Deserialize)]
struct Refund {
    payment_id: String,
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
            return Answer::json(200, &charged(payment));
        }
        let mode = forced.unwrap_or_else(|| state.modes.of(&call.about));
        (create(&mut state, key, request, mode), mode)
    };
    let callback_wanted = matches!(mode, Mode::Succeed | Mode::Decline);
    if callback_wanted && !call_back_about(sandbox, &payment).await {
        return Answer::error(500, "the merchant's callback failed");
    }
    Answer::json(200, &charged(&payment))
}

/// `GET /v1/payments/{id}`: in camel case, unlike the charge.
pub(super) fn payment(state: &State, id: &str) -> Answer {
    let Some(payment) = state.payments.get(id) else {
        return Answer::error(404, "payment not found");
    };
    Answer::json(
        200,
        &json!({
            "id": payment.id, "merchantOrderId": payment.order_id, "providerTxnId": payment.provider_txn_id,
            "amountCents": payment.amount_cents, "currency": payment.currency, "status": payment.status,
        }),
    )
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
    payment.status = PaymentStatus::Refunded;
    Answer::json(200, &json!({ "id": payment.id, "status": payment.status }))
}

/// What Payment says when it will not refund.
pub(super) fn not_refundable() -> Answer {
    Answer::error(400, "only successful payments can be refunded")
}

/// Sets what a payment is, as if the buyer or the bank had decided; answers the payment.
pub(super) fn settle(state: &mut State, payment_id: &str, status: PaymentStatus) -> Option<Payment> {
    let payment = state.payments.get_mut(payment_id)?;
    payment.status = if status == PaymentStatus::Cancelled { PaymentStatus::Failed } else { status };
    Some(payment.clone())
}

/// What we are told of a payment.
pub(super) fn callback_body(payment: &Payment, status: PaymentStatus) -> Value {
    json!({ "order_id": payment.order_id, "payment_id": payment.id, "status": status })
}

/// Sends any callback. `None` when there is no callback URL.
pub(super) async fn call_back(sandbox: &Sandbox, body: Value) -> Option<CallbackRecord> {
    let url = sandbox.state().callback_url.clone()?;
    let (started_at_ms, start) = (now_ms(), Instant::now());
    let exchange = async {
        let answer = sandbox.client.post(url).json(&body).send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok::<_, reqwest::Error>((status, value))
    };
    let (status, answer) = match tokio::time::timeout(CALLBACK_LIMIT, exchange).await {
        Ok(Ok((status, answer))) => (Some(status), answer),
        Ok(Err(error)) => (None, error.to_string().into()),
        Err(_) => (None, "no answer in time".into()),
    };
    let took_ms = start.elapsed().as_millis() as u64;
    let record = CallbackRecord { sent: body, status, answer, started_at_ms, took_ms };
    let mut state = sandbox.state();
    if state.callbacks.len() == LIMIT {
        state.callbacks.pop_front();
    }
    state.callbacks.push_back(record.clone());
    Some(record)
}

/// Whether the order service took the callback. With nobody to call, all is well.
async fn call_back_about(sandbox: &Sandbox, payment: &Payment) -> bool {
    let record = call_back(sandbox, callback_body(payment, payment.status)).await;
    record.is_none_or(|record| record.status.is_some_and(|status| (200..300).contains(&status)))
}

/// The payment exists, with its final status, before anybody is told of it.
fn create(state: &mut State, key: String, request: Charge, mode: Mode) -> Payment {
    let id = uuid::Uuid::new_v4();
    let payment = Payment {
        id: id.to_string(),
        order_id: request.merchant_order_id.to_string(),
        idempotency_key: key.clone(),
        provider_txn_id: format!("TXN-{}", id.simple().to_string()[..12].to_uppercase()),
        status: match mode {
            Mode::Succeed | Mode::Silent => PaymentStatus::Success,
            Mode::Pending => PaymentStatus::Pending,
            Mode::Decline => PaymentStatus::Failed,
        },
        amount_cents: request.amount_cents,
        currency: request.currency,
    };
    state.charge_keys.insert(key, payment.id.clone());
    state.payments.insert(payment.id.clone(), payment.clone());
    payment
}

fn charged(payment: &Payment) -> Value {
    json!({
        "id": payment.id, "merchant_order_id": payment.order_id, "provider_txn_id": payment.provider_txn_id,
        "status": payment.status, "amount_cents": payment.amount_cents, "currency": payment.currency,
    })
}
