//! Request and response bodies of the peers.

use std::borrow::Cow;

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::peers::payment::PaymentStatus;
use crate::peers::state::SeatStatus;

/// Seating runs in India, and its times are local and do not say so: whoever compares them with a clock in UTC is
/// wrong by five and a half hours.
const LOCAL_OFFSET_SECONDS: i32 = 5 * 3600 + 1800;

/// Seating: hold these seats.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserve {
    pub event_id: i64,
    pub seat_ids: Vec<i64>,
    pub user_id: i64,
    /// Accepted and not stored.
    #[serde(rename = "orderId")]
    pub _order_id: Option<String>,
}

/// Seating: these seats are sold.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocate {
    pub order_id: String,
    pub seat_ids: Vec<i64>,
}

/// Payment: take the money.
#[derive(Deserialize)]
pub struct Charge {
    pub merchant_order_id: Uuid,
    pub amount_cents: i64,
    pub currency: String,
}

/// Payment: give it back.
#[derive(Deserialize)]
pub struct Refund {
    pub payment_id: String,
}

/// A seat, as Seating shows it. Times are [`local_time`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat<'a> {
    pub id: i64,
    pub event_id: Option<i64>,
    pub seat_number: Cow<'a, str>,
    pub row_number: &'a str,
    pub section: &'a str,
    pub r#type: &'a str,
    pub price: &'a RawValue,
    #[serde(rename = "price_cents", skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<&'a RawValue>,
    pub status: SeatStatus,
    pub reserved_by: Option<i64>,
    pub order_id: Option<&'a str>,
    pub reserved_at: Option<Cow<'a, str>>,
    pub reservation_expires_at: Option<Cow<'a, str>>,
    pub created_at: Cow<'a, str>,
    pub updated_at: Cow<'a, str>,
}

/// What Seating answers to [`Reserve`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved<'a> {
    success: bool,
    message: &'static str,
    reserved_seats: Vec<Seat<'a>>,
    total_price: Box<RawValue>,
    expires_at: Cow<'a, str>,
    reservation_id: Uuid,
}

impl<'a> Reserved<'a> {
    /// All seats are held.
    pub fn new(seats: Vec<Seat<'a>>, total_price: Box<RawValue>, expires_at: Cow<'a, str>) -> Reserved<'a> {
        let message = "Seats reserved successfully";
        let reservation_id = Uuid::new_v4();
        Reserved { success: true, message, reserved_seats: seats, total_price, expires_at, reservation_id }
    }
}

/// An event, as Catalog shows it.
pub fn event(id: i64, title: &str, status: &str) -> Value {
    json!({
        "id": id, "venue_id": 1, "title": title, "type": "CONCERT",
        "start_time": "2027-01-01T20:00:00.000Z", "end_time": null, "status": status,
        "description": null, "venue": { "id": 1, "name": "Town Hall", "city": "Bengaluru" },
    })
}

/// A payment, as far as Payment shows it.
pub struct Paid<'a> {
    pub id: &'a str,
    pub order_id: &'a str,
    pub provider_txn_id: &'a str,
    pub status: PaymentStatus,
    pub amount_cents: i64,
    pub currency: &'a str,
}

impl Paid<'_> {
    /// As the answer to a charge: in snake case.
    pub fn charged(&self) -> Value {
        json!({
            "id": self.id, "merchant_order_id": self.order_id, "provider_txn_id": self.provider_txn_id,
            "status": self.status, "amount_cents": self.amount_cents, "currency": self.currency,
        })
    }

    /// As the answer to a question: in camel case, unlike the charge.
    pub fn shown(&self) -> Value {
        json!({
            "id": self.id, "merchantOrderId": self.order_id, "providerTxnId": self.provider_txn_id,
            "status": self.status, "amountCents": self.amount_cents, "currency": self.currency,
        })
    }
}

/// What Payment answers to [`Refund`].
pub fn refunded(payment_id: &str, status: PaymentStatus) -> Value {
    json!({ "id": payment_id, "status": status })
}

/// The body of Payment's callback.
pub fn callback(order_id: &str, payment_id: &str, status: PaymentStatus) -> Value {
    json!({ "order_id": order_id, "payment_id": payment_id, "status": status })
}

/// Seating's local time without a zone, of milliseconds since 1970 in UTC.
pub fn local_time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let zone = FixedOffset::east_opt(LOCAL_OFFSET_SECONDS);
    let local = zone.map_or(time.naive_utc(), |zone| time.with_timezone(&zone).naive_local());
    local.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_the_same_however_it_is_shown() {
        let status = PaymentStatus::Success;
        let paid =
            Paid { id: "p", order_id: "o", provider_txn_id: "TXN", status, amount_cents: 7, currency: "INR" };
        let (charged, shown) = (paid.charged(), paid.shown());
        for (snake, camel) in [
            ("id", "id"),
            ("merchant_order_id", "merchantOrderId"),
            ("amount_cents", "amountCents"),
            ("currency", "currency"),
            ("status", "status"),
            ("provider_txn_id", "providerTxnId"),
        ] {
            assert!(!charged[snake].is_null(), "{snake}");
            assert_eq!(charged[snake], shown[camel], "{snake}");
        }
        assert_eq!(callback("o", "p", status)["payment_id"], charged["id"]);
    }
}
