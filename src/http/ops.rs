//! The endpoints of those who run the service.

use super::extract::{self, Content, Head};
use super::problem::ApiError;
use super::respond::Reply;
use crate::commands::{Context, redrive, sweep};
use crate::queries::{health as health_query, metrics as metrics_query, stuck as stuck_query};
use serde_json::json;

/// `GET /health`.
///
/// # Errors
/// None; a database that does not answer is a 503 with the same shape.
pub async fn health(context: &Context) -> Result<Reply, ApiError> {
    let (ok, report) = health_query::health(&context.config).await;
    Ok(Reply::json(if ok { 200 } else { 503 }, report.to_string()))
}

/// `GET /health/live`.
pub fn live() -> Reply {
    Reply::json(200, health_query::live().to_string())
}

/// `GET /metrics`.
///
/// # Errors
/// 503 when PostgreSQL does not answer.
pub async fn metrics(context: &Context) -> Result<Reply, ApiError> {
    let page = metrics_query::metrics(&context.config).await?;
    Ok(Reply::new(200, metrics_query::CONTENT_TYPE, page))
}

/// `POST /internal/sweep`.
///
/// # Errors
/// 401 without the token, where one is set; 503 when PostgreSQL does not answer.
pub async fn sweep(context: &Context, head: &Head) -> Result<Reply, ApiError> {
    if context.config.internal_token.is_some() {
        require_internal(context, head)?;
    }
    let swept = sweep::sweep(context).await?;
    Ok(Reply::json(200, json!({ "orders": swept.orders, "messages": swept.messages }).to_string()))
}

/// `GET /internal/stuck`.
///
/// # Errors
/// 403 while no token is configured, 401 without it; 503 when PostgreSQL does not answer.
pub async fn stuck(context: &Context, head: &Head) -> Result<Reply, ApiError> {
    require_internal(context, head)?;
    Ok(Reply::json(200, stuck_query::stuck(&context.config).await?))
}

/// `POST /internal/redrive`.
///
/// # Errors
/// 403 while no token is configured, 401 without it; those of a wrong body; 503 when PostgreSQL does not answer.
pub async fn redrive(context: &Context, head: &Head, body: Content) -> Result<Reply, ApiError> {
    require_internal(context, head)?;
    let chosen = extract::chosen(head, body).await?;
    let redriven = redrive::redrive(context, &chosen).await?;
    Ok(Reply::json(200, json!({ "orders": redriven.orders, "messages": redriven.messages }).to_string()))
}

/// Lets only those with the internal token in.
///
/// # Errors
/// 403 while no token is configured, 401 when it is missing or wrong.
pub fn require_internal(context: &Context, head: &Head) -> Result<(), ApiError> {
    match &context.config.internal_token {
        None => Err(ApiError::forbidden()),
        Some(token) => head.require_bearer(token.expose()),
    }
}
