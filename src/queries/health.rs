//! The health check and the liveness probe.

use crate::config::Config;
use crate::db::{DbError, operator};
use serde_json::{Value, json};
use std::time::Instant;

/// The health check: whether PostgreSQL answers and has the schema that this version needs, and the report to send.
pub async fn health(config: &Config) -> (bool, Value) {
    let begun = Instant::now();
    let error = match operator::check_schema(config).await {
        Ok(error) => error,
        Err(DbError::Unavailable(_)) => Some("no answer".into()),
        Err(DbError::Broken(_)) => Some("no schema".into()),
    };
    let latency_ms = (begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let database = match &error {
        None => json!({ "ok": true, "latency_ms": latency_ms }),
        Some(error) => json!({ "ok": false, "error": error }),
    };
    (error.is_none(), report(error.is_none(), json!({ "database": database })))
}

/// The report of the liveness probe, which calls nothing.
pub fn live() -> Value {
    report(true, json!({}))
}

/// The report while the configuration is invalid. `error` names the variable.
pub fn misconfigured(error: &str) -> Value {
    report(false, json!({ "configuration": { "ok": false, "error": error } }))
}

fn report(ok: bool, checks: Value) -> Value {
    json!({ "ok": ok, "service": "order-service", "version": env!("CARGO_PKG_VERSION"), "checks": checks })
}
