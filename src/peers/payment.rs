//! Payment: charges and refunds.

use super::lenient::Int;
use super::{Answer, Call, Outcome, send};
use crate::config::Config;
use crate::domain::ids::PaymentId;
use crate::domain::order::{Order, Payment, PaymentStatus};
use crate::domain::retry;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

/// A payment in Payment's JSON: in `snake_case` in the answer to a charge, in `camelCase` in the answer to a query.
#[derive(Debug, Deserialize)]
pub struct PaymentRecord {
    id: PaymentId,
    status: PaymentStatus,
    #[serde(alias = "merchantOrderId")]
    merchant_order_id: String,
    #[serde(alias = "amountCents")]
    amount_cents: Int,
    currency: String,
}

impl PaymentRecord {
    /// The payment, if order id, amount and currency are the order's.
    pub fn matching(&self, order: &Order) -> Option<Payment> {
        let total = order.amounts?.total_cents;
        let matches = self.merchant_order_id.eq_ignore_ascii_case(&order.id.to_string())
            && self.amount_cents == Int(total)
            && self.currency == order.currency;
        matches.then_some(Payment { id: self.id, status: self.status })
    }
}

/// Payment's answer to a charge.
#[derive(Debug)]
pub enum Charge {
    /// There is a payment; see its status.
    Payment(Payment),
    /// Payment declined, without making a payment.
    Refused,
}

/// Charges the order's total, with the order's id as idempotency key: repeating it returns the same payment and charges nothing.
pub async fn charge(config: &Config, order: &Order) -> Outcome<Charge> {
    const NAME: &str = "payment.charge";
    let Some(amounts) = order.amounts else {
        return Outcome::NoAnswer(format!("{NAME}: the order has no total").into());
    };
    let body = json!({
        "merchant_order_id": order.id, "amount_cents": amounts.total_cents, "currency": order.currency,
    });
    let call = Call {
        name: NAME,
        base: &config.payment,
        path: "/v1/charge".into(),
        body: Some(body.to_string()),
        key: Some(order.id.to_string()),
        deadline_ms: retry::PAYMENT_DEADLINE_MS,
    };
    match send(call).await {
        Ok(answer) => match answer.status {
            StatusCode::OK | StatusCode::CREATED => {
                match shown(&answer, NAME).map(|record| record.matching(order)) {
                    Ok(Some(payment)) => Outcome::Answered(Charge::Payment(payment)),
                    Ok(None) => {
                        let reason = format!("{NAME}: the payment is of another order, amount or currency");
                        Outcome::NoAnswer(reason.into())
                    }
                    Err(reason) => Outcome::NoAnswer(reason.into()),
                }
            }
            StatusCode::PAYMENT_REQUIRED => Outcome::Answered(Charge::Refused),
            _ => answer.unusable(NAME),
        },
        Err(failure) => Outcome::NoAnswer(failure),
    }
}

fn shown(answer: &Answer, name: &str) -> Result<PaymentRecord, String> {
    answer.json(name)
}

/// Reads a payment, with a timeout of `deadline_ms`; `None` when Payment does not know it.
pub async fn ask(config: &Config, id: PaymentId, deadline_ms: u64) -> Outcome<Option<PaymentRecord>> {
    const NAME: &str = "payment.ask";
    let call = Call {
        name: NAME,
        base: &config.payment,
        path: format!("/v1/payments/{id}"),
        body: None,
        key: None,
        deadline_ms,
    };
    match send(call).await {
        Ok(answer) => match answer.status {
            StatusCode::OK => match shown(&answer, NAME) {
                Ok(record) if record.id == id => Outcome::Answered(Some(record)),
                Ok(_) => Outcome::NoAnswer(format!("{NAME}: another payment than asked for").into()),
                Err(reason) => Outcome::NoAnswer(reason.into()),
            },
            StatusCode::NOT_FOUND => Outcome::Answered(None),
            _ => answer.unusable(NAME),
        },
        Err(failure) => Outcome::NoAnswer(failure),
    }
}

/// Refunds a payment. `false`: Payment refuses, as it does when the payment is refunded already.
pub async fn refund(config: &Config, id: PaymentId) -> Outcome<bool> {
    const NAME: &str = "payment.refund";
    let call = Call {
        name: NAME,
        base: &config.payment,
        path: "/v1/refund".into(),
        body: Some(json!({ "payment_id": id }).to_string()),
        key: None,
        deadline_ms: retry::PAYMENT_DEADLINE_MS,
    };
    #[derive(Deserialize)]
    struct Refunded {
        status: PaymentStatus,
    }
    match send(call).await {
        Ok(answer) => match answer.status {
            StatusCode::OK => match answer.json::<Refunded>(NAME) {
                Ok(Refunded { status: PaymentStatus::Refunded }) => Outcome::Answered(true),
                Ok(_) => Outcome::Answered(false),
                Err(reason) => Outcome::NoAnswer(reason.into()),
            },
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
                Outcome::Answered(false)
            }
            _ => answer.unusable(NAME),
        },
        Err(failure) => Outcome::NoAnswer(failure),
    }
}
