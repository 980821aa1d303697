//! What the peers are asked and what they answer, in the words of the contracts.

use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Charged, other_id, price_cents};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reserve {
    event_id: i64,
    seat_ids: Vec<i64>,
    user_id: i64,
}

#[derive(Deserialize)]
pub(super) struct Charge {
    pub merchant_order_id: Uuid,
    pub amount_cents: i64,
    pub currency: String,
}

#[derive(Deserialize)]
pub(super) struct Refund {
    pub payment_id: Uuid,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reserved<'a> {
    success: bool,
    message: &'a str,
    reserved_seats: Vec<Seat<'a>>,
    total_price: &'a RawValue,
    expires_at: &'a str,
    reservation_id: Uuid,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seat<'a> {
    id: i64,
    event_id: Option<i64>,
    seat_number: String,
    row_number: &'a str,
    section: &'a str,
    r#type: &'a str,
    price: &'a RawValue,
    status: &'a str,
    reserved_by: Option<i64>,
    order_id: Option<Uuid>,
    reserved_at: Option<&'a str>,
    reservation_expires_at: Option<&'a str>,
    created_at: &'a str,
    updated_at: &'a str,
}

/// How long a hold lasts.
const HOLD: TimeDelta = TimeDelta::minutes(15);
/// When the seats were made: a time of Seating's has no zone.
const MADE: &str = "2026-01-01T00:00:00.000";

/// Seats of an order that Seating holds now, all of them.
pub(super) fn reserved(request: &Reserve) -> Vec<u8> {
    let now = Utc::now();
    let (now, expires) = (local(now), local(now + HOLD));
    let price = price_cents(request.event_id);
    let each = decimal(price);
    let seats = request.seat_ids.iter().map(|id| Seat {
        event_id: Some(request.event_id),
        status: "RESERVED",
        reserved_by: Some(request.user_id),
        reserved_at: Some(&now),
        reservation_expires_at: Some(&expires),
        updated_at: &now,
        ..free(*id, &each)
    });
    json(&Reserved {
        success: true,
        message: "Seats reserved successfully",
        reserved_seats: seats.collect(),
        total_price: &decimal(price * request.seat_ids.len() as i64),
        expires_at: &expires,
        reservation_id: Uuid::new_v4(),
    })
}

/// A seat that is asked for alone. Nobody remembers whose it is, or of which event.
pub(super) fn seat(id: i64) -> Vec<u8> {
    json(&free(id, &decimal(price_cents(0))))
}

fn free<'a>(id: i64, price: &'a RawValue) -> Seat<'a> {
    Seat {
        id,
        event_id: None,
        seat_number: format!("S{id}"),
        row_number: "S",
        section: "MAIN",
        r#type: "REGULAR",
        price,
        status: "AVAILABLE",
        reserved_by: None,
        order_id: None,
        reserved_at: None,
        reservation_expires_at: None,
        created_at: MADE,
        updated_at: MADE,
    }
}

/// A payment, as a charge answers it: in `snake_case`.
pub(super) fn charged(order: Uuid, charged: &Charged) -> Vec<u8> {
    let id = other_id(order);
    format!(
        r#"{{"id":"{id}","merchant_order_id":"{order}","provider_txn_id":"TXN-{}","status":"{}","amount_cents":{},"currency":"{}"}}"#,
        id.simple(),
        charged.status(),
        charged.amount_cents,
        charged.currency,
    )
    .into_bytes()
}

/// A payment, as it is shown when it is asked for: in `camelCase`.
pub(super) fn payment(order: Uuid, charged: &Charged) -> Vec<u8> {
    let id = other_id(order);
    format!(
        r#"{{"id":"{id}","merchantOrderId":"{order}","amountCents":{},"currency":"{}","status":"{}","providerTxnId":"TXN-{}"}}"#,
        charged.amount_cents,
        charged.currency,
        charged.status(),
        id.simple(),
    )
    .into_bytes()
}

/// What the order service is told of a payment.
pub(super) fn callback(order: Uuid) -> String {
    format!(r#"{{"order_id":"{order}","payment_id":"{}","status":"SUCCESS"}}"#, other_id(order))
}

fn local(time: chrono::DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// Major units, with two decimals.
fn decimal(cents: i64) -> Box<RawValue> {
    RawValue::from_string(format!("{}.{:02}", cents / 100, cents % 100)).expect("a number is JSON")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these shapes are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(text: &[u8]) -> Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn every_seat_of_a_request_is_held_at_its_price() {
        let request: Reserve = serde_json::from_value(
            json!({ "eventId": 1001, "seatIds": [4, 5], "userId": 9, "orderId": "x" }),
        )
        .unwrap();
        let text = String::from_utf8(reserved(&request)).unwrap();
        assert!(text.contains(r#""price":151.00"#) && text.contains(r#""totalPrice":302.00"#), "{text}");
        let answer = parsed(text.as_bytes());
        let seats = answer["reservedSeats"].as_array().unwrap();
        assert_eq!((seats.len(), &seats[1]["id"], &seats[1]["seatNumber"]), (2, &json!(5), &json!("S5")));
        assert_eq!((&seats[0]["status"], &seats[0]["reservedBy"]), (&json!("RESERVED"), &json!(9)));
        assert_eq!(parsed(&seat(4))["status"], "AVAILABLE");
    }

    #[test]
    fn a_payment_is_the_same_however_it_is_shown() {
        let order = Uuid::new_v4();
        let made = Charged { amount_cents: 45_300, currency: "INR".into(), refunded: false };
        let (charge, shown) = (parsed(&charged(order, &made)), parsed(&payment(order, &made)));
        for (snake, camel) in [
            ("id", "id"),
            ("merchant_order_id", "merchantOrderId"),
            ("amount_cents", "amountCents"),
            ("currency", "currency"),
            ("status", "status"),
            ("provider_txn_id", "providerTxnId"),
        ] {
            assert_eq!(charge[snake], shown[camel], "{snake}");
        }
        assert_eq!(charge["status"], "SUCCESS");
        assert_eq!(parsed(callback(order).as_bytes())["payment_id"], charge["id"]);
    }
}
