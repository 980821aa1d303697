//! Request bodies of the control API.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::peers::call::Matching;
use crate::peers::contract::Peer;
use crate::peers::payment::{Mode, PaymentStatus, RefundMode};
use crate::peers::state::{SeatStatus, raw};

/// An event to add or to change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventSpec {
    /// Its id.
    pub id: i64,
    /// `ON_SALE`, `SOLD_OUT`, `CANCELLED`, or anything else.
    pub status: String,
    /// Its title; `None`: one of no interest.
    #[serde(default)]
    pub title: Option<String>,
}

/// A seat to add or to replace. What is `None` gets a default: number `S<id>`, price 150.00, free.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SeatSpec {
    pub id: i64,
    #[serde(default)]
    pub seat_number: Option<String>,
    /// Any JSON, shown exactly as it is here: `12.345`, `1e12`, `-5`, `"150.00"`, `null`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub price: Option<Box<RawValue>>,
    /// Any JSON as well; `None`: the seat has no such member.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<Box<RawValue>>,
    #[serde(default)]
    pub status: Option<SeatStatus>,
    #[serde(default)]
    pub reserved_by: Option<i64>,
    #[serde(default)]
    pub order_id: Option<String>,
    /// How long ago it was reserved, in milliseconds: the hold lapses when its time is over. `None`: now, and it lapses
    /// only when it is told to.
    #[serde(default)]
    pub reserved_ms_ago: Option<i64>,
}

impl SeatSpec {
    /// A free seat with this price, as JSON text; text that is no JSON counts as `null`.
    pub fn priced(id: i64, price: &str) -> SeatSpec {
        SeatSpec { id, price: Some(raw(price)), ..SeatSpec::default() }
    }
}

#[derive(Deserialize)]
pub struct Seats {
    pub event_id: i64,
    #[serde(default)]
    pub seats: Vec<SeatSpec>,
    /// With `count`: that many seats with the ids from here on.
    #[serde(default)]
    pub from: i64,
    #[serde(default)]
    pub count: i64,
    #[serde(default)]
    pub price: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
pub struct ModeSpec {
    pub mode: Mode,
    #[serde(flatten)]
    pub only: Matching,
}

#[derive(Deserialize)]
pub struct RefundModeSpec {
    pub mode: RefundMode,
    #[serde(flatten)]
    pub only: Matching,
}

/// A payment, or the first of an order.
#[derive(Deserialize)]
pub struct Which {
    #[serde(default)]
    pub order_id: Option<String>,
    #[serde(default)]
    pub payment_id: Option<String>,
}

#[derive(Deserialize)]
pub struct Forget {
    #[serde(flatten)]
    pub which: Which,
    #[serde(default = "yes")]
    pub forgotten: bool,
}

#[derive(Deserialize)]
pub struct Second {
    #[serde(flatten)]
    pub which: Which,
    #[serde(default = "success")]
    pub status: PaymentStatus,
    #[serde(default = "yes")]
    pub callback: bool,
}

#[derive(Deserialize)]
pub struct ReserveSpec {
    /// How long a reserve takes.
    #[serde(default)]
    pub ms: Option<u64>,
    /// Whether reserves of neighbouring seats fail that overlap in time.
    #[serde(default)]
    pub serializable: Option<bool>,
}

#[derive(Deserialize)]
pub struct Settle {
    #[serde(flatten)]
    pub which: Which,
    pub status: PaymentStatus,
    /// Only when it is one of these now; empty: whatever it is.
    #[serde(default)]
    pub from: Vec<PaymentStatus>,
    #[serde(default = "yes")]
    pub callback: bool,
}

#[derive(Deserialize)]
pub struct Down {
    pub peer: Peer,
    pub down: bool,
}

#[derive(Deserialize)]
pub struct CallbackUrl {
    #[serde(default)]
    pub url: Option<String>,
    /// Several take turns.
    #[serde(default)]
    pub urls: Vec<String>,
}

#[derive(Deserialize)]
pub struct Expire {
    /// Only these seats' holds; `None`: all.
    #[serde(default)]
    pub seat_ids: Option<Vec<i64>>,
    /// Only holds that began before this time, in milliseconds since 1970.
    #[serde(default)]
    pub reserved_before_ms: Option<i64>,
    /// Only holds whose time is over, whatever else is given.
    #[serde(default)]
    pub lapsed: bool,
}

#[derive(Deserialize)]
pub struct Hold {
    pub ms: i64,
}

/// Here `null` is a value like any other, not the absence of one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

fn success() -> PaymentStatus {
    PaymentStatus::Success
}

fn yes() -> bool {
    true
}
