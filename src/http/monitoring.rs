//! The endpoints of monitoring: health check, liveness probe, metrics.

use super::problem::ApiError;
use super::response::Reply;
use crate::commands::Context;
use crate::queries::{health as health_query, metrics as metrics_query};
use crate::telemetry::series::Series;
use ::http::StatusCode;

/// `GET /health`: 503 with the same shape when PostgreSQL does not answer.
pub async fn health(context: &Context) -> Reply {
    let (is_ok, report) = health_query::health(&context.config, &context.log).await;
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &report)
}

/// `GET /health` while the configuration is invalid: 503 with the sentence that names the variable. Its causes are for the log.
pub fn misconfigured(error: &anyhow::Error) -> Reply {
    Reply::json(StatusCode::SERVICE_UNAVAILABLE, &health_query::misconfigured(&error.to_string()))
}

/// `GET /health/live`: the liveness probe, always 200.
pub fn live() -> Reply {
    Reply::json(StatusCode::OK, &health_query::live())
}

/// `GET /metrics`, in the Prometheus text format. `answers`: those that begin at zero.
///
/// # Errors
/// 503 when PostgreSQL does not answer.
pub async fn metrics(context: &Context, answers: impl Iterator<Item = Series>) -> Result<Reply, ApiError> {
    let page = metrics_query::metrics(&context.config, answers).await?;
    Ok(Reply::new(StatusCode::OK, metrics_query::CONTENT_TYPE, page))
}
