//! Answers, and how they leave.

use crate::runtime::body;
use spin_sdk::wasip3::http::types::Response;

/// An answer before it is handed to the host.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers beside `Content-Type`, `Content-Length` and `X-Request-Id`.
    pub headers: Vec<(&'static str, String)>,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Reply {
    /// An answer with a body.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), content_type, body: body.into() }
    }

    /// An answer with a JSON body, given as text.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// 304: the client has it already. Like the answer to a `HEAD` it tells the length of what it leaves out.
    pub fn not_modified(self) -> Self {
        Self { status: 304, ..self }
    }

    /// The body as text.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Builds the host's response, with its length told and its body already being written (see [`crate::runtime::body`]).
    /// The answer to a `HEAD` tells the length and has no body.
    pub async fn send(self, request_id: &str, is_head: bool) -> Response {
        let length = self.body.len().to_string();
        let mut headers = vec![
            ("x-request-id", request_id),
            ("cache-control", "no-store"),
            ("content-type", self.content_type),
            ("content-length", &length),
        ];
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let contents = if is_head || self.status == 304 { Vec::new() } else { self.body };
        let ((contents, trailers), write) = body::outgoing(contents);
        let (response, _sent) = Response::new(body::fields(&headers), contents, trailers);
        // It is 200 as long as nobody says otherwise.
        if self.status != 200 {
            let _ = response.set_status_code(self.status);
        }
        write.start().await;
        response
    }
}
