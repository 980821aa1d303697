//! Seating: reserves, allocates and releases seats.
//!
//! Its reserve and allocate are not idempotent, and its release checks no ownership: the effect of a request without an answer is
//! learnt by reading the seats, and only seats that are surely the order's are released.
//!
//! | call | counts |
//! | --- | --- |
//! | `reserve` | 2xx with the reserved seats; 409, 404 and 400 in Seating's own shape, 400 also as a validation map |
//! | `read_seats` | 2xx with the seat; 404 in Seating's own shape |
//! | `allocate` | 2xx without a body; 409, 404 and 400 as for `reserve` |
//! | `allocated_to` | 2xx with a list of seats |
//! | `release` | 2xx without a body |

use super::lenient::{self, Object, Unreadable, elements, number_text, text, whole};
use super::refusal::{is_validation_of_seating, of_seating};
use super::send::send;
use super::{Answer, Call, CallFailure, Extra, Outcome};
use crate::config::Config;
use crate::domain::ids::OrderId;
use crate::domain::money::{MAX_CENTS, PriceError, cents_from_major, decimals};
use crate::domain::order::Order;
use crate::domain::retry;
use crate::domain::seats::Item;
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Seating's answer to a reserve.
#[derive(Debug)]
pub enum Reserve {
    /// The seats are reserved for the order's user.
    Held(Priced),
    /// A seat is not free; the seats' names when Seating gave them.
    Taken(Option<String>),
    /// A seat does not exist or is of another event.
    NotFound,
}

/// Reserved seats with their prices in cents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Priced {
    /// In the order of the order's seats.
    Items(Vec<Item>),
    /// A price is negative or beyond [`MAX_CENTS`].
    OutOfRange,
}

/// A seat as Seating shows it.
#[derive(PartialEq, Debug)]
pub struct Seat {
    id: i64,
    event_id: Option<i64>,
    /// Its name, without control characters and at most 64 characters long.
    name: Option<String>,
    price: Result<i64, PriceError>,
    /// None: not needed, and not readable.
    status: Option<String>,
    /// The user who has it reserved.
    reserved_by: Option<i64>,
    /// The order that it is allocated to, in lower case.
    order_id: Option<String>,
}

/// Who has a seat, as seen by one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody.
    Free,
    /// The order's user has it reserved.
    Held,
    /// It is allocated to the order.
    Allocated,
    /// Another buyer has it, or it is blocked.
    Other,
}

impl Owner {
    /// Whether the order's user has it, or the order.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Held | Self::Allocated)
    }
}

/// The statuses of a seat.
const STATUSES: [&str; 4] = ["AVAILABLE", "RESERVED", "ALLOCATED", "BLOCKED"];

impl Seat {
    fn read(object: &Object<'_>, currency: &str) -> Result<Self, Unreadable> {
        let status = object.optional("status", text)?;
        let is = |expected| status.as_deref().is_some_and(|status| status == expected);
        // Contradictory members matter only where they tell whose the seat is.
        let reserved_by = if is("RESERVED") { object.optional("reserved_by", whole)? } else { None };
        let order_id = if is("ALLOCATED") { object.optional("order_id", lower_case)? } else { None };
        Ok(Self {
            id: object.needed("id", whole)?,
            event_id: object.optional("event_id", whole)?,
            name: object.optional("seat_number", name).unwrap_or_default(),
            price: price(object, currency),
            status: status.map(Cow::into_owned),
            reserved_by,
            order_id,
        })
    }

    /// Who has the seat, as seen by `order`, of whose event it is. A seat reserved for the order's user is the order's: the order
    /// has the seat claim, so that no other live order of the user can have it.
    pub fn owner(&self, order: &Order) -> Owner {
        match self.status.as_deref() {
            Some("AVAILABLE") => Owner::Free,
            Some("RESERVED") if self.reserved_by == Some(order.user_id.into()) => Owner::Held,
            Some("ALLOCATED") if self.order_id == Some(order.id.to_string()) => Owner::Allocated,
            _ => Owner::Other,
        }
    }
}

fn lower_case(value: &RawValue) -> Option<String> {
    text(value).map(|text| text.to_ascii_lowercase())
}

fn name(value: &RawValue) -> Option<String> {
    Some(number_text(value)?.chars().filter(|c| !c.is_control()).take(64).collect())
}

/// A seat's price in cents of a currency. `price_cents` wins over `price`, which is in major units, if it is a whole number.
fn price(object: &Object<'_>, currency: &str) -> Result<i64, PriceError> {
    let unusable = |_: Unreadable| PriceError::Unusable;
    if let Some(cents) = object.optional("price_cents", whole).map_err(unusable)? {
        return if (0..=MAX_CENTS).contains(&cents) { Ok(cents) } else { Err(PriceError::OutOfRange) };
    }
    let decimals = decimals(currency).ok_or(PriceError::Unusable)?;
    // In cents, so that `150` and `150.00` are the same.
    object
        .needed("price", |value| number_text(value).map(|text| cents_from_major(&text, decimals)))
        .map_err(unusable)?
}

/// Finds the order's seats among Seating's, with their prices.
///
/// # Errors
/// A reason when one is missing, occurs twice, or has an unusable price.
pub fn priced(seats: &[Seat], order: &Order) -> Result<Priced, String> {
    let mut items = Vec::with_capacity(order.seats.len());
    for id in &order.seats {
        let mut matching = seats.iter().filter(|seat| seat.id == i64::from(*id));
        let (Some(seat), None) = (matching.next(), matching.next()) else {
            return Err(format!("seat {id} is not there once"));
        };
        match seat.price {
            Ok(price_cents) => items.push(Item { seat_id: *id, seat_code: seat.name.clone(), price_cents }),
            Err(PriceError::OutOfRange) => return Ok(Priced::OutOfRange),
            // What has been paid is known: no price is needed.
            Err(PriceError::Unusable) if order.is_paid() => return Ok(Priced::OutOfRange),
            Err(PriceError::Unusable) => return Err(format!("seat {id} has no usable price")),
        }
    }
    Ok(Priced::Items(items))
}

fn call<'a>(config: &'a Config, name: &'static str, path: String, body: Option<String>) -> Call<'a> {
    Call {
        name,
        base: &config.seating,
        path,
        body,
        key: None,
        deadline_ms: retry::SEATING_DEADLINE_MS,
        extra: Extra::default(),
    }
}

/// Reserves the order's seats for its user. Not idempotent: a repeat is refused.
pub async fn reserve(config: &Config, order: &Order) -> Outcome<Reserve> {
    let body = json!({
        "eventId": order.event_id, "seatIds": order.seats, "userId": order.user_id, "orderId": order.id,
    });
    let call = call(config, "seating.reserve", "/v1/seats/reserve".into(), Some(body.to_string()));
    send(call).await.and_then(|answer| reserved(&answer, order)).into()
}

pub(super) fn reserved(answer: &Answer, order: &Order) -> Result<Reserve, CallFailure> {
    if answer.status.is_success() {
        return held(answer, order).map(Reserve::Held);
    }
    match (answer.status.as_u16(), of_seating(answer)) {
        (409, Some(message)) => Ok(Reserve::Taken(names_in(&message))),
        (404 | 400, Some(_)) => Ok(Reserve::NotFound),
        _ if is_validation_of_seating(answer, &["eventId", "seatIds", "userId", "orderId"]) => {
            Ok(Reserve::NotFound)
        }
        _ => Err(answer.not_the_peers()),
    }
}

fn held(answer: &Answer, order: &Order) -> Result<Priced, CallFailure> {
    let object = answer.object()?;
    let read = || -> Result<Priced, String> {
        if object.optional("success", boolean)? == Some(false) {
            return Err("without success".into());
        }
        // What is not a seat is not one of the order's seats.
        let seat = |seat: &RawValue| Seat::read(&lenient::object(seat)?, &order.currency).ok();
        let seats = |list: &RawValue| -> Option<Vec<Seat>> {
            Some(elements(list.get())?.into_iter().filter_map(seat).collect())
        };
        priced(&object.needed("reserved_seats", seats)?, order)
    };
    read().map_err(|why| answer.does_not_count(why))
}

/// A JSON boolean, or one in a string.
fn boolean(value: &RawValue) -> Option<bool> {
    let in_text = || text(value).map(|text| text.to_ascii_lowercase());
    value.get().parse().ok().or_else(|| in_text()?.parse().ok())
}

/// The seats' names in Seating's message `Seats are not available: A1, A2`, if it is that message.
fn names_in(message: &str) -> Option<String> {
    let names = message.strip_prefix("Seats are not available: ")?;
    let sane = |name: &&str| {
        !name.is_empty() && name.len() <= 16 && name.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let names: Vec<&str> = names.split(", ").filter(sane).collect();
    (1..=100).contains(&names.len()).then(|| crate::domain::seats::join_with_and(&names))
}

/// Reads every seat of the order, in its order. `None` in the list: Seating does not know the seat, or has it in another event.
pub async fn read_seats(config: &Config, order: &Order) -> Outcome<Vec<Option<Seat>>> {
    let looks = order.seats.iter().map(|id| async move {
        let answer = send(call(config, "seating.seat", format!("/v1/seats/{id}"), None)).await?;
        shown(&answer, *id, order)
    });
    // join_all and not try_join_all: all are awaited, because dropping a host call would cancel it.
    futures::future::join_all(looks).await.into_iter().collect::<Result<_, _>>().into()
}

pub(super) fn shown(answer: &Answer, id: i32, order: &Order) -> Result<Option<Seat>, CallFailure> {
    if answer.status.as_u16() == 404 && of_seating(answer).is_some() {
        return Ok(None);
    }
    if !answer.status.is_success() {
        return Err(answer.not_the_peers());
    }
    let seat = Seat::read(&answer.object()?, &order.currency).map_err(|why| answer.does_not_count(why))?;
    if seat.id != i64::from(id) {
        return Err(answer.does_not_count("another seat than asked for"));
    }
    // Another word is no answer, rather than a seat that somebody else has.
    if !seat.status.as_deref().is_some_and(|status| STATUSES.contains(&status)) {
        return Err(answer.does_not_count("a seat without a status that Seating has"));
    }
    // Seat ids are unique across events: this seat is of another event.
    let elsewhere = seat.event_id.is_some_and(|event| event != i64::from(order.event_id));
    Ok((!elsewhere).then_some(seat))
}

/// Allocates reserved seats to the order. Not idempotent. `false`: Seating refuses, because a seat is not reserved, as after a repeat
/// or after the hold expired.
pub async fn allocate(config: &Config, order: &Order) -> Outcome<bool> {
    let body = json!({ "orderId": order.id, "seatIds": order.seats });
    let call = call(config, "seating.allocate", "/v1/seats/allocate".into(), Some(body.to_string()));
    send(call).await.and_then(|answer| allocated(&answer)).into()
}

pub(super) fn allocated(answer: &Answer) -> Result<bool, CallFailure> {
    match (answer.status.as_u16(), of_seating(answer)) {
        (200..300, _) => done(answer).map(|()| true),
        (409 | 404 | 400, Some(_)) => Ok(false),
        _ if is_validation_of_seating(answer, &["orderId", "seatIds"]) => Ok(false),
        _ => Err(answer.not_the_peers()),
    }
}

/// The success of a call that Seating answers with an empty body. With a body it is not Seating's: the caller has to look.
pub(super) fn done(answer: &Answer) -> Result<(), CallFailure> {
    if !answer.status.is_success() {
        return Err(answer.not_the_peers());
    }
    if answer.is_empty() { Ok(()) } else { Err(answer.does_not_count("with a body, and Seating's has none")) }
}

/// The seats that Seating has allocated to an order.
pub async fn allocated_to(config: &Config, id: OrderId) -> Outcome<Vec<i32>> {
    let call = call(config, "seating.of_order", format!("/v1/seats/order/{id}"), None);
    send(call).await.and_then(|answer| listed(&answer)).into()
}

/// What counts: 2xx with a list of seats, which may be empty. It has no 404.
pub(super) fn listed(answer: &Answer) -> Result<Vec<i32>, CallFailure> {
    if !answer.status.is_success() {
        return Err(answer.not_the_peers());
    }
    let id = |seat: &RawValue| {
        let seat = lenient::object(seat).filter(|seat| seat.has("status"))?;
        seat.needed("id", whole).ok()
    };
    let ids: Option<Vec<i64>> = answer.list()?.into_iter().map(id).collect();
    let ids = ids.ok_or_else(|| answer.does_not_count("a list with something else than seats"))?;
    // A larger id is of no order of ours.
    Ok(ids.into_iter().filter_map(|id| i32::try_from(id).ok()).collect())
}

/// Releases seats. Seating checks no ownership: pass only seats that are surely the order's.
pub async fn release(config: &Config, seats: &[i32]) -> Outcome<()> {
    let call = call(config, "seating.release", "/v1/seats/release".into(), Some(json!(seats).to_string()));
    send(call).await.and_then(|answer| done(&answer)).into()
}

#[cfg(test)]
#[path = "seating_tests.rs"]
mod tests;
