//! The endpoints of operators, below `/internal/`.

use super::bearer_token;
use super::body;
use super::orders::order_id;
use super::problem::ApiError;
use super::request::{RequestBody, RequestHead};
use super::response::Reply;
use super::validation::FieldErrors;
use crate::commands::Context;
use crate::commands::redrive::{self, RedriveSelection};
use crate::commands::resolve_order::{self, Resolution, ResolveOutcome};
use crate::commands::sweep;
use crate::domain::ids::{PaymentId, parse_uuid};
use crate::domain::order::PaymentStatus;
use crate::queries::stuck as stuck_query;
use ::http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// `POST /internal/sweep`: processes due work.
///
/// # Errors
/// 401 without the token, where one is set; 503 when PostgreSQL does not answer.
pub async fn sweep(context: &Context, head: &RequestHead) -> Result<Reply, ApiError> {
    if context.config.internal_token.is_some() {
        require_token(context, head)?;
    }
    let swept = sweep::sweep(context).await?;
    Ok(Reply::json(StatusCode::OK, &json!({ "orders": swept.orders, "messages": swept.messages })))
}

/// `GET /internal/stuck`: lists the orders and messages that need an operator.
///
/// # Errors
/// 403 while no token is configured, 401 without it; 503 when PostgreSQL does not answer.
pub async fn stuck(context: &Context, head: &RequestHead) -> Result<Reply, ApiError> {
    require_token(context, head)?;
    Ok(Reply::json_text(StatusCode::OK, stuck_query::stuck(&context.config).await?))
}

/// `POST /internal/redrive`: makes parked orders and dead letters due at once.
///
/// # Errors
/// 403 while no token is configured, 401 without it; those of an invalid body; 503 when PostgreSQL does not answer.
pub async fn redrive(context: &Context, head: &RequestHead, body: RequestBody) -> Result<Reply, ApiError> {
    require_token(context, head)?;
    let selection = parse_redrive(&body::read_optional_object(head, body).await?)?;
    let redriven = redrive::redrive(context, &selection).await?;
    let counts = json!({ "orders": redriven.orders, "messages": redriven.messages });
    Ok(Reply::json(StatusCode::OK, &counts))
}

/// `POST /internal/orders/{id}/resolve`: an operator's word about an order's payment.
///
/// # Errors
/// 403 while no token is configured, 401 without it; 400, 404, 409 `order_not_resolvable`; those of an invalid body; 503 when
/// PostgreSQL does not answer.
pub async fn resolve(
    context: &Context,
    head: &RequestHead,
    id: &str,
    body: RequestBody,
) -> Result<Reply, ApiError> {
    require_token(context, head)?;
    let id = order_id(id)?;
    let resolution = parse_resolution(&body::read_optional_object(head, body).await?)?;
    let field = |detail: &str| FieldErrors::of("#/payment_id", detail).into();
    match resolve_order::resolve(context, id, &resolution).await? {
        ResolveOutcome::Resolved(document) => Ok(Reply::document(StatusCode::OK, document)),
        ResolveOutcome::OrderNotFound => Err(ApiError::order_not_found()),
        ResolveOutcome::NotResolvable(order) => Err(ApiError::order_not_resolvable(&order)),
        ResolveOutcome::PaymentRequired => {
            Err(field("is required, because no payment of the order is known"))
        }
        ResolveOutcome::OtherPayment => Err(field("must be the order's payment")),
    }
}

/// Authorization of the internal endpoints by bearer token.
///
/// # Errors
/// 403 while no token is configured, 401 when it is missing or wrong.
pub fn require_token(context: &Context, head: &RequestHead) -> Result<(), ApiError> {
    match &context.config.internal_token {
        None => Err(ApiError::forbidden()),
        Some(token) => bearer_token::require(token.expose(), head),
    }
}

/// Which parked orders and dead letters to redrive: without members all, else those that are listed.
///
/// # Errors
/// 422 with every invalid field.
pub(super) fn parse_redrive(fields: &Map<String, Value>) -> Result<RedriveSelection, ApiError> {
    if fields.is_empty() {
        return Ok(RedriveSelection::default());
    }
    let mut errors = FieldErrors::default();
    errors.reject_unknown_members(fields, &["orders", "messages"]);
    let (orders, messages) = (
        ids(fields, "orders", redrive::LIMIT, &mut errors),
        ids(fields, "messages", redrive::LIMIT, &mut errors),
    );
    errors.into_result()?;
    Ok(RedriveSelection { orders: Some(orders), messages: Some(messages) })
}

/// The longest reason of a resolution, in characters.
const MAX_REASON: usize = 500;

/// What an operator says of a payment.
///
/// # Errors
/// 422 with every invalid field.
pub(super) fn parse_resolution(fields: &Map<String, Value>) -> Result<Resolution, ApiError> {
    let mut errors = FieldErrors::default();
    errors.reject_unknown_members(fields, &["payment", "payment_id", "reason"]);
    let status = match fields.get("payment").and_then(Value::as_str) {
        Some("not_taken") => Some(PaymentStatus::Failed),
        Some("taken") => Some(PaymentStatus::Success),
        Some("refunded") => Some(PaymentStatus::Refunded),
        _ => None,
    };
    if status.is_none() {
        let is_there = fields.contains_key("payment");
        errors
            .add("#/payment", if is_there { "must be not_taken, taken or refunded" } else { "is required" });
    }
    let payment = fields.get("payment_id").filter(|value| !value.is_null()).and_then(|value| {
        let id = value.as_str().and_then(parse_uuid);
        if id.is_none() {
            errors.add("#/payment_id", "must be a UUID");
        }
        id.map(PaymentId)
    });
    let reason = fields.get("reason").filter(|value| !value.is_null()).and_then(|value| {
        let text = value.as_str().filter(|text| text.chars().count() <= MAX_REASON && !text.contains('\0'));
        if text.is_none() {
            errors.add("#/reason", format!("must be text of at most {MAX_REASON} characters"));
        }
        text.map(str::to_owned)
    });
    match status {
        Some(status) if errors.is_empty() => Ok(Resolution { status, payment, reason }),
        _ => Err(errors.into()),
    }
}

/// A list of ids; empty when it is not there.
pub(super) fn ids(
    fields: &Map<String, Value>,
    name: &str,
    limit: usize,
    errors: &mut FieldErrors,
) -> Vec<Uuid> {
    let Some(value) = fields.get(name) else {
        return Vec::new();
    };
    let Some(list) = value.as_array().filter(|list| list.len() <= limit) else {
        errors.add(format!("#/{name}"), format!("must be a list of at most {limit} ids"));
        return Vec::new();
    };
    let mut ids = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        match value.as_str().and_then(parse_uuid) {
            Some(id) => ids.push(id),
            None => errors.add(format!("#/{name}/{index}"), "must be a UUID"),
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_is_of_all_or_of_what_is_listed() {
        let id = "01980000-0000-7000-8000-000000000000";
        let parse = |body: Value| parse_redrive(body.as_object().unwrap()).map_err(|error| error.pointers());
        assert_eq!(parse(json!({})).unwrap(), RedriveSelection::default());
        let selection = parse(json!({"orders": [id]})).unwrap();
        assert_eq!((selection.orders.unwrap().len(), selection.messages), (1, Some(vec![])));
        assert_eq!(
            parse(json!({"orders": [id, 1], "messages": {}})).unwrap_err(),
            ["#/orders/1", "#/messages"]
        );
        assert_eq!(parse(json!({"order": [id]})).unwrap_err(), ["#/order"]);
    }

    #[test]
    fn every_invalid_field_of_a_resolution_is_told() {
        let id = "01980000-0000-7000-8000-000000000000";
        let parse =
            |body: Value| parse_resolution(body.as_object().unwrap()).map_err(|error| error.pointers());
        let taken =
            parse(json!({"payment": "taken", "payment_id": id, "reason": "seen in the bank"})).unwrap();
        assert_eq!((taken.status, taken.payment.is_some()), (PaymentStatus::Success, true));
        let not_taken = parse(json!({"payment": "not_taken", "payment_id": null})).unwrap();
        assert_eq!((not_taken.status, not_taken.payment), (PaymentStatus::Failed, None));
        for (body, expected) in [
            (json!({}), vec!["#/payment"]),
            (json!({"payment": "paid"}), vec!["#/payment"]),
            (
                json!({"payment": "taken", "payment_id": "x", "reason": 1, "amount": 1}),
                vec!["#/amount", "#/payment_id", "#/reason"],
            ),
            (json!({"payment": "taken", "reason": "x".repeat(501)}), vec!["#/reason"]),
        ] {
            assert_eq!(parse(body.clone()).unwrap_err(), expected, "{body}");
        }
    }
}
