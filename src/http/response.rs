//! Responses, and how they are handed to the host.

use super::compact_json::compact;
use super::request::X_REQUEST_ID;
use crate::runtime::body;
use ::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use ::http::{HeaderName, StatusCode};
use serde_json::Value;
use spin_sdk::wasip3::http::types::Response;

/// `Retry-After` in seconds, for polling an order that is still being processed.
pub const POLL_AFTER_SECONDS: &str = "1";

/// Header fields of every response that has no others of these names. Orders are personal data, which nobody on the way may store; and
/// no answer but a page of the documentation is one to be shown, or to be framed by another page.
const DEFAULT_HEADERS: [(HeaderName, &str); 3] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
];

/// A response before it is handed to the host.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// Header fields beside `Content-Type`, `Content-Length`, `X-Request-Id` and `X-Content-Type-Options`.
    pub headers: Vec<(HeaderName, String)>,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Reply {
    /// A response with a body.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), content_type, body: body.into() }
    }

    /// A response with an empty body.
    pub fn empty(status: StatusCode) -> Self {
        Self::new(status, "", Vec::new())
    }

    /// A response with a JSON body.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A response with an order document from the database, which is passed through.
    pub fn document(status: StatusCode, document: String) -> Self {
        Self::new(status, "application/json", document)
    }

    /// A response with other JSON text from the database, which is made compact and otherwise passed through.
    pub fn json_text(status: StatusCode, text: String) -> Self {
        Self::new(status, "application/json", compact(text))
    }

    /// 304 Not Modified (RFC 9110): the client has this representation. As with `HEAD`, `Content-Length` is that of the omitted
    /// body.
    pub fn not_modified(self) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, ..self }
    }

    /// The body as text.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// Adds a header field.
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Lets caches keep the response. Every other response is `no-store`.
    pub fn with_cache_control(self, cache_control: &'static str) -> Self {
        self.with_header(CACHE_CONTROL, cache_control)
    }

    /// Builds the host's response, with `Content-Length` and with its body already being written (see
    /// [`crate::runtime::body`]). The response to a `HEAD` has the length and no body.
    pub async fn send(self, request_id: &str, is_head: bool) -> Response {
        let length = self.body.len().to_string();
        let mut headers =
            vec![(X_REQUEST_ID, request_id), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CONTENT_LENGTH, &length)];
        if !self.content_type.is_empty() {
            headers.push((CONTENT_TYPE, self.content_type));
        }
        for (name, default) in DEFAULT_HEADERS {
            if self.headers.iter().all(|(other, _)| other != name) {
                headers.push((name, default));
            }
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.as_str())));
        let contents =
            if is_head || self.status == StatusCode::NOT_MODIFIED { Vec::new() } else { self.body };
        let ((contents, trailers), write) = body::outgoing(contents);
        let (response, _sent) = Response::new(body::fields(&headers), contents, trailers);
        // The default is 200; setting the status costs a host call.
        if self.status != StatusCode::OK {
            let _ = response.set_status_code(self.status.as_u16());
        }
        write.start().await;
        response
    }
}
