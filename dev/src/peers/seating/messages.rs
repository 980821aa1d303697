//! What Seating reads and writes.

use chrono::{DateTime, FixedOffset};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::peers::answer::Answer;
use crate::peers::state::{Seat, SeatStatus, now_ms, raw};

/// Seating runs in India, and its times are local and do not say so: whoever compares them with a clock in UTC is
/// wrong by five and a half hours.
const LOCAL_OFFSET_SECONDS: i32 = 5 * 3600 + 1800;

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allocate {
    pub order_id: String,
    pub seat_ids: Vec<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeatDto<'a> {
    pub id: i64,
    pub event_id: i64,
    pub seat_number: &'a str,
    pub row_number: &'a str,
    pub section: &'a str,
    pub r#type: &'a str,
    pub price: &'a RawValue,
    #[serde(rename = "price_cents", skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<&'a RawValue>,
    pub status: SeatStatus,
    pub reserved_by: Option<i64>,
    pub order_id: Option<&'a str>,
    pub reserved_at: Option<String>,
    pub reservation_expires_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserved<'a> {
    pub success: bool,
    pub message: &'a str,
    pub reserved_seats: Vec<SeatDto<'a>>,
    pub total_price: Box<RawValue>,
    pub expires_at: String,
    pub reservation_id: String,
}

/// A seat as Seating shows it.
pub fn dto(seat: &Seat) -> SeatDto<'_> {
    let row = seat.seat_number.trim_end_matches(|c: char| c.is_ascii_digit());
    SeatDto {
        id: seat.id,
        event_id: seat.event_id,
        seat_number: &seat.seat_number,
        row_number: row,
        section: "MAIN",
        r#type: "REGULAR",
        price: &seat.price,
        price_cents: seat.price_cents.as_deref(),
        status: seat.status,
        reserved_by: seat.reserved_by,
        order_id: seat.order_id.as_deref(),
        reserved_at: seat.reserved_at.map(local_time),
        reservation_expires_at: seat.expires_at.map(local_time),
        created_at: local_time(seat.created_at),
        updated_at: local_time(seat.updated_at),
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

/// How Seating reports an error.
pub fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "status": status, "message": message, "timestamp": local_time(now_ms()) }))
}

/// Local time without a zone.
pub fn local_time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let zone = FixedOffset::east_opt(LOCAL_OFFSET_SECONDS);
    let local = zone.map_or(time.naive_utc(), |zone| time.with_timezone(&zone).naive_local());
    local.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}
