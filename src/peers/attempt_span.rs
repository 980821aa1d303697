//! The span of one attempt at a call, by OpenTelemetry's conventions for HTTP clients.

use crate::config::BaseUrl;
use crate::telemetry::tracing::current::{self, Propagated};
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;
use http::{Method, StatusCode};
use std::cell::Cell;
use std::rc::Rc;

/// The span of the attempt that is under way, if there is one. Who waits for the call may end it before the attempt has ended.
#[derive(Clone, Default)]
pub struct AttemptSpan(Rc<Cell<Option<Span>>>);

impl AttemptSpan {
    /// Begins the span of an attempt, and returns what the request carries.
    pub fn begin(
        &self,
        call: &'static str,
        method: &Method,
        base: &BaseUrl,
        path: &str,
        resends: u16,
    ) -> Option<Propagated> {
        if !current::is_on() {
            return current::propagated(None);
        }
        // A hook's path may be its secret.
        let path = if call == "events.http" { "/" } else { path };
        let mut span = current::begin(Kind::Client, || format!("{method} {}", template(path)).into());
        let propagated = current::propagated(span.as_ref());
        if let Some(span) = span.as_mut().filter(|span| span.is_recorded()) {
            let scheme = if base.is_https { "https" } else { "http" };
            let (address, port) = address_and_port(base);
            span.set("http.request.method", method.to_string());
            span.set("server.address", address.to_owned());
            span.set("server.port", port);
            span.set("url.full", format!("{scheme}://{}{}", base.authority, redacted(path)));
            span.set("url.template", template(path));
            span.set("order_service.peer_call", call);
            if resends > 0 {
                span.set("http.request.resend_count", resends);
            }
        }
        self.0.set(span);
        propagated
    }

    /// Ends it, with the status of an answer or the reason why there is none (`error.type`).
    pub fn end(&self, result: Result<StatusCode, &'static str>) {
        let Some(mut span) = self.0.take() else { return };
        match result {
            Ok(status) => {
                span.set("http.response.status_code", status.as_u16());
                if status.is_client_error() || status.is_server_error() {
                    span.fail(status.as_str().to_owned());
                }
            }
            Err(reason) => span.fail(reason),
        }
        span.end();
    }
}

fn address_and_port(base: &BaseUrl) -> (&str, u16) {
    let default = if base.is_https { 443 } else { 80 };
    match base.authority.rsplit_once(':') {
        Some((address, port)) => match port.parse() {
            Ok(port) => (address, port),
            // The colons of an IPv6 address.
            Err(_) => (&base.authority, default),
        },
        None => (&base.authority, default),
    }
}

/// The segment after which a user's name stands.
const NAME_FOLLOWS: &str = "username";

/// The path with a placeholder for each id and each name, and without its query: one of few.
fn template(path: &str) -> String {
    rewritten(path, |segment, before| match segment {
        _ if before == NAME_FOLLOWS => "{name}",
        id if is_id(id) => "{id}",
        other => other,
    })
}

/// The path without its query and without names of users.
fn redacted(path: &str) -> String {
    rewritten(path, |segment, before| if before == NAME_FOLLOWS { "REDACTED" } else { segment })
}

fn rewritten(path: &str, rewrite: impl for<'a> Fn(&'a str, &str) -> &'a str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let mut before = "";
    let mut rewritten = String::with_capacity(path.len());
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            rewritten.push('/');
        }
        rewritten.push_str(rewrite(segment, before));
        before = segment;
    }
    rewritten
}

/// A number, or a UUID.
fn is_id(segment: &str) -> bool {
    let is_number = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    is_number
        || segment.len() == 36
            && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
            && segment.bytes().filter(|b| *b == b'-').count() == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_names_and_its_template_without_ids() {
        let id = "01980000-0000-7000-8000-000000000000";
        for (path, shown, of_template) in [
            ("/v1/charge".to_owned(), "/v1/charge".to_owned(), "/v1/charge"),
            (format!("/pay/v1/payments/{id}"), format!("/pay/v1/payments/{id}"), "/pay/v1/payments/{id}"),
            ("/v1/events/101".to_owned(), "/v1/events/101".to_owned(), "/v1/events/{id}"),
            (
                "/v1/users/username/alice%20b".to_owned(),
                "/v1/users/username/REDACTED".to_owned(),
                "/v1/users/username/{name}",
            ),
            ("/keys?token=secret".to_owned(), "/keys".to_owned(), "/keys"),
            ("/".to_owned(), "/".to_owned(), "/"),
        ] {
            assert_eq!((redacted(&path), &*template(&path)), (shown, of_template), "{path}");
        }
    }

    #[test]
    fn address_and_port_are_those_of_the_url() {
        for (url, expected) in [
            ("http://catalog:4001", ("catalog", 4001)),
            ("http://catalog", ("catalog", 80)),
            ("https://peer.example/x", ("peer.example", 443)),
            ("http://[::1]:8080", ("[::1]", 8080)),
            ("http://[::1]", ("[::1]", 80)),
        ] {
            assert_eq!(address_and_port(&BaseUrl::parse(url).unwrap()), expected, "{url}");
        }
    }
}
