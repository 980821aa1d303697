//! Seats and errors, as Seating shows them.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::peers::contract::shapes::{self, local_time};
use crate::peers::state::{Seat, raw};

/// A seat as Seating shows it.
pub fn dto(seat: &Seat) -> shapes::Seat<'_> {
    let time = |ms: i64| Cow::Owned(local_time(ms));
    let row = seat.seat_number.trim_end_matches(|c: char| c.is_ascii_digit());
    shapes::Seat {
        id: seat.id,
        event_id: Some(seat.event_id),
        seat_number: Cow::Borrowed(&seat.seat_number),
        row_number: row,
        section: "MAIN",
        r#type: "REGULAR",
        price: &seat.price,
        price_cents: seat.price_cents.as_deref(),
        status: seat.status,
        reserved_by: seat.reserved_by,
        order_id: seat.order_id.as_deref(),
        reserved_at: seat.reserved_at.map(time),
        reservation_expires_at: seat.expires_at.map(time),
        created_at: time(seat.created_at),
        updated_at: time(seat.updated_at),
    }
}

/// One seat's JSON, as Seating shows it.
pub fn shown(seat: &Seat) -> Box<RawValue> {
    raw(&serde_json::to_string(&dto(seat)).unwrap_or_default())
}

/// The exact sum, with as many decimals as the prices have. Prices that are no numbers count as nothing.
pub fn total<'a>(prices: impl Iterator<Item = &'a str>) -> String {
    let parse =
        |text: &str| text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(text)).unwrap_or_default();
    let sum = prices.map(parse).fold(Decimal::ZERO, |sum, price| sum.checked_add(price).unwrap_or(sum));
    sum.to_string()
}
