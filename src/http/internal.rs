//! The endpoints of operators, below `/internal/`.

use super::bearer_token;
use super::body;
use super::problem::ApiError;
use super::request::{RequestBody, RequestHead};
use super::response::Reply;
use super::validation::FieldErrors;
use crate::commands::Context;
use crate::commands::redrive::{self, RedriveSelection};
use crate::commands::sweep;
use crate::domain::ids::parse_uuid;
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
    Ok(Reply::json(StatusCode::OK, &json!({ "orders": redriven.orders, "messages": redriven.messages })))
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
fn parse_redrive(fields: &Map<String, Value>) -> Result<RedriveSelection, ApiError> {
    if fields.is_empty() {
        return Ok(RedriveSelection::default());
    }
    let mut errors = FieldErrors::default();
    errors.reject_unknown_members(fields, &["orders", "messages"]);
    let (orders, messages) = (ids(fields, "orders", &mut errors), ids(fields, "messages", &mut errors));
    errors.into_result()?;
    Ok(RedriveSelection { orders: Some(orders), messages: Some(messages) })
}

/// A list of ids; empty when it is not there.
fn ids(fields: &Map<String, Value>, name: &str, errors: &mut FieldErrors) -> Vec<Uuid> {
    let Some(value) = fields.get(name) else {
        return Vec::new();
    };
    let Some(list) = value.as_array().filter(|list| list.len() <= redrive::LIMIT) else {
        errors.add(format!("#/{name}"), format!("must be a list of at most {} ids", redrive::LIMIT));
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
}
