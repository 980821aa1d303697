//! Tells whether the service can work.

use crate::config::Config;
use crate::db;
use serde_json::{Value, json};
use std::time::Instant;

/// Whether PostgreSQL answers, and the report to send.
pub async fn health(config: &Config) -> (bool, Value) {
    let begun = Instant::now();
    let ok = db::ping(config).await.is_ok();
    let latency_ms = (begun.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let database = if ok { json!({ "ok": true, "latency_ms": latency_ms }) } else { json!({ "ok": false }) };
    (ok, report(ok, json!({ "database": database })))
}

/// The report of the liveness probe, which touches nothing.
pub fn live() -> Value {
    report(true, json!({}))
}

/// The report while the configuration is wrong. `error` names the variable.
pub fn misconfigured(error: &str) -> Value {
    report(false, json!({ "configuration": { "ok": false, "error": error } }))
}

fn report(ok: bool, checks: Value) -> Value {
    json!({ "ok": ok, "service": "order-service", "version": env!("CARGO_PKG_VERSION"), "checks": checks })
}
