//! Notification: sends messages to the buyer. It may be slow or down for hours, and nothing waits for it.

use super::send::send;
use super::{Call, CallFailure, Extra};
use crate::config::Config;
use crate::domain::message::Message;
use crate::domain::retry;
use http::StatusCode;
use serde::de::IgnoredAny;

/// Why a message was not delivered.
pub struct NotDelivered {
    /// The failure of the call.
    pub failure: CallFailure,
    /// Notification itself refuses the message, and will refuse it again.
    pub is_final: bool,
}

impl NotDelivered {
    fn retryable(failure: CallFailure) -> Self {
        Self { failure, is_final: false }
    }
}

/// Delivers a message. Its id is the `Idempotency-Key`, the same at every attempt.
///
/// # Errors
/// [`NotDelivered`] unless the answer is 2xx, whatever its body.
pub async fn notify(config: &Config, message: &Message) -> Result<(), NotDelivered> {
    let call = Call {
        name: "notification.notify",
        base: &config.notification,
        path: "/v1/notify".into(),
        body: Some(message.payload.clone()),
        key: Some(message.id.to_string()),
        deadline_ms: retry::NOTIFICATION_DEADLINE_MS,
        extra: Extra::default(),
    };
    let answer = send(call).await.map_err(NotDelivered::retryable)?;
    if answer.status.is_success() {
        return Ok(());
    }
    let is_final = refuses_message(answer.status, &answer.body);
    Err(NotDelivered { failure: answer.does_not_count("which is not 2xx"), is_final })
}

/// Whether an answer is about the message itself: 400, 413 or 422 with a JSON text of any kind, which may be a mere string or number.
/// A gateway's page is not, nor is any other client error, such as 401, 404 or 429: those end when somebody mends Notification's
/// address, key or limits.
pub(super) fn refuses_message(status: StatusCode, body: &str) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    ) && serde_json::from_str::<IgnoredAny>(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_notifications_own_refusal_of_a_message_is_final() {
        let check = |status: u16, body: &str| refuses_message(StatusCode::from_u16(status).unwrap(), body);
        for status in [400, 413, 422] {
            assert!(check(status, r#"{"message":["seats must not be empty"]}"#), "{status}");
            for body in
                ["[]", "{}", r#"["seats must not be empty"]"#, " {\"a\":1e999}\n", r#"{"a":"\ud800"}"#]
            {
                assert!(check(status, body), "{status} {body}");
            }
            for scalar in [r#""bad""#, "400", " -1.5e3\n", "null", "true", "false"] {
                assert!(check(status, scalar), "{status} {scalar}");
            }
            for body in [
                "",
                " \n",
                "<html>Bad Request</html>",
                "Bad Request",
                "bad",
                "'bad'",
                "400 Bad Request",
                "NaN",
                "{\"message\":",
                "[1",
                "{} {}",
            ] {
                assert!(!check(status, body), "{status} {body}");
            }
        }
        for status in [401, 403, 404, 408, 409, 429, 500, 503] {
            assert!(!check(status, "{}"), "{status}");
        }
    }
}
