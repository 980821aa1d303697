//! The span of a statement, by OpenTelemetry's conventions for PostgreSQL.

use super::error::StatementFailure;
use crate::config::Config;
use crate::telemetry::tracing::current;
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;

/// Begins the span of a statement of this name, as `SELECT place_order`, with all its attempts. Neither the text nor the parameters are in
/// it.
pub fn begin(config: &Config, name: &'static str) -> Option<Span> {
    let mut span = current::begin(Kind::Client, name)?;
    if span.is_recorded() {
        let (operation, function) = name.split_once(' ').unwrap_or((name, ""));
        span.set("db.system.name", "postgresql");
        span.set("db.namespace", config.database_name.clone());
        span.set("db.operation.name", operation);
        span.set("db.query.summary", name);
        if is_name(function) {
            span.set("db.stored_procedure.name", function);
        }
        span.set("server.address", config.database_host.clone());
        span.set("server.port", config.database_port);
    }
    Some(span)
}

/// Ends it.
pub fn end(span: Option<Span>, failure: Option<&StatementFailure>) {
    let Some(mut span) = span else { return };
    if let Some(failure) = failure {
        match failure.error_type() {
            (_, Some(code)) => {
                span.set("db.response.status_code", code.to_owned());
                span.fail(code.to_owned());
            }
            (kind, None) => span.fail(kind),
        }
    }
    span.end();
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
