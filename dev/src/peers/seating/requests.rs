//! Request bodies, validated as Seating does it.

use serde::Deserialize;

use crate::peers::answer::Answer;
use crate::peers::call::Call;
use crate::peers::contract::errors::{seating as error, seating_invalid};
use crate::peers::contract::shapes::{Allocate, Reserve};

/// A body that is no JSON, says that it is something else, or has a member of another type.
pub const UNREADABLE: &str = "An unexpected error occurred";

const SEAT_IDS: (&str, &str) = ("seatIds", "At least one seat ID is required");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    event_id: Option<i64>,
    #[serde(default)]
    seat_ids: Option<Vec<i64>>,
    user_id: Option<i64>,
    order_id: Option<String>,
}

/// `Err`: the answer to a body that is not accepted.
pub fn reserve(call: &Call) -> Result<Reserve, Answer> {
    let body = read(call)?;
    let seat_ids = body.seat_ids.unwrap_or_default();
    match (body.event_id, body.user_id) {
        (Some(event_id), Some(user_id)) if !seat_ids.is_empty() => {
            Ok(Reserve { event_id, seat_ids, user_id, _order_id: body.order_id })
        }
        (event_id, user_id) => {
            let members = [
                event_id.is_none().then_some(("eventId", "Event ID is required")),
                seat_ids.is_empty().then_some(SEAT_IDS),
                user_id.is_none().then_some(("userId", "User ID is required")),
            ];
            Err(seating_invalid(members.into_iter().flatten()))
        }
    }
}

/// `Err`: the answer to a body that is not accepted.
pub fn allocate(call: &Call) -> Result<Allocate, Answer> {
    let body = read(call)?;
    let seat_ids = body.seat_ids.unwrap_or_default();
    match body.order_id.filter(|id| !id.is_empty()) {
        Some(order_id) if !seat_ids.is_empty() => Ok(Allocate { order_id, seat_ids }),
        order_id => {
            let members = [
                order_id.is_none().then_some(("orderId", "Order ID is required")),
                seat_ids.is_empty().then_some(SEAT_IDS),
            ];
            Err(seating_invalid(members.into_iter().flatten()))
        }
    }
}

fn read(call: &Call) -> Result<Body, Answer> {
    call.json().ok_or_else(|| error(500, UNREADABLE))
}
