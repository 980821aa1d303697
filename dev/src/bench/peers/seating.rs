//! Seating: every reservation succeeds.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::price_cents;
use crate::peers::answer::Answer;
use crate::peers::contract::shapes::{Reserve, Reserved, Seat, local_time};
use crate::peers::state::{SeatStatus, now_ms};

/// How long a hold lasts, in milliseconds.
const HOLD_MS: i64 = 15 * 60_000;
/// When the seats were made.
const MADE: &str = "2026-01-01T00:00:00.000";

/// Seats of an order that Seating holds now, all of them.
pub(super) fn reserved(request: &Reserve) -> Answer {
    let now = now_ms();
    let (now, expires) = (local_time(now), local_time(now + HOLD_MS));
    let price = price_cents(request.event_id);
    let each = decimal(price);
    let seats = request.seat_ids.iter().map(|id| Seat {
        event_id: Some(request.event_id),
        status: SeatStatus::Reserved,
        reserved_by: Some(request.user_id),
        reserved_at: Some(Cow::Borrowed(&now)),
        reservation_expires_at: Some(Cow::Borrowed(&expires)),
        updated_at: Cow::Borrowed(&now),
        ..free(*id, &each)
    });
    let total = decimal(price * request.seat_ids.len() as i64);
    Answer::json(200, &Reserved::new(seats.collect(), total, Cow::Borrowed(&expires)))
}

/// A single seat. The fast peer stores neither its holder nor its event.
pub(super) fn seat(id: i64) -> Answer {
    Answer::json(200, &free(id, &decimal(price_cents(0))))
}

fn free(id: i64, price: &RawValue) -> Seat<'_> {
    Seat {
        id,
        event_id: None,
        seat_number: format!("S{id}").into(),
        row_number: "S",
        section: "MAIN",
        r#type: "REGULAR",
        price,
        price_cents: None,
        status: SeatStatus::Available,
        reserved_by: None,
        order_id: None,
        reserved_at: None,
        reservation_expires_at: None,
        created_at: MADE.into(),
        updated_at: MADE.into(),
    }
}

/// Major units, with two decimals.
fn decimal(cents: i64) -> Box<RawValue> {
    RawValue::from_string(format!("{}.{:02}", cents / 100, cents % 100)).expect("a number is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_seat_of_a_request_is_held_at_its_price() {
        let request = json!({ "eventId": 1001, "seatIds": [4, 5], "userId": 9, "orderId": "x" });
        let request: Reserve = serde_json::from_value(request).unwrap();
        let text = String::from_utf8(reserved(&request).body.into()).unwrap();
        assert!(text.contains(r#""price":151.00"#) && text.contains(r#""totalPrice":302.00"#), "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let seats = answer["reservedSeats"].as_array().unwrap();
        assert_eq!((seats.len(), &seats[1]["id"], &seats[1]["seatNumber"]), (2, &json!(5), &json!("S5")));
        assert_eq!((&seats[0]["status"], &seats[0]["reservedBy"]), (&json!("RESERVED"), &json!(9)));
        let alone: Value = serde_json::from_slice(&seat(4).body).unwrap();
        assert_eq!(alone["status"], "AVAILABLE");
    }
}
