//! The span of a statement, by OpenTelemetry's conventions for PostgreSQL.

use super::error::StatementFailure;
use crate::config::Config;
use crate::telemetry::tracing::current;
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;

/// Begins the span of a statement, with all its attempts. `name`: the statement up to its first bracket. Neither the text nor the
/// parameters are in the span.
pub fn begin(config: &Config, name: &'static str) -> Option<Span> {
    if !current::is_on() {
        return None;
    }
    let operation = name.split(' ').next().unwrap_or_default();
    let summary = || {
        function(name).map_or_else(|| operation.into(), |function| format!("{operation} {function}").into())
    };
    let mut span = current::begin(Kind::Client, summary)?;
    if span.is_recorded() {
        span.set("db.system.name", "postgresql");
        // Database and schema; the latter is that of the session's `search_path`.
        span.set("db.namespace", format!("{}|public", config.database_name));
        span.set("db.operation.name", operation);
        span.set("db.query.summary", summary());
        if let Some(function) = function(name) {
            span.set("db.stored_procedure.name", function);
        }
        span.set("server.address", config.database_host.clone());
        span.set("server.port", config.database_port);
    }
    Some(span)
}

/// The function that a statement calls: `SELECT load_order`, or `SELECT id, payload FROM claim_due_messages`.
fn function(name: &'static str) -> Option<&'static str> {
    let (before, function) = name.rsplit_once(' ')?;
    (before == "SELECT" || before.ends_with(" FROM")).then_some(function)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_that_a_statement_calls_is_its_name() {
        for (name, expected) in [
            ("SELECT load_order", Some("load_order")),
            ("SELECT 1 FROM delete_message", Some("delete_message")),
            ("SELECT id, order_id, kind FROM claim_due_messages", Some("claim_due_messages")),
            ("SELECT CASE WHEN current_setting", None),
            ("SELECT", None),
        ] {
            assert_eq!(function(name), expected, "{name}");
        }
    }
}
