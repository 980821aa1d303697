//! Sends calls over HTTP.

use super::attempt_span::AttemptSpan;
use super::retry_after::retry_after;
use super::{Answer, Call, CallFailure, Extra};
use crate::config::BaseUrl;
use crate::runtime::body::{self, Body};
use crate::runtime::host_call::with_timeout;
use crate::runtime::task;
use crate::telemetry::counters;
use crate::telemetry::series::Series;
use crate::telemetry::tracing::current::Propagated;
use http::{Method, StatusCode};
use spin_sdk::wasip3::http::{client, types};
use std::time::{Duration, Instant};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest answer that is read from a peer, in bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// The host's timeouts end so much before the deadline, so that nothing reaches the peer after it.
const MARGIN: Duration = Duration::from_millis(50);

/// Sends a call and waits for the whole answer with a timeout. The host has timeouts of its own that end the call by then, so that
/// nothing reaches the peer later; the rest of the call ends in a background task.
///
/// # Errors
/// Why there is no answer. It says nothing about the call's effect.
pub async fn send(call: Call<'_>) -> Result<Answer, CallFailure> {
    let deadline = Duration::from_millis(call.deadline_ms);
    let Answer { name, is_change, status, retry_after, body } =
        exchange_within(deadline, Prepared::of(call)).await?;
    Ok(Answer { name, is_change, status, retry_after, body: without_mark(body) })
}

/// As [`send`], of what is prepared already, and with the body as it is.
///
/// # Errors
/// As [`send`].
pub async fn exchange_within(deadline: Duration, call: Prepared) -> Result<Answer<Vec<u8>>, CallFailure> {
    let (name, is_change, span) = (call.name, call.body.is_some(), call.span.clone());
    let begun = task::now();
    let result = with_timeout(deadline, exchange(call)).await.unwrap_or_else(|| {
        let broken = Broken::lost(format!("no answer within {} ms", deadline.as_millis()));
        let broken = Broken { error_type: "timeout", ..broken };
        span.end(Err(broken.error_type));
        Err(broken)
    });
    let class = result.as_ref().ok().map(|answer| answer.status.into());
    counters::observe(Series::PeerCall { call: name, class }, task::now().duration_since(begun));
    result.map_err(|Broken { reason, was_sent, .. }| CallFailure {
        may_land: was_sent && is_change,
        ..CallFailure::from(format!("{name}: {reason}"))
    })
}

/// A call that owns its data, because it may outlive the request that waits for it.
pub struct Prepared {
    /// See [`Call::name`].
    pub name: &'static str,
    /// Where it goes: only scheme and authority count.
    pub base: BaseUrl,
    /// The whole path.
    pub path: String,
    /// A POST has one.
    pub body: Option<Vec<u8>>,
    /// Media types, and further header fields.
    pub extra: Extra,
    /// When the caller times out.
    pub deadline: Instant,
    /// The span of the attempt that is under way.
    pub span: AttemptSpan,
}

impl Prepared {
    fn of(call: Call<'_>) -> Self {
        Self {
            name: call.name,
            base: call.base.clone(),
            path: format!("{}{}", call.base.path, call.path),
            body: call.body.map(String::into_bytes),
            extra: with_key(call.extra, call.key),
            deadline: task::now() + Duration::from_millis(call.deadline_ms),
            span: AttemptSpan::default(),
        }
    }

    fn method(&self) -> Method {
        if self.body.is_some() { Method::POST } else { Method::GET }
    }
}

/// The headers of a call, with its idempotency key.
fn with_key(mut extra: Extra, key: Option<String>) -> Extra {
    extra.headers.extend(key.map(|key| (IDEMPOTENCY_KEY.to_owned(), key)));
    extra
}

/// A request without a whole answer.
struct Broken {
    reason: String,
    /// What it is called in a span (`error.type`).
    error_type: &'static str,
    /// Whether the request may have reached the peer.
    was_sent: bool,
    /// Whether the connection ended before the answer did.
    connection_ended: bool,
}

impl Broken {
    fn not_sent(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { reason, error_type: "not_sent", was_sent: false, connection_ended: false }
    }

    fn lost(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { reason, error_type: "answer_unreadable", was_sent: true, connection_ended: false }
    }

    /// A failure that the host reports for a request.
    fn of(code: &types::ErrorCode) -> Self {
        use types::ErrorCode::{
            ConnectionReadTimeout, ConnectionRefused, ConnectionTerminated, ConnectionTimeout,
            ConnectionWriteTimeout, DestinationIpProhibited, DnsError, DnsTimeout, HttpProtocolError,
            HttpRequestDenied, HttpResponseIncomplete, HttpResponseTimeout, TlsAlertReceived,
            TlsCertificateError, TlsProtocolError,
        };
        Self {
            reason: format!("{code:?}"),
            error_type: match code {
                ConnectionRefused => "connection_refused",
                ConnectionTerminated | HttpProtocolError | HttpResponseIncomplete => "connection_ended",
                ConnectionTimeout | ConnectionReadTimeout | ConnectionWriteTimeout => "timeout",
                HttpResponseTimeout | DnsTimeout => "timeout",
                DnsError(_) => "dns_error",
                HttpRequestDenied | DestinationIpProhibited => "denied",
                TlsProtocolError | TlsCertificateError | TlsAlertReceived(_) => "tls_error",
                _ => "_OTHER",
            },
            was_sent: !matches!(code, ConnectionRefused | DnsError(_) | HttpRequestDenied),
            // Hosts report a connection that was closed or reset as one of these.
            connection_ended: matches!(
                code,
                ConnectionTerminated | HttpProtocolError | HttpResponseIncomplete
            ),
        }
    }
}

/// Sends a request, and repeats a GET once whose connection ended: the peer may have closed a kept connection as idle just when the
/// request left. A request that changes something is not repeated, because it may have been executed.
async fn exchange(call: Prepared) -> Result<Answer<Vec<u8>>, Broken> {
    match attempt(&call, 0).await {
        Err(broken) if broken.connection_ended && call.body.is_none() => {
            // No time for it: the first failure says more.
            let repeated = attempt(&call, 1).await;
            repeated.map_err(|again| if again.was_sent { again } else { broken })
        }
        result => result,
    }
}

/// One attempt, with a span of its own. `resends`: how many there were before.
async fn attempt(call: &Prepared, resends: u16) -> Result<Answer<Vec<u8>>, Broken> {
    let context = call.span.begin(call.name, &call.method(), &call.base, &call.path, resends);
    let result = transmit(call, context).await;
    call.span.end(result.as_ref().map(|answer| answer.status).map_err(|broken| broken.error_type));
    result
}

async fn transmit(call: &Prepared, context: Option<Propagated>) -> Result<Answer<Vec<u8>>, Broken> {
    let is_post = call.body.is_some();
    let body = call.body.clone().unwrap_or_default();
    let length = body.len().to_string();
    let mut headers: Vec<(&str, &str)> = vec![("accept", call.extra.accept), ("user-agent", "order-service")];
    if is_post {
        headers.extend([("content-type", call.extra.content_type), ("content-length", &length)]);
    }
    headers.extend(call.extra.headers.iter().map(|(name, value)| (&**name, &**value)));
    if let Some(Propagated { traceparent, tracestate }) = &context {
        headers.push(("traceparent", traceparent));
        if !tracestate.is_empty() {
            headers.push(("tracestate", tracestate));
        }
    }

    let ((contents, trailers), write) = body::outgoing(body);
    write.start().await;
    let time_left = call.deadline.saturating_duration_since(task::now()).saturating_sub(MARGIN);
    if time_left.is_zero() {
        return Err(Broken::not_sent("not sent, because the instance had no time for it"));
    }
    let options = Some(host_limits(time_left));
    let (request, _sent) = types::Request::new(body::fields(&headers), contents, trailers, options);
    let scheme = if call.base.is_https { types::Scheme::Https } else { types::Scheme::Http };
    request.set_method(&call.method().into()).map_err(|()| Broken::not_sent("bad method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| Broken::not_sent("bad scheme"))?;
    request.set_authority(Some(&call.base.authority)).map_err(|()| Broken::not_sent("bad authority"))?;
    request.set_path_with_query(Some(&call.path)).map_err(|()| Broken::not_sent("bad path"))?;

    let response = client::send(request).await.map_err(|code| Broken::of(&code))?;

    let status = StatusCode::from_u16(response.get_status_code())
        .map_err(|_| Broken::lost("a status code outside of 100 to 999"))?;
    // A success says nothing of when to retry.
    let headers = (!status.is_success()).then(|| response.get_headers());
    let retry_after = headers.and_then(|headers| {
        let header = |name: &str| String::from_utf8(headers.get(name).into_iter().next()?).ok();
        retry_after(&header("retry-after")?, header("date").as_deref())
    });
    let consume = |result| types::Response::consume_body(response, result);
    match body::receive(consume, ANSWER_LIMIT, 0).await {
        Ok(Body::Whole(body)) => {
            Ok(Answer { name: call.name, is_change: is_post, status, retry_after, body })
        }
        Ok(Body::TooLarge) => {
            Err(Broken::lost(format!("status {} with more than {ANSWER_LIMIT} bytes", status.as_u16())))
        }
        Err(code) => Err(Broken {
            connection_ended: true,
            ..Broken::lost(format!("status {}, body broken off: {code:?}", status.as_u16()))
        }),
    }
}

/// A body as text, without the byte order mark that some peers begin with. One bad byte in a name does not matter.
fn without_mark(body: Vec<u8>) -> String {
    let text = String::from_utf8(body)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_a_bad_byte_do_not_make_a_body_unreadable() {
        assert_eq!(without_mark(b"\xef\xbb\xbf{}".to_vec()), "{}");
        assert_eq!(without_mark(b"{\"a\":\"\xe9\"}".to_vec()), "{\"a\":\"\u{fffd}\"}");
        assert_eq!(without_mark(b"{}".to_vec()), "{}");
    }

    #[test]
    fn only_a_request_that_did_not_leave_is_sure_not_to_land() {
        use types::ErrorCode;
        for (code, was_sent, connection_ended) in [
            (ErrorCode::ConnectionRefused, false, false),
            (ErrorCode::HttpRequestDenied, false, false),
            (ErrorCode::ConnectionTerminated, true, true),
            (ErrorCode::HttpProtocolError, true, true),
            (ErrorCode::ConnectionReadTimeout, true, false),
            (ErrorCode::ConnectionTimeout, true, false),
            (ErrorCode::InternalError(None), true, false),
        ] {
            let broken = Broken::of(&code);
            assert_eq!((broken.was_sent, broken.connection_ended), (was_sent, connection_ended), "{code:?}");
        }
    }
}
