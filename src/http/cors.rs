//! Cross-origin requests of web pages (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! Origins are compared as a whole, so that none that only looks like an allowed one is allowed. No cookies are used, so credentials
//! are not allowed either: a page sends its token by itself. Operators' endpoints are for no page.

use super::request::RequestHead;
use super::response::Reply;
use crate::config::Config;
use ::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use ::http::{Method, StatusCode};

/// Header fields that a page may send.
const REQUEST_HEADERS: &str =
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id, Traceparent, Tracestate";
/// Header fields of answers that a page may read, beside those that every page may.
const RESPONSE_HEADERS: &str =
    "Allow, ETag, Idempotent-Replayed, Location, Retry-After, WWW-Authenticate, X-Request-Id";
/// Seconds for which a browser may keep the answer to a preflight; browsers have limits of their own from two hours down.
const MAX_AGE_SECONDS: &str = "7200";

/// The answer to a preflight: what is allowed at this path. 200 and not 204, which has no `Content-Length`. `None` when the request is no preflight, or comes from an origin
/// that is not allowed: it is answered like any other request then, and the browser goes no further.
pub fn preflight(config: &Config, head: &RequestHead, allow: &str) -> Option<Reply> {
    let is_preflight = head.method == Method::OPTIONS
        && head.header(&ACCESS_CONTROL_REQUEST_METHOD).is_some()
        && allowed_origin(config, head).is_some();
    is_preflight.then(|| {
        Reply::empty(StatusCode::OK)
            .with_header(ACCESS_CONTROL_ALLOW_METHODS, allow)
            .with_header(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
            .with_header(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS)
    })
}

/// Adds to an answer what lets an allowed origin's page read it.
pub fn allow(config: &Config, head: &RequestHead, reply: Reply) -> Reply {
    if config.cors_allowed_origins.is_empty() || head.is_internal() {
        return reply;
    }
    // A cache must not give one origin's answer to another one.
    let reply = reply.with_header(VARY, "Origin");
    match allowed_origin(config, head) {
        Some(origin) => reply
            .with_header(ACCESS_CONTROL_ALLOW_ORIGIN, origin)
            .with_header(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS),
        None => reply,
    }
}

fn allowed_origin(config: &Config, head: &RequestHead) -> Option<String> {
    if config.cors_allowed_origins.is_empty() || head.is_internal() {
        return None;
    }
    head.header(&ORIGIN).filter(|origin| config.cors_allowed_origins.contains(origin))
}
