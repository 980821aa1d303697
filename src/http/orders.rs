//! The endpoints of an order that was placed: reading it and its journal, cancelling and refunding it.

use super::list_orders::{self, PageSizes};
use super::problem::ApiError;
use super::query_parameters::QueryParameters;
use super::request::{RequestBody, RequestHead};
use super::response::{POLL_AFTER_SECONDS, Reply};
use super::{access, body, entity_tag};
use crate::commands::buyer_request::RequestOutcome;
use crate::commands::{Context, cancel_order, refund_order};
use crate::domain::access::Caller;
use crate::domain::ids::{OrderId, parse_uuid};
use crate::domain::order::Status;
use crate::queries::{get_order, order_events};
use ::http::StatusCode;
use ::http::header::RETRY_AFTER;

/// How many entries a page of a journal has.
const EVENTS: PageSizes = PageSizes { default: 100, most: 500 };

/// `GET /v1/orders/{id}`: reads an order; 304 when `If-None-Match` has its `ETag`.
///
/// # Errors
/// Those of [`access::caller`]; 400 when the id is not a UUID, 404 when there is no such order, or it is another's.
pub async fn get(context: &Context, head: &RequestHead, id: &str) -> Result<Reply, ApiError> {
    let caller = access::caller(context, head).await?;
    let read = get_order::get(&context.config, &caller, order_id(id)?).await?;
    let read = read.ok_or_else(ApiError::order_not_found)?;
    let reply = Reply::document(StatusCode::OK, read.document);
    Ok(entity_tag::conditional(head, reply, read.etag))
}

/// The id of an order in a path.
///
/// # Errors
/// 400 when it is not a UUID.
pub fn order_id(id: &str) -> Result<OrderId, ApiError> {
    parse_uuid(id).map(OrderId).ok_or_else(ApiError::order_id_invalid)
}

/// `GET /v1/orders/{id}/events`: reads a page of an order's journal.
///
/// # Errors
/// 400 when the id is not a UUID, 404 when there is no such order, and those of [`list_orders::page`].
pub async fn events(context: &Context, head: &RequestHead, id: &str) -> Result<Reply, ApiError> {
    let caller = access::caller(context, head).await?;
    let id = order_id(id)?;
    // The journal of an order is for whoever may list it. Who may not is not told what else is wrong.
    let scope = caller.list_scope().ok_or_else(ApiError::order_not_found)?;
    let mut parameters = QueryParameters::parse(head.query.as_deref(), &["page_size", "page_token"]);
    let page = list_orders::page(&mut parameters, &EVENTS);
    parameters.into_result()?;
    let events = order_events::events(&context.config, scope, id, page.token.as_deref(), page.size).await?;
    Ok(list_orders::reply("events", events.ok_or_else(ApiError::order_not_found)?))
}

/// `POST /v1/orders/{id}/cancel`: cancels an order.
///
/// # Errors
/// Those of [`access::caller`], 400, 404 (also for another's order), 409 `order_not_cancellable`, and those of a body that has members.
pub async fn cancel(
    context: &Context,
    head: &RequestHead,
    id: &str,
    body: RequestBody,
) -> Result<Reply, ApiError> {
    let caller = access::caller(context, head).await?;
    let id = order_id(id)?;
    require_changer(&caller)?;
    body::require_no_members(head, body).await?;
    match cancel_order::cancel(context, &caller, id).await? {
        RequestOutcome::Granted(_, document) => Ok(Reply::document(StatusCode::OK, document)),
        RequestOutcome::Refused(order, _) => Err(ApiError::order_not_cancellable(&order)),
        RequestOutcome::OrderNotFound => Err(ApiError::order_not_found()),
    }
}

/// `POST /v1/orders/{id}/refund`: refunds an order; 202 while Payment has not answered.
///
/// # Errors
/// Those of [`access::caller`], 400, 404 (also for another's order), 409 `order_not_refundable`, and those of a body that has members.
pub async fn refund(
    context: &Context,
    head: &RequestHead,
    id: &str,
    body: RequestBody,
) -> Result<Reply, ApiError> {
    let caller = access::caller(context, head).await?;
    let id = order_id(id)?;
    require_changer(&caller)?;
    body::require_no_members(head, body).await?;
    match refund_order::refund(context, &caller, id).await? {
        RequestOutcome::Granted(order, document) if order.status == Status::Refunded => {
            Ok(Reply::document(StatusCode::OK, document))
        }
        // Payment has not answered; the service retries.
        RequestOutcome::Granted(_, document) => {
            Ok(Reply::document(StatusCode::ACCEPTED, document).with_header(RETRY_AFTER, POLL_AFTER_SECONDS))
        }
        RequestOutcome::Refused(order, _) => Err(ApiError::order_not_refundable(&order)),
        RequestOutcome::OrderNotFound => Err(ApiError::order_not_found()),
    }
}

/// Refuses somebody who may change no order at all, before the body is read.
fn require_changer(caller: &Caller) -> Result<(), ApiError> {
    if caller.may_change_some() { Ok(()) } else { Err(ApiError::order_not_found()) }
}
