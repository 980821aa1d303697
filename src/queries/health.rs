//! The health check and the liveness probe.

use crate::config::Config;
use crate::db::{self, DbError, operator};
use crate::runtime::deadline::timeout;
use crate::runtime::task;
use crate::telemetry::log::Log;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// For so long the check is waited for while other statements of this instance succeed. What has succeeded within the last second
/// by then, began after the check did.
const PATIENCE: Duration = Duration::from_secs(1);

/// The health check: whether PostgreSQL answers, takes writes and has the schema that this version needs, and the report to send.
///
/// It always asks, so that a server that has just become read-only is noticed. But a check that has to wait, for a connection or
/// behind a slow statement, says nothing about the database: while other statements succeed, all is well.
///
/// Why the database cannot be used is in the log alone: a refused log-in and a missing database are no answer, too.
pub async fn health(config: &Rc<Config>, log: &Log) -> (bool, Value) {
    let begun = Instant::now();
    let config = config.clone();
    let mut check = Box::pin(async move { operator::check_schema(&config).await });
    let checked = match timeout(PATIENCE, check.as_mut()).await {
        Some(checked) => checked,
        None if db::has_just_succeeded() => {
            task::spawn(async move { drop(check.await) });
            Ok(None)
        }
        None => check.await,
    };
    let error = match checked {
        Ok(error) => error,
        Err(DbError::Unavailable(_)) if begun.elapsed() >= PATIENCE && db::has_just_succeeded() => None,
        Err(cause) => {
            log.refusal("the database cannot be used", json!({ "cause": cause.to_string() }));
            let error = if matches!(cause, DbError::Unavailable(_)) { "no answer" } else { "no schema" };
            Some(error.into())
        }
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
