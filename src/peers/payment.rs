//! Payment: charges and refunds.
//!
//! | call | counts |
//! | --- | --- |
//! | `charge` | 2xx with the order's payment; 400 in Payment's validation shape: no payment was made |
//! | `ask` | 2xx with the payment; 404 in Payment's own shape: it does not know the payment |
//! | `refund` | 2xx with the payment `REFUNDED` or undecided; 404 and 400 in Payment's own shape |

use super::lenient::{Object, text, whole};
use super::refusal::{PaymentError, of_payment};
use super::send::send;
use super::{Answer, Call, CallFailure, Extra, Outcome};
use crate::config::Config;
use crate::domain::ids::PaymentId;
use crate::domain::order::{Order, Payment, PaymentStatus};
use crate::domain::retry;
use serde_json::json;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The status of a payment as Payment shows it, which may be one that the domain does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShownStatus {
    /// One of the domain's.
    Known(PaymentStatus),
    /// `CANCELLED`: nothing was taken.
    Cancelled,
    /// `EXPIRED`: nothing was taken.
    Expired,
    /// `PROCESSING`: undecided.
    Processing,
    /// Something new: undecided, as far as is known.
    Other(String),
}

impl ShownStatus {
    fn of(shown: &str) -> Self {
        if let Some(known) = PaymentStatus::ALL.iter().find(|known| known.as_str() == shown) {
            return Self::Known(*known);
        }
        match shown {
            "CANCELLED" => Self::Cancelled,
            "EXPIRED" => Self::Expired,
            "PROCESSING" => Self::Processing,
            // For logs and the journal: as short as a status is, and text that a database of any encoding can store.
            other => Self::Other(other.chars().filter(char::is_ascii_graphic).take(32).collect()),
        }
    }

    /// What it means for an order: nothing was taken is `FAILED`, undecided is `PENDING`.
    pub fn meaning(&self) -> PaymentStatus {
        match self {
            Self::Known(known) => *known,
            Self::Cancelled | Self::Expired => PaymentStatus::Failed,
            Self::Processing | Self::Other(_) => PaymentStatus::Pending,
        }
    }

    /// Whether nothing was taken, or the money went back.
    pub fn is_without_money(&self) -> bool {
        matches!(self.meaning(), PaymentStatus::Failed | PaymentStatus::Refunded)
    }

    /// Whether it is undecided in a way that no rule covers, so that an operator should hear of it.
    pub fn is_unfamiliar(&self) -> bool {
        matches!(self, Self::Processing | Self::Other(_))
    }

    /// Its text, as Payment shows it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.as_str(),
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Processing => "PROCESSING",
            Self::Other(other) => other,
        }
    }
}

/// A payment as Payment shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentRecord {
    id: PaymentId,
    /// Its status.
    pub status: ShownStatus,
    /// In lower case.
    merchant_order_id: String,
    amount_cents: i64,
    /// In upper case.
    currency: String,
}

impl PaymentRecord {
    fn read(answer: &Answer) -> Result<Self, CallFailure> {
        let read = |object: &Object<'_>| -> Result<Self, String> {
            Ok(Self {
                id: object.needed("id", payment_id)?,
                status: object.needed("status", status)?,
                merchant_order_id: object.needed("merchant_order_id", lower_case)?,
                amount_cents: object.needed("amount_cents", whole)?,
                currency: object.needed("currency", lower_case)?.to_ascii_uppercase(),
            })
        };
        read(&answer.object()?).map_err(|why| answer.does_not_count(why))
    }

    /// The payment, if order id, amount and currency are the order's.
    pub fn matching(&self, order: &Order) -> Option<Payment> {
        let total = order.amounts?.total_cents;
        let matches = self.is_of(order) && self.amount_cents == total && self.currency == order.currency;
        matches.then_some(Payment { id: self.id, status: self.status.meaning() })
    }

    /// Whether it is of the order, whatever its amount and currency.
    pub fn is_of(&self, order: &Order) -> bool {
        self.merchant_order_id == order.id.to_string()
    }
}

fn payment_id(value: &RawValue) -> Option<PaymentId> {
    Uuid::try_parse(&text(value)?).ok().map(PaymentId)
}

fn status(value: &RawValue) -> Option<ShownStatus> {
    text(value).map(|shown| ShownStatus::of(&shown))
}

fn lower_case(value: &RawValue) -> Option<String> {
    text(value).map(|text| text.to_ascii_lowercase())
}

/// Payment's answer to a charge.
#[derive(PartialEq, Eq, Debug)]
pub enum Charge {
    /// There is a payment; see its status.
    Payment {
        /// The payment.
        payment: Payment,
        /// Its status as Payment shows it.
        shown: ShownStatus,
    },
    /// Payment finds the request invalid: this attempt has made no payment. An earlier one may have.
    Invalid,
}

/// Charges the order's total, with the order's id as idempotency key: repeating it returns the same payment and charges nothing.
/// No status but a 2xx with a payment says anything about the money: Payment passes on the status that our callback was answered with.
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
        extra: Extra::default(),
    };
    send(call).await.and_then(|answer| charged(&answer, order)).into()
}

pub(super) fn charged(answer: &Answer, order: &Order) -> Result<Charge, CallFailure> {
    if answer.status.is_success() {
        let record = PaymentRecord::read(answer)?;
        let payment = record
            .matching(order)
            .ok_or_else(|| answer.does_not_count("the payment is of another order, amount or currency"))?;
        return Ok(Charge::Payment { payment, shown: record.status });
    }
    match of_payment(answer) {
        Some(PaymentError::Validation) => Ok(Charge::Invalid),
        _ => Err(answer.not_the_peers()),
    }
}

/// Reads a payment, with a timeout of `deadline_ms`; `None` when Payment does not know it.
pub async fn ask(config: &Config, id: PaymentId, deadline_ms: u64) -> Outcome<Option<PaymentRecord>> {
    let call = Call {
        name: "payment.ask",
        base: &config.payment,
        path: format!("/v1/payments/{id}"),
        body: None,
        key: None,
        deadline_ms,
        extra: Extra::default(),
    };
    send(call).await.and_then(|answer| shown(&answer, id)).into()
}

pub(super) fn shown(answer: &Answer, id: PaymentId) -> Result<Option<PaymentRecord>, CallFailure> {
    if answer.status.is_success() {
        let record = PaymentRecord::read(answer)?;
        let is_asked = record.id == id;
        return is_asked
            .then_some(Some(record))
            .ok_or_else(|| answer.does_not_count("another payment than asked for"));
    }
    match (answer.status.as_u16(), of_payment(answer)) {
        (404, Some(PaymentError::Message)) => Ok(None),
        _ => Err(answer.not_the_peers()),
    }
}

/// Payment's answer to a refund.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refund {
    /// The money is back.
    Done,
    /// The refund is accepted, and not done yet: ask later, and do not ask for it again.
    Accepted,
    /// Payment does not know the payment.
    UnknownPayment,
    /// The payment is not `SUCCESS`: it may be refunded already.
    Refused,
}

/// Refunds a payment, all of it, with an idempotency key that is the same at every attempt.
pub async fn refund(config: &Config, id: PaymentId) -> Outcome<Refund> {
    let call = Call {
        name: "payment.refund",
        base: &config.payment,
        path: "/v1/refund".into(),
        body: Some(json!({ "payment_id": id }).to_string()),
        key: Some(format!("refund-{id}")),
        deadline_ms: retry::PAYMENT_DEADLINE_MS,
        extra: Extra::default(),
    };
    send(call).await.and_then(|answer| refunded(&answer, id)).into()
}

pub(super) fn refunded(answer: &Answer, id: PaymentId) -> Result<Refund, CallFailure> {
    if answer.status.is_success() {
        let object = answer.object()?;
        let read = || Ok::<_, String>((object.needed("id", payment_id)?, object.needed("status", status)?));
        let (refunded, status) = read().map_err(|why| answer.does_not_count(why))?;
        if refunded != id {
            return Err(answer.does_not_count("another payment than the one to refund"));
        }
        return match status {
            ShownStatus::Known(PaymentStatus::Refunded) => Ok(Refund::Done),
            status if status.meaning() == PaymentStatus::Pending => Ok(Refund::Accepted),
            other => Err(answer.does_not_count(format!("the payment is {}", other.as_str()))),
        };
    }
    match (answer.status.as_u16(), of_payment(answer)) {
        (404, Some(PaymentError::Message)) => Ok(Refund::UnknownPayment),
        (400, Some(_)) => Ok(Refund::Refused),
        _ => Err(answer.not_the_peers()),
    }
}

#[cfg(test)]
#[path = "payment_tests.rs"]
mod tests;
