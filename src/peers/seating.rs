//! Seating: reserves, allocates and releases seats.
//!
//! Its reserve and allocate are not idempotent, and its release checks no ownership: the effect of a request without an answer is
//! learnt by reading the seats, and only seats that are surely the order's are released.

use super::lenient::{Int, NumberText};
use super::{Answer, Call, CallFailure, Outcome, send};
use crate::config::{BaseUrl, Config};
use crate::domain::ids::OrderId;
use crate::domain::money::{MAX_CENTS, PriceError, cents_from_major, decimals};
use crate::domain::order::Order;
use crate::domain::retry;
use crate::domain::seats::Item;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

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

/// A seat in Seating's JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    id: Int,
    event_id: Option<Int>,
    seat_number: Option<String>,
    price: Option<NumberText>,
    #[serde(rename = "price_cents")]
    price_cents: Option<Int>,
    status: String,
    reserved_by: Option<Int>,
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

impl Seat {
    /// Who has the seat, as seen by `order`, of whose event it is. A seat reserved for the order's user is the order's: the order
    /// has the seat claim, so that no other live order of the user can have it.
    pub fn owner(&self, order: &Order) -> Owner {
        let ours = |id: &String| id.eq_ignore_ascii_case(&order.id.to_string());
        match self.status.as_str() {
            "AVAILABLE" => Owner::Free,
            "RESERVED" if self.reserved_by == Some(Int(order.user_id.into())) => Owner::Held,
            "ALLOCATED" if self.order_id.as_ref().is_some_and(ours) => Owner::Allocated,
            _ => Owner::Other,
        }
    }

    /// Its name, without control characters and at most 64 characters long.
    fn name(&self) -> Option<String> {
        let name = self.seat_number.as_ref()?;
        Some(name.chars().filter(|c| !c.is_control()).take(64).collect())
    }

    /// Its price in cents of a currency.
    fn price(&self, currency: &str) -> Result<i64, PriceError> {
        match (self.price_cents, &self.price) {
            (Some(Int(cents)), _) if (0..=MAX_CENTS).contains(&cents) => Ok(cents),
            (Some(_), _) => Err(PriceError::OutOfRange),
            (None, Some(text)) => cents_from_major(&text.0, decimals(currency).ok_or(PriceError::Unusable)?),
            (None, None) => Err(PriceError::Unusable),
        }
    }
}

/// Finds the order's seats among Seating's, with their prices.
///
/// # Errors
/// A reason when one is missing, occurs twice, or has an unusable price.
pub fn priced(seats: &[Seat], order: &Order) -> Result<Priced, String> {
    let mut items = Vec::with_capacity(order.seats.len());
    for id in &order.seats {
        let mut matching = seats.iter().filter(|seat| seat.id == Int((*id).into()));
        let (Some(seat), None) = (matching.next(), matching.next()) else {
            return Err(format!("seat {id} is not there once"));
        };
        match seat.price(&order.currency) {
            Ok(price_cents) => items.push(Item { seat_id: *id, seat_code: seat.name(), price_cents }),
            Err(PriceError::OutOfRange) => return Ok(Priced::OutOfRange),
            Err(PriceError::Unusable) => return Err(format!("seat {id} has no usable price")),
        }
    }
    Ok(Priced::Items(items))
}

fn call<'a>(base: &'a BaseUrl, name: &'static str, path: String, body: Option<String>) -> Call<'a> {
    Call { name, base, path, body, key: None, deadline_ms: retry::SEATING_DEADLINE_MS }
}

/// Reserves the order's seats for its user. Not idempotent: a repeat is refused.
pub async fn reserve(config: &Config, order: &Order) -> Outcome<Reserve> {
    const NAME: &str = "seating.reserve";
    let body = json!({
        "eventId": order.event_id, "seatIds": order.seats, "userId": order.user_id, "orderId": order.id,
    });
    let answer =
        match send(call(&config.seating, NAME, "/v1/seats/reserve".into(), Some(body.to_string()))).await {
            Ok(answer) => answer,
            Err(failure) => return Outcome::NoAnswer(failure),
        };
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => match held(&answer, order) {
            Ok(priced) => Outcome::Answered(Reserve::Held(priced)),
            Err(reason) => Outcome::NoAnswer(format!("{NAME}: {reason}").into()),
        },
        StatusCode::CONFLICT => Outcome::Answered(Reserve::Taken(named_in(&answer))),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Outcome::Answered(Reserve::NotFound),
        _ => answer.unusable(NAME),
    }
}

fn held(answer: &Answer, order: &Order) -> Result<Priced, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reserved {
        success: Option<bool>,
        reserved_seats: Vec<Seat>,
    }
    let reserved: Reserved = answer.json("answer")?;
    if reserved.success == Some(false) {
        return Err("status 200 without success".into());
    }
    priced(&reserved.reserved_seats, order)
}

/// The seats' names in Seating's message `Seats are not available: A1, A2`, if it is that message.
fn named_in(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        message: String,
    }
    let problem: Problem = serde_json::from_slice(&answer.body).ok()?;
    let names = problem.message.strip_prefix("Seats are not available: ")?;
    let sane = |name: &&str| {
        !name.is_empty() && name.len() <= 16 && name.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let names: Vec<&str> = names.split(", ").filter(sane).collect();
    (1..=100).contains(&names.len()).then(|| crate::domain::seats::join_with_and(&names))
}

/// Reads every seat of the order, in its order. `None` in the list: Seating does not know the seat, or has it in another event.
pub async fn read_seats(config: &Config, order: &Order) -> Outcome<Vec<Option<Seat>>> {
    const NAME: &str = "seating.seat";
    let looks = order.seats.iter().map(|id| async move {
        let answer = send(call(&config.seating, NAME, format!("/v1/seats/{id}"), None)).await?;
        match answer.status {
            StatusCode::OK => {
                let seat: Seat = answer.json(NAME)?;
                if seat.id != Int((*id).into()) {
                    return Err(format!("{NAME}: another seat than {id}").into());
                }
                // Seat ids are unique across events: this seat is of another event.
                let elsewhere = seat.event_id.is_some_and(|event| event != Int(order.event_id.into()));
                Ok((!elsewhere).then_some(seat))
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(CallFailure::from(format!("{NAME}: status {}", status.as_u16()))),
        }
    });
    // join_all and not try_join_all: all are awaited, because dropping a host call would cancel it.
    match futures::future::join_all(looks).await.into_iter().collect() {
        Ok(seats) => Outcome::Answered(seats),
        Err(failure) => Outcome::NoAnswer(failure),
    }
}

/// Allocates reserved seats to the order. Not idempotent. `false`: a seat is not reserved, as after a repeat or after the hold
/// expired.
pub async fn allocate(config: &Config, order: &Order) -> Outcome<bool> {
    const NAME: &str = "seating.allocate";
    let body = json!({ "orderId": order.id, "seatIds": order.seats });
    match send(call(&config.seating, NAME, "/v1/seats/allocate".into(), Some(body.to_string()))).await {
        Ok(answer) => match answer.status {
            status if status.is_success() => Outcome::Answered(true),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
                Outcome::Answered(false)
            }
            _ => answer.unusable(NAME),
        },
        Err(failure) => Outcome::NoAnswer(failure),
    }
}

/// The seats that Seating has allocated to an order.
pub async fn allocated_to(config: &Config, id: OrderId) -> Outcome<Vec<i32>> {
    const NAME: &str = "seating.of_order";
    match send(call(&config.seating, NAME, format!("/v1/seats/order/{id}"), None)).await {
        Ok(answer) => match answer.status {
            StatusCode::OK => match answer.json::<Vec<Seat>>(NAME) {
                Ok(seats) => {
                    Outcome::Answered(seats.iter().filter_map(|seat| i32::try_from(seat.id.0).ok()).collect())
                }
                Err(reason) => Outcome::NoAnswer(reason.into()),
            },
            StatusCode::NOT_FOUND => Outcome::Answered(Vec::new()),
            _ => answer.unusable(NAME),
        },
        Err(failure) => Outcome::NoAnswer(failure),
    }
}

/// Releases seats. Seating checks no ownership: pass only seats that are surely the order's.
pub async fn release(config: &Config, seats: &[i32]) -> Outcome<()> {
    const NAME: &str = "seating.release";
    match send(call(&config.seating, NAME, "/v1/seats/release".into(), Some(json!(seats).to_string()))).await
    {
        Ok(answer) => match answer.status {
            status if status.is_success() => Outcome::Answered(()),
            _ => answer.unusable(NAME),
        },
        Err(failure) => Outcome::NoAnswer(failure),
    }
}
