//! Clients of the four peers (Catalog, Seating, Payment, Notification), of User, and of the issuer of tokens ([`key_set`]), each with its deadlines and its JSON as it really is.
//!
//! An answer counts, as a success or as a refusal, only if that call documents its status and it has the peer's own shape: each
//! peer's file says which, call by call, and `refusal.rs` knows the shapes of errors. Everything else comes from something in front
//! of the peer, such as an ingress or a proxy, and is no answer.

mod attempt_span;
pub mod catalog;
pub mod collector;
pub mod event_sink;
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
pub mod key_set;
pub mod lenient;
pub mod notification;
pub mod payment;
mod refusal;
mod retry_after;
pub mod seating;
mod send;
pub mod user;

use crate::config::BaseUrl;
use http::StatusCode;
use lenient::Object;
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;

/// The names of all calls, for metrics that begin at zero.
pub const CALLS: [&str; 16] = [
    "catalog.event",
    "seating.reserve",
    "seating.seat",
    "seating.allocate",
    "seating.of_order",
    "seating.release",
    "payment.charge",
    "payment.ask",
    "payment.refund",
    "notification.notify",
    "user.by_name",
    "issuer.keys",
    "collector.traces",
    "events.http",
    "events.kafka",
    "events.mqtt",
];

/// A call of a peer.
pub struct Call<'a> {
    /// Peer and operation for metrics and logs, as `seating.reserve`.
    pub name: &'static str,
    /// The peer's base URL.
    pub base: &'a BaseUrl,
    /// The path below it.
    pub path: String,
    /// A JSON body makes it a POST, which changes something at the peer; without one it is a GET.
    pub body: Option<String>,
    /// The idempotency key, sent as `Idempotency-Key`.
    pub key: Option<String>,
    /// The timeout for the whole answer, in milliseconds.
    pub deadline_ms: u64,
    /// Headers that few calls have.
    pub extra: Extra,
}

/// What few calls have: media types other than JSON's, and headers.
pub struct Extra {
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// `Accept`.
    pub accept: &'static str,
    /// Further headers.
    pub headers: Vec<(String, String)>,
}

impl Default for Extra {
    fn default() -> Self {
        Self { content_type: "application/json", accept: "application/json", headers: Vec::new() }
    }
}

/// Whatever was answered to a call, by the peer or by something in front of it.
#[derive(Debug)]
pub struct Answer<Body = String> {
    /// The call's name.
    pub name: &'static str,
    /// Whether the call changes something at the peer.
    pub is_change: bool,
    /// The status code.
    pub status: StatusCode,
    /// `Retry-After` of an error response.
    pub retry_after: Option<Duration>,
    /// The body; as text without a byte order mark.
    pub body: Body,
}

/// The outcome of a call. A peer's own refusals are part of `T`.
#[derive(Debug)]
pub enum Outcome<T> {
    /// The peer answered, and the answer makes sense.
    Answered(T),
    /// No answer in time, or one that does not count: the call's effect is unknown.
    NoAnswer(CallFailure),
}

impl<T> From<Result<T, CallFailure>> for Outcome<T> {
    fn from(result: Result<T, CallFailure>) -> Self {
        result.map_or_else(Self::NoAnswer, Self::Answered)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct CallFailure {
    /// For logs and the journal.
    pub reason: String,
    /// In flight: the call changes something and may still take effect. False for a call that only reads, and for one that was
    /// surely not sent: the connection was refused, or the peer's name has no address.
    pub may_land: bool,
    /// The status of an answer that does not count; none when nothing was answered.
    pub status: Option<StatusCode>,
    /// `Retry-After` of that answer, at most ten minutes.
    pub retry_after: Option<Duration>,
}

impl From<String> for CallFailure {
    /// The call was not made, or its effect does not matter: nothing is in flight.
    fn from(reason: String) -> Self {
        Self { reason, may_land: false, status: None, retry_after: None }
    }
}

impl CallFailure {
    /// `Retry-After` of the answer, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok())
    }
}

impl Answer {
    /// The body as a JSON object.
    ///
    /// # Errors
    /// The answer does not count.
    pub fn object(&self) -> Result<Object<'_>, CallFailure> {
        self.parse("not a JSON object")
    }

    /// The body as a JSON list.
    ///
    /// # Errors
    /// The answer does not count.
    pub fn list(&self) -> Result<Vec<&RawValue>, CallFailure> {
        self.parse("not a JSON list")
    }

    fn parse<'a, T: serde::Deserialize<'a>>(&'a self, expected: &str) -> Result<T, CallFailure> {
        serde_json::from_str(&self.body).map_err(|_| self.does_not_count(expected))
    }

    /// Whether there is no body.
    pub fn is_empty(&self) -> bool {
        self.body.trim_ascii().is_empty()
    }

    /// The failure of a call whose answer does not count. `why` must not show the body.
    pub fn does_not_count(&self, why: impl fmt::Display) -> CallFailure {
        CallFailure {
            reason: format!("{}: status {}, {why}", self.name, self.status.as_u16()),
            may_land: self.is_change,
            status: Some(self.status),
            retry_after: self.retry_after,
        }
    }

    /// The failure of a call whose answer has a status that the call does not document, or one in another shape than the peer's own.
    pub fn not_the_peers(&self) -> CallFailure {
        self.does_not_count("which the call does not document in this shape")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to a call that changes something.
    pub fn answer(status: u16, body: &str) -> Answer {
        answer_with(status, body.to_owned())
    }

    /// The same, with a body of any kind.
    pub fn answer_with<Body>(status: u16, body: Body) -> Answer<Body> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { name: "peer.call", is_change: true, status, retry_after: None, body }
    }

    /// An answer to a call that only reads.
    pub fn question(status: u16, body: &str) -> Answer {
        Answer { is_change: false, ..answer(status, body) }
    }

    pub use crate::peers::fuzz::order;

    #[test]
    fn a_failure_keeps_what_the_answer_tells_and_not_its_body() {
        let busy = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(503, "<html>secret</html>") };
        let failure = busy.not_the_peers();
        assert!(failure.may_land);
        assert_eq!(failure.status, Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        assert!(failure.reason.starts_with("peer.call: status 503") && !failure.reason.contains("secret"));
        assert!(!question(503, "").not_the_peers().may_land);
    }
}
