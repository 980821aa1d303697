//! The endpoints of orders.

use super::extract::{self, Content, Head};
use super::problem::ApiError;
use super::respond::Reply;
use crate::commands::buyer_request::Handled;
use crate::commands::place_order::{self, Placed};
use crate::commands::{Context, cancel_order, refund_order};
use crate::domain::ids::{OrderId, parse_uuid};
use crate::domain::order::{Order, Phase, Status};
use crate::queries::{get_order, order_events};

/// Seconds after which a client may look again at an order that is under way.
const LOOK_AGAIN_SECONDS: &str = "1";

/// `POST /v1/orders`.
///
/// # Errors
/// See the table of the HTTP contract.
pub async fn place(context: &Context, head: &Head, body: Content) -> Result<Reply, ApiError> {
    let key = head.idempotency_key()?;
    head.require_json()?;
    let body = extract::body(body).await?;
    let request =
        extract::placing_request(key, &extract::object(&body)?, context.config.max_seats_per_order)?;
    match place_order::place(context, &request).await? {
        Placed::Order { order, document, replayed } => answer(&order, document, replayed),
        Placed::KeyReused => Err(ApiError::key_reused()),
        Placed::Taken(seats) => Err(ApiError::seats_taken(&seats)),
        Placed::EventNotOnSale => Err(ApiError::event_not_on_sale(request.event_id)),
        Placed::EventNotFound => Err(ApiError::event_not_found(request.event_id)),
        Placed::CatalogSilent(reason) => Err(ApiError::peer_unavailable("Catalog", reason)),
    }
}

/// The answer that an order's state gives to the request that placed it.
fn answer(order: &Order, document: String, replayed: bool) -> Result<Reply, ApiError> {
    let location = format!("/v1/orders/{}", order.id);
    let reply = match (order.status, order.phase) {
        (Status::Failed, _) => return Err(failed(order, replayed)),
        // Paid, but the seats were gone; an order that was confirmed and then refunded has no failure.
        (Status::Refunded, _) if order.failure.is_some() => return Err(failed(order, replayed)),
        (Status::Pending, Phase::Reserving | Phase::Charging | Phase::Refunding | Phase::Releasing) => {
            Reply::json(202, document).with_header("retry-after", LOOK_AGAIN_SECONDS)
        }
        (Status::Pending, Phase::AwaitingPayment | Phase::Allocating | Phase::Done)
        | (Status::Confirmed | Status::Cancelled | Status::Refunded, _) => Reply::json(201, document),
    };
    let reply = reply.with_header("location", location);
    Ok(if replayed { reply.with_header("idempotent-replayed", "true") } else { reply })
}

fn failed(order: &Order, replayed: bool) -> ApiError {
    let error = ApiError::failed_order(order.id, order.failure.as_ref());
    if replayed { error.with_header("idempotent-replayed", "true") } else { error }
}

/// `GET /v1/orders/{id}`.
///
/// # Errors
/// 400 when the id is no UUID, 404 when there is no such order.
pub async fn get(context: &Context, head: &Head, id: &str) -> Result<Reply, ApiError> {
    let id = order_id(id)?;
    let read = get_order::get(&context.config, id).await?.ok_or_else(ApiError::order_not_found)?;
    let reply = Reply::json(200, read.document);
    let reply = if has(&head.all("if-none-match"), &read.etag) { reply.not_modified() } else { reply };
    Ok(reply.with_header("etag", read.etag))
}

fn order_id(id: &str) -> Result<OrderId, ApiError> {
    parse_uuid(id).map(OrderId).ok_or_else(ApiError::order_id_invalid)
}

/// `GET /v1/orders/{id}/events`.
///
/// # Errors
/// 400 when the id is no UUID, 404 when there is no such order.
pub async fn events(context: &Context, id: &str) -> Result<Reply, ApiError> {
    let journal = order_events::events(&context.config, order_id(id)?).await?;
    journal.map(|journal| Reply::json(200, journal)).ok_or_else(ApiError::order_not_found)
}

/// `POST /v1/orders/{id}/cancel`.
///
/// # Errors
/// 400, 404, 409 `order_not_cancellable`, and those of a body that has members.
pub async fn cancel(context: &Context, head: &Head, id: &str, body: Content) -> Result<Reply, ApiError> {
    let id = order_id(id)?;
    extract::nothing(head, body).await?;
    match cancel_order::cancel(context, id).await? {
        Handled::Granted(_, document) => Ok(Reply::json(200, document)),
        Handled::Refused(order) => Err(ApiError::order_not_cancellable(&order)),
        Handled::OrderNotFound => Err(ApiError::order_not_found()),
    }
}

/// `POST /v1/orders/{id}/refund`.
///
/// # Errors
/// 400, 404, 409 `order_not_refundable`, and those of a body that has members.
pub async fn refund(context: &Context, head: &Head, id: &str, body: Content) -> Result<Reply, ApiError> {
    let id = order_id(id)?;
    extract::nothing(head, body).await?;
    match refund_order::refund(context, id).await? {
        Handled::Granted(order, document) if order.status == Status::Refunded => {
            Ok(Reply::json(200, document))
        }
        // Payment has not answered; the service goes on asking.
        Handled::Granted(_, document) => {
            Ok(Reply::json(202, document).with_header("retry-after", LOOK_AGAIN_SECONDS))
        }
        Handled::Refused(order) => Err(ApiError::order_not_refundable(&order)),
        Handled::OrderNotFound => Err(ApiError::order_not_found()),
    }
}

/// Whether `If-None-Match` names the entity tag (RFC 9110, 13.1.2: by weak comparison).
fn has(values: &[Vec<u8>], etag: &str) -> bool {
    let values = values.iter().filter_map(|value| std::str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_found_in_lists_and_by_weak_comparison() {
        let has = |value: &str| has(&[value.as_bytes().to_vec()], "\"a.1\"");
        for value in ["\"a.1\"", "W/\"a.1\"", "*", "\"b\", \"a.1\"", " \"a.1\" "] {
            assert!(has(value), "{value}");
        }
        for value in ["", "\"a.2\"", "a.1", "\"a.1"] {
            assert!(!has(value), "{value}");
        }
    }
}
