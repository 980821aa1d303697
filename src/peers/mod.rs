//! The four services that an order needs, each with its deadlines and the shapes that it really speaks.

pub mod catalog;
pub mod lenient;
pub mod notification;
pub mod payment;
pub mod seating;

use crate::deadline;
use crate::telemetry::work::{self, Count};
use crate::wire::{self, Body};
use spin_sdk::wasip3::http::{client, types};
use std::time::Duration;

/// The longest answer that is read from a peer, in bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// The base URL of a peer: scheme, authority and an optional path, without a slash at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseUrl {
    https: bool,
    authority: String,
    path: String,
}

impl BaseUrl {
    /// Reads a base URL. `None` unless it is `http` or `https` with a host and without user, query or fragment.
    pub fn parse(url: &str) -> Option<Self> {
        let (https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let sane = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"@?#\\\"<>".contains(&b));
        (!authority.is_empty() && sane(authority) && sane(path)).then(|| Self {
            https,
            authority: authority.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

/// A call of a peer.
pub struct Call<'a> {
    /// For metrics and logs, as `seating.reserve`.
    pub name: &'static str,
    /// Where the peer is.
    pub base: &'a BaseUrl,
    /// The path below it.
    pub path: String,
    /// A JSON body makes it a POST.
    pub body: Option<String>,
    /// Sent as `Idempotency-Key`.
    pub key: Option<String>,
    /// The longest wait for the whole answer, in milliseconds.
    pub deadline_ms: u64,
}

/// A peer's answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Seconds that the peer asks us to wait.
    pub retry_after_seconds: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a call came to. A peer's own refusals are part of `T`.
#[derive(Debug)]
pub enum Outcome<T> {
    /// The peer answered, and the answer makes sense.
    Answered(T),
    /// No answer in time, or one that says nothing: its effect is unknown.
    NoAnswer(Silence),
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Silence {
    /// For logs and the journal.
    pub reason: String,
    /// The request was sent and nobody answered it, so that it may still take effect: we hung up, the connection broke,
    /// or a gateway lost its upstream.
    pub may_land: bool,
}

impl From<String> for Silence {
    /// The peer answered, and the answer says nothing.
    fn from(reason: String) -> Self {
        Self { reason, may_land: false }
    }
}

impl Silence {
    fn unanswered(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), may_land: true }
    }

    /// A failure of the host's, while a request was on its way.
    fn of(code: &types::ErrorCode) -> Self {
        use types::ErrorCode::{ConnectionRefused, DnsError, HttpRequestDenied};
        let sent = !matches!(code, ConnectionRefused | DnsError(_) | HttpRequestDenied);
        Self { reason: format!("{code:?}"), may_land: sent }
    }
}

/// Sends a call and waits for the whole answer, at most until its deadline: then the call is dropped, and the host with it
/// closes the connection. The host's own limits are not needed beside it.
///
/// # Errors
/// Why there is no answer. It says nothing about the call's effect.
pub async fn send(call: Call<'_>) -> Result<Answer, Silence> {
    let name = call.name;
    let deadline = Duration::from_millis(call.deadline_ms);
    let result = deadline::within(deadline, exchange(call))
        .await
        .unwrap_or_else(|| Err(Silence::unanswered(format!("no answer within {} ms", deadline.as_millis()))));
    let status = result.as_ref().ok().map(|answer| answer.status);
    work::add(Count::PeerCall { call: name, status }, 1.0);
    result.map_err(|silence| Silence { reason: format!("{name}: {}", silence.reason), ..silence })
}

async fn exchange(call: Call<'_>) -> Result<Answer, Silence> {
    let body = call.body.unwrap_or_default().into_bytes();
    let is_post = !body.is_empty();
    let length = body.len().to_string();
    let mut headers = vec![("accept", "application/json"), ("user-agent", "order-service")];
    if is_post {
        headers.extend([("content-type", "application/json"), ("content-length", &length)]);
    }
    if let Some(key) = &call.key {
        headers.push(("idempotency-key", key));
    }

    let ((contents, trailers), writing) = wire::outgoing(body);
    let (request, _sent) = types::Request::new(wire::fields(&headers), contents, trailers, None);
    let method = if is_post { types::Method::Post } else { types::Method::Get };
    let scheme = if call.base.https { types::Scheme::Https } else { types::Scheme::Http };
    let path = format!("{}{}", call.base.path, call.path);
    request.set_method(&method).map_err(|()| "bad method".to_owned())?;
    request.set_scheme(Some(&scheme)).map_err(|()| "bad scheme".to_owned())?;
    request.set_authority(Some(&call.base.authority)).map_err(|()| "bad authority".to_owned())?;
    request.set_path_with_query(Some(&path)).map_err(|()| "bad path".to_owned())?;

    writing.start().await;
    let response = client::send(request).await.map_err(|code| Silence::of(&code))?;

    let status = response.get_status_code();
    // Only an answer that refuses says when to come again.
    let retry_after_seconds = if status < 400 { None } else { retry_after(&response.get_headers()) };
    let consume = |result| types::Response::consume_body(response, result);
    match wire::receive(consume, ANSWER_LIMIT, 0).await {
        Ok(Body::Whole(body)) => Ok(Answer { status, retry_after_seconds, body }),
        Ok(Body::TooLarge) => Err(format!("status {status} with more than {ANSWER_LIMIT} bytes").into()),
        Err(code) => Err(Silence::unanswered(format!("status {status}, body broken off: {code:?}"))),
    }
}

fn retry_after(headers: &types::Headers) -> Option<u64> {
    std::str::from_utf8(headers.get("retry-after").first()?).ok()?.trim().parse().ok()
}

impl Answer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// A reason that tells what is wrong without showing the body.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self, name: &str) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (kind, line, column) = (error.classify(), error.line(), error.column());
            format!(
                "{name}: status {}, unusable body ({kind:?} error at line {line}, column {column})",
                self.status
            )
        })
    }

    /// Why this answer says nothing.
    pub fn unusable<T>(&self, name: &str) -> Outcome<T> {
        let reason = format!("{name}: status {}", self.status);
        Outcome::NoAnswer(Silence { reason, may_land: matches!(self.status, 502 | 504) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_carry_a_path_and_nothing_else() {
        let base = BaseUrl::parse("http://127.0.0.1:4010/seating/").unwrap();
        assert_eq!((base.https, &*base.authority, &*base.path), (false, "127.0.0.1:4010", "/seating"));
        assert_eq!(BaseUrl::parse("https://pay.example").unwrap().path, "");
        assert_eq!(BaseUrl::parse("https://pay.example/").unwrap().path, "");
        for bad in [
            "",
            "pay.example",
            "ftp://pay.example",
            "http://",
            "http:///x",
            "http://u:p@h",
            "http://h/?q",
            "http://h/#f",
            "http://h /",
        ] {
            assert_eq!(BaseUrl::parse(bad), None, "{bad}");
        }
    }
}
