//! `POST /v1/orders`.

use super::problem::ApiError;
use super::request::{RequestBody, RequestHead};
use super::response::{POLL_AFTER_SECONDS, Reply};
use super::validation::{FieldErrors, POSITIVE_INT};
use super::{access, body};
use crate::commands::Context;
use crate::commands::place_order::{self, PlaceOutcome};
use crate::db::orders::PlacingRequest;
use crate::domain::access::{Caller, PlaceRefusal};
use crate::domain::ids::{OrderId, parse_positive_int};
use crate::domain::key::IdempotencyKey;
use crate::domain::order::{Order, Phase, Status};
use crate::domain::seats::{SeatSet, request_hash};
use ::http::header::{LOCATION, RETRY_AFTER};
use ::http::{HeaderName, StatusCode};
use serde_json::{Map, Value};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks a replayed answer: an earlier request with the same idempotency key placed the order.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Handles a request to place an order.
///
/// # Errors
/// Those of [`access::caller`], 403 for another user; 400 for the idempotency key, 402, 409 and 422 for an order that cannot be placed, 503 when Catalog or PostgreSQL does not
/// answer; those of an invalid body.
pub async fn handle(context: &Context, head: &RequestHead, body: RequestBody) -> Result<Reply, ApiError> {
    let caller = access::caller(context, head).await?;
    if !caller.may_place_some() {
        return Err(ApiError::user_required());
    }
    let key = idempotency_key(head)?;
    body::require_json_content_type(head)?;
    let body = body::read(body).await?;
    let request = parse(key, &caller, &body::parse_object(&body)?, context.config.max_seats_per_order)?;
    match place_order::place(context, &request).await? {
        PlaceOutcome::Order { order, document, interrupted: true, .. } if order.status == Status::Pending => {
            Ok(under_way(document).with_header(LOCATION, location(order.id)))
        }
        PlaceOutcome::Order { order, document, replayed, .. } => answer(&order, document, replayed),
        PlaceOutcome::KeyReused => Err(ApiError::key_reused()),
        PlaceOutcome::SeatsTaken(seats) => Err(ApiError::seats_taken(&seats)),
        PlaceOutcome::TooManyOpenOrders(wait) => {
            Err(ApiError::too_many_open_orders(context.config.max_open_orders.unwrap_or_default(), wait))
        }
        PlaceOutcome::EventNotOnSale => Err(ApiError::event_not_on_sale(request.event_id)),
        PlaceOutcome::EventNotFound => Err(ApiError::event_not_found(request.event_id)),
        PlaceOutcome::CatalogUnavailable(failure) => {
            Err(ApiError::peer_unavailable("Catalog", failure.reason, failure.retry_after))
        }
    }
}

/// The answer to a placing request, by the order's state.
fn answer(order: &Order, document: String, replayed: bool) -> Result<Reply, ApiError> {
    let reply = match (order.status, order.phase) {
        (Status::Failed, _) => return Err(failed(order, replayed)),
        // Paid, but the seats were lost; an order that was confirmed and then refunded has no failure.
        (Status::Refunded, _) if order.failure.is_some() => return Err(failed(order, replayed)),
        (Status::Pending, Phase::Reserving | Phase::Charging | Phase::Refunding | Phase::Releasing) => {
            under_way(document)
        }
        (Status::Pending, Phase::AwaitingPayment | Phase::Allocating | Phase::Done)
        | (Status::Confirmed | Status::Cancelled | Status::Refunded, _) => {
            Reply::document(StatusCode::CREATED, document)
        }
    };
    let reply = reply.with_header(LOCATION, location(order.id));
    Ok(if replayed { reply.with_header(IDEMPOTENT_REPLAYED, "true") } else { reply })
}

/// 202: the service finishes or undoes the order by itself.
fn under_way(document: String) -> Reply {
    Reply::document(StatusCode::ACCEPTED, document).with_header(RETRY_AFTER, POLL_AFTER_SECONDS)
}

fn location(id: OrderId) -> String {
    format!("/v1/orders/{id}")
}

fn failed(order: &Order, replayed: bool) -> ApiError {
    let error = ApiError::failed_order(order.id, order.failure.as_ref());
    if replayed { error.with_header(IDEMPOTENT_REPLAYED, "true") } else { error }
}

/// The idempotency key.
///
/// # Errors
/// 400 when it is missing or cannot be used.
fn idempotency_key(head: &RequestHead) -> Result<IdempotencyKey, ApiError> {
    match head.header_values(&IDEMPOTENCY_KEY).as_slice() {
        [] => Err(ApiError::key_required()),
        [value] => IdempotencyKey::parse(value).ok_or_else(ApiError::key_invalid),
        _ => Err(ApiError::key_invalid()),
    }
}

/// The request from the fields of its body.
///
/// # Errors
/// 403 for another user, 401 where no user is told; 422 with every invalid field.
pub(super) fn parse(
    key: IdempotencyKey,
    caller: &Caller,
    fields: &Map<String, Value>,
    max_seats: usize,
) -> Result<PlacingRequest, ApiError> {
    let mut errors = FieldErrors::default();
    let mut number = |name: &str| {
        let value = fields.get(name);
        let number = value.and_then(parse_positive_int);
        if number.is_none() {
            let detail = if value.is_none() { "is required" } else { POSITIVE_INT };
            errors.add(format!("#/{name}"), detail);
        }
        number
    };
    let user_id = match fields.get("user_id").map(parse_positive_int) {
        // Not valid, which is told with the other fields.
        Some(None) => number("user_id"),
        asked => match caller.places_for(asked.flatten()) {
            Ok(user_id) => Some(user_id),
            Err(PlaceRefusal::UserRequired) => number("user_id"),
            Err(PlaceRefusal::OtherUser) => return Err(ApiError::other_user()),
            Err(PlaceRefusal::NoUser) => return Err(ApiError::user_required()),
        },
    };
    let event_id = number("event_id");
    let seats = seats(fields.get("seats"), max_seats, &mut errors);
    match (user_id, event_id, seats) {
        (Some(user_id), Some(event_id), Some(seats)) if errors.is_empty() => Ok(PlacingRequest {
            key,
            hash: request_hash(user_id, event_id, &seats),
            user_id,
            event_id,
            seats,
        }),
        _ => Err(errors.into()),
    }
}

fn seats(value: Option<&Value>, max_seats: usize, errors: &mut FieldErrors) -> Option<SeatSet> {
    let Some(value) = value else {
        errors.add("#/seats", "is required");
        return None;
    };
    let Some(list) = value.as_array().filter(|list| (1..=max_seats).contains(&list.len())) else {
        errors.add("#/seats", format!("must be a list of 1 to {max_seats} seats"));
        return None;
    };
    let mut ids = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        match parse_positive_int(value) {
            None => errors.add(format!("#/seats/{index}"), POSITIVE_INT),
            Some(id) if ids.contains(&id) => errors.add(format!("#/seats/{index}"), "must not occur twice"),
            Some(id) => ids.push(id),
        }
    }
    SeatSet::new(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Roles;
    use serde_json::json;

    #[test]
    fn every_invalid_field_of_a_placing_request_is_told() {
        let check = |body: Value| {
            let key = IdempotencyKey::parse(b"k").unwrap();
            parse(key, &Caller::Anyone, body.as_object().unwrap(), 10).map_err(|error| error.pointers())
        };
        assert!(
            check(json!({"user_id": "101", "event_id": 101, "seats": [3, "1", 2], "else": null})).is_ok()
        );
        for (body, expected) in [
            (json!({}), vec!["#/user_id", "#/event_id", "#/seats"]),
            (json!({"user_id": 0, "event_id": -1, "seats": []}), vec!["#/user_id", "#/event_id", "#/seats"]),
            (json!({"user_id": 1, "event_id": 1, "seats": [1, 1]}), vec!["#/seats/1"]),
            (json!({"user_id": 1, "event_id": 1, "seats": [1, "x", 0]}), vec!["#/seats/1", "#/seats/2"]),
            (json!({"user_id": 1, "event_id": 1, "seats": (1..=11).collect::<Vec<_>>()}), vec!["#/seats"]),
            (
                json!({"user_id": [], "event_id": {}, "seats": "1"}),
                vec!["#/user_id", "#/event_id", "#/seats"],
            ),
        ] {
            assert_eq!(check(body.clone()).unwrap_err(), expected, "{body}");
        }
    }

    #[test]
    fn the_user_is_the_tokens_unless_an_administrator_names_another() {
        let check = |caller: Caller, body: Value| {
            let key = IdempotencyKey::parse(b"k").unwrap();
            parse(key, &caller, body.as_object().unwrap(), 10).map(|request| request.user_id)
        };
        let holder = |names: &str| Caller::Holder { user: Some(7), roles: Roles::of(names.split(' ')) };
        let body = |user: Value| json!({"user_id": user, "event_id": 101, "seats": [1]});
        let without = json!({"event_id": 101, "seats": [1]});
        for (caller, body, expected) in [
            (holder(""), without.clone(), Some(7)),
            (holder(""), body(json!("7")), Some(7)),
            (holder(""), body(json!(8)), None),
            (holder("tickets:redeem"), without.clone(), Some(7)),
            (holder("orders:read"), body(json!(8)), None),
            (holder("orders:admin"), without.clone(), Some(7)),
            (holder("orders:admin"), body(json!(8)), Some(8)),
            (Caller::Anyone, without.clone(), None),
            (Caller::Anyone, body(json!(8)), Some(8)),
            (holder(""), body(json!(null)), None),
        ] {
            assert_eq!(check(caller, body.clone()).ok(), expected, "{caller:?} {body}");
        }
        // Whatever else is wrong, nobody asks for another user.
        let error = check(holder(""), json!({"user_id": 8, "seats": "x"})).unwrap_err();
        assert!(error.pointers().is_empty(), "{error:?}");
    }
}
