//! Clients of the four peers (Catalog, Seating, Payment, Notification), each with its deadlines and its JSON as it really is.

pub mod catalog;
pub mod lenient;
pub mod notification;
pub mod payment;
pub mod seating;

use crate::config::BaseUrl;
use crate::runtime::body::{self, Body};
use crate::runtime::host_call::with_timeout;
use crate::runtime::task;
use crate::telemetry::counters::{self, Counter};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, Method, StatusCode};
use spin_sdk::wasip3::http::{client, types};
use std::time::{Duration, Instant};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest answer that is read from a peer, in bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// A call of a peer.
pub struct Call<'a> {
    /// Peer and operation for metrics and logs, as `seating.reserve`.
    pub name: &'static str,
    /// The peer's base URL.
    pub base: &'a BaseUrl,
    /// The path below it.
    pub path: String,
    /// A JSON body makes it a POST.
    pub body: Option<String>,
    /// The idempotency key, sent as `Idempotency-Key`.
    pub key: Option<String>,
    /// The timeout for the whole answer, in milliseconds.
    pub deadline_ms: u64,
}

/// A peer's answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// `Retry-After` of an error response, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// The outcome of a call. A peer's own refusals are part of `T`.
#[derive(Debug)]
pub enum Outcome<T> {
    /// The peer answered, and the answer makes sense.
    Answered(T),
    /// No answer in time, or an unusable one: the call's effect is unknown.
    NoAnswer(CallFailure),
}

/// Why there is no answer.
#[derive(Debug)]
pub struct CallFailure {
    /// For logs and the journal.
    pub reason: String,
    /// In flight: the request was sent without an answer and may still take effect, because of a timeout, a broken connection, or
    /// a gateway that lost its upstream.
    pub may_land: bool,
}

impl From<String> for CallFailure {
    /// The peer's answer is unusable; nothing is in flight.
    fn from(reason: String) -> Self {
        Self { reason, may_land: false }
    }
}

impl CallFailure {
    fn unanswered(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), may_land: true }
    }

    /// A failure that the host reports for a request.
    fn of(code: &types::ErrorCode) -> Self {
        use types::ErrorCode::{ConnectionRefused, DnsError, HttpRequestDenied};
        let sent = !matches!(code, ConnectionRefused | DnsError(_) | HttpRequestDenied);
        Self { reason: format!("{code:?}"), may_land: sent }
    }
}

/// Sends a call and waits for the whole answer with a timeout. The host has timeouts of its own that end the call by then, so that
/// nothing reaches the peer later; the rest of the call ends in a background task.
///
/// # Errors
/// Why there is no answer. It says nothing about the call's effect.
pub async fn send(call: Call<'_>) -> Result<Answer, CallFailure> {
    let name = call.name;
    let deadline = Duration::from_millis(call.deadline_ms);
    let result = with_timeout(deadline, exchange(Prepared::of(call))).await.unwrap_or_else(|| {
        Err(CallFailure::unanswered(format!("no answer within {} ms", deadline.as_millis())))
    });
    let class = result.as_ref().ok().map(|answer| answer.status.into());
    counters::add(Counter::PeerCall { call: name, class }, 1.0);
    result.map_err(|failure| CallFailure { reason: format!("{name}: {}", failure.reason), ..failure })
}

/// A call that owns its data, because it may outlive the request that waits for it.
struct Prepared {
    scheme: types::Scheme,
    authority: String,
    path: String,
    body: Vec<u8>,
    key: Option<String>,
    /// When the caller times out.
    deadline: Instant,
}

/// The host's timeouts end so much before the deadline, so that nothing reaches the peer after it.
const MARGIN: Duration = Duration::from_millis(50);

impl Prepared {
    fn of(call: Call<'_>) -> Self {
        Self {
            scheme: if call.base.is_https { types::Scheme::Https } else { types::Scheme::Http },
            authority: call.base.authority.clone(),
            path: format!("{}{}", call.base.path, call.path),
            body: call.body.unwrap_or_default().into_bytes(),
            key: call.key,
            deadline: task::now() + Duration::from_millis(call.deadline_ms),
        }
    }
}

async fn exchange(call: Prepared) -> Result<Answer, CallFailure> {
    let is_post = !call.body.is_empty();
    let length = call.body.len().to_string();
    let mut headers = vec![(ACCEPT, "application/json"), (USER_AGENT, "order-service")];
    if is_post {
        headers.extend([(CONTENT_TYPE, "application/json"), (CONTENT_LENGTH, &length)]);
    }
    if let Some(key) = &call.key {
        headers.push((IDEMPOTENCY_KEY, key));
    }

    let ((contents, trailers), write) = body::outgoing(call.body);
    write.start().await;
    let time_left = call.deadline.saturating_duration_since(task::now()).saturating_sub(MARGIN);
    if time_left.is_zero() {
        return Err("not sent, because the instance had no time for it".to_owned().into());
    }
    let options = Some(host_limits(time_left));
    let (request, _sent) = types::Request::new(body::fields(&headers), contents, trailers, options);
    let method = if is_post { Method::POST } else { Method::GET };
    request.set_method(&method.into()).map_err(|()| "bad method".to_owned())?;
    request.set_scheme(Some(&call.scheme)).map_err(|()| "bad scheme".to_owned())?;
    request.set_authority(Some(&call.authority)).map_err(|()| "bad authority".to_owned())?;
    request.set_path_with_query(Some(&call.path)).map_err(|()| "bad path".to_owned())?;

    let response = client::send(request).await.map_err(|code| CallFailure::of(&code))?;

    let status = StatusCode::from_u16(response.get_status_code())
        .map_err(|_| "a status code outside of 100 to 999".to_owned())?;
    // Only an error response says when to retry.
    let is_error = status.is_client_error() || status.is_server_error();
    let retry_after_seconds = if is_error { retry_after(&response.get_headers()) } else { None };
    let consume = |result| types::Response::consume_body(response, result);
    match body::receive(consume, ANSWER_LIMIT, 0).await {
        Ok(Body::Whole(body)) => Ok(Answer { status, retry_after_seconds, body }),
        Ok(Body::TooLarge) => {
            Err(format!("status {} with more than {ANSWER_LIMIT} bytes", status.as_u16()).into())
        }
        Err(code) => {
            Err(CallFailure::unanswered(format!("status {}, body broken off: {code:?}", status.as_u16())))
        }
    }
}

/// The host's timeouts for a request: to connect, until the first byte of the answer, and between two of its bytes.
fn host_limits(limit: Duration) -> types::RequestOptions {
    let options = types::RequestOptions::new();
    let nanoseconds = u64::try_from(limit.as_nanos()).ok();
    // A host may not support one of them; the caller's own timeout applies all the same.
    let _ = options.set_connect_timeout(nanoseconds);
    let _ = options.set_first_byte_timeout(nanoseconds);
    let _ = options.set_between_bytes_timeout(nanoseconds);
    options
}

fn retry_after(headers: &types::Headers) -> Option<u64> {
    std::str::from_utf8(headers.get(RETRY_AFTER.as_str()).first()?).ok()?.trim().parse().ok()
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
                self.status.as_u16()
            )
        })
    }

    /// The outcome of an answer with an unexpected status.
    pub fn unusable<T>(&self, name: &str) -> Outcome<T> {
        let reason = format!("{name}: status {}", self.status.as_u16());
        let may_land = matches!(self.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
        Outcome::NoAnswer(CallFailure { reason, may_land })
    }
}
