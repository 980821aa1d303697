//! The span of a request, by OpenTelemetry's conventions for HTTP servers.
//!
//! The query is not in it, because it may name users; nor is the client's address, of which a proxy in front may say anything.

use super::request::{RequestBody, RequestHead};
use crate::telemetry::tracing::current::{self, Scope};
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;
use ::http::header::USER_AGENT;
use ::http::{Method, StatusCode};
use std::time::Instant;

/// Methods that may be shown. Any other is `_OTHER`, so that a client cannot make names of spans.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// Begins the span of a request to this route of the table, if there is one.
pub fn begin(
    scope: &Scope,
    head: &RequestHead,
    body: &RequestBody,
    route: Option<&'static str>,
) -> Option<Span> {
    if !current::is_on() {
        return None;
    }
    let method = METHODS.iter().find(|known| **known == head.method).map(Method::as_str);
    let mut span = scope.begin(Kind::Server, || name(method, route).into())?;
    if span.is_recorded() {
        span.set("http.request.method", method.unwrap_or("_OTHER").to_owned());
        if method.is_none() {
            span.set("http.request.method_original", head.method.to_string());
        }
        span.set("url.scheme", if body.is_https() { "https" } else { "http" });
        span.set("url.path", head.path.clone());
        if let Some(route) = route {
            span.set("http.route", route);
        }
        if let Some(user_agent) = head.header(&USER_AGENT) {
            span.set("user_agent.original", user_agent);
        }
    }
    Some(span)
}

fn name(method: Option<&str>, route: Option<&str>) -> String {
    let method = method.unwrap_or("HTTP");
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// Ends it with the status of the answer. A server's span has failed when that is a fault of the server.
pub fn end(span: Option<Span>, status: StatusCode, begun: Instant) {
    let Some(mut span) = span else { return };
    // The host's call for the headers was before.
    span.begun_at(begun);
    span.set("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
    span.end();
}
