//! Events for other systems: the feed, and what operators do about deliveries.

use super::access;
use super::body;
use super::internal::{ids, require_token};
use super::list_orders::{PageSizes, limit, microseconds};
use super::problem::ApiError;
use super::query_parameters::QueryParameters;
use super::request::{RequestBody, RequestHead};
use super::response::Reply;
use super::validation::FieldErrors;
use crate::commands::Context;
use crate::commands::replay_events::{self, Replay, replay};
use crate::db::events::{EventsFrom, deliveries as read_deliveries};
use crate::domain::ids::{OrderId, parse_uuid};
use crate::queries::list_events;
use crate::queries::list_orders::ListError;
use ::http::StatusCode;
use serde_json::{Map, Value, json};

/// How many events a page has.
const EVENTS: PageSizes = PageSizes { default: 100, most: 500 };
/// How many deliveries are listed.
const DELIVERIES: PageSizes = PageSizes { default: 100, most: 1_000 };
/// The states of a delivery.
const STATES: [&str; 3] = ["pending", "dead", "delivered"];

/// `GET /v1/events`: the events of all orders, from any point on.
///
/// # Errors
/// Those of [`access::require_feed`]; 422 for wrong parameters, 400 for a cursor of another list or of another database.
pub async fn feed(context: &Context, head: &RequestHead) -> Result<Reply, ApiError> {
    access::require_feed(context, head).await?;
    let mut parameters = QueryParameters::parse(head.query.as_deref(), &["after", "limit"]);
    let limit = limit(&mut parameters, "limit", &EVENTS);
    let after = parameters.take("after");
    parameters.into_result()?;
    let from = after.map_or(Ok(EventsFrom::Beginning), |after| place(&after))?;
    let page = list_events::list(&context.config, from, limit).await?;
    Ok(Reply::json_text(StatusCode::OK, format!(r#"{{"events":{},"next":"{}"}}"#, page.events, page.next)))
}

/// `POST /internal/events/replay`: sends events to every sink again.
///
/// # Errors
/// 403 while no token is configured, 401 without it; those of an invalid body; 400 for a cursor of another list or of another database;
/// 503 when PostgreSQL does not answer.
pub async fn replay_events(
    context: &Context,
    head: &RequestHead,
    body: RequestBody,
) -> Result<Reply, ApiError> {
    require_token(context, head)?;
    let chosen = parse_replay(&body::read_optional_object(head, body).await?)?;
    let outcome = replay(context, &chosen).await?.ok_or(ListError::InvalidPageToken)?;
    let next = outcome.next.map(list_events::cursor);
    Ok(Reply::json(StatusCode::OK, &json!({ "deliveries": outcome.deliveries, "next": next })))
}

/// `GET /internal/deliveries`: how far sinks have got.
///
/// # Errors
/// 403 while no token is configured, 401 without it; 422 for wrong parameters; 503 when PostgreSQL does not answer.
pub async fn deliveries(context: &Context, head: &RequestHead) -> Result<Reply, ApiError> {
    require_token(context, head)?;
    let mut parameters = QueryParameters::parse(head.query.as_deref(), &["order_id", "state", "limit"]);
    let order = parameters
        .read("order_id", "must be a UUID, as 01980000-0000-7000-8000-000000000000", parse_uuid)
        .map(OrderId);
    let state = parameters.read("state", "must be pending, dead or delivered", |value| {
        STATES.into_iter().find(|state| *state == value)
    });
    if state == Some("delivered") && !parameters.has("order_id") {
        parameters.reject("order_id", "is required with state=delivered");
    }
    let limit = limit(&mut parameters, "limit", &DELIVERIES);
    parameters.into_result()?;
    Ok(Reply::json_text(StatusCode::OK, read_deliveries(&context.config, order, state, limit).await?))
}

/// A point in the feed: a cursor, or a time.
fn place(text: &str) -> Result<EventsFrom, ListError> {
    microseconds(text).map_or_else(|| list_events::from_cursor(text), |since| Ok(EventsFrom::Time(since)))
}

/// Which events to send again: of listed orders, or from a point on.
///
/// # Errors
/// 422 with every invalid field, 400 for a cursor that is none.
fn parse_replay(fields: &Map<String, Value>) -> Result<Replay, ApiError> {
    let mut errors = FieldErrors::default();
    errors.reject_unknown_members(fields, &["from", "orders"]);
    let orders = ids(fields, "orders", replay_events::LIMIT, &mut errors);
    let from = fields.get("from").map(|from| {
        let text = from.as_str();
        if text.is_none() {
            errors.add("#/from", "must be a cursor of GET /v1/events, or a time as in RFC 3339");
        }
        text.unwrap_or_default()
    });
    if fields.contains_key("from") == fields.contains_key("orders") {
        errors.add("#/from", "is required, or orders is, and not both");
    }
    errors.into_result()?;
    Ok(match from {
        Some(from) => Replay::From(place(from)?),
        None => Replay::Orders(orders),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_of_orders_or_from_a_point_on() {
        let id = "01980000-0000-7000-8000-000000000000";
        let parse = |body: Value| parse_replay(body.as_object().unwrap());
        assert!(matches!(parse(json!({"orders": [id]})), Ok(Replay::Orders(orders)) if orders.len() == 1));
        let from = parse(json!({"from": "2026-11-22T10:00:00Z"}));
        assert!(matches!(from, Ok(Replay::From(EventsFrom::Time(1_795_341_600_000_000)))), "{from:?}");
        for (body, pointers) in [
            (json!({}), vec!["#/from"]),
            (json!({"from": "2026-11-22T10:00:00Z", "orders": [id]}), vec!["#/from"]),
            (json!({"orders": ["x"]}), vec!["#/orders/0"]),
            (json!({"from": 1}), vec!["#/from"]),
            (json!({"order": [id]}), vec!["#/order", "#/from"]),
        ] {
            assert_eq!(parse(body.clone()).unwrap_err().pointers(), pointers, "{body}");
        }
        assert!(parse(json!({"from": "tomorrow"})).unwrap_err().pointers().is_empty());
    }
}
