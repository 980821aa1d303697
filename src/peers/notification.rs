//! Notification: sends messages to the buyer. It may be slow or down for hours, and nothing waits for it.

use super::{Call, send};
use crate::config::Config;
use crate::domain::message::Message;
use crate::domain::retry;

/// Why a message was not delivered.
pub struct NotDelivered {
    /// For logs and the outbox row.
    pub reason: String,
    /// `Retry-After`, in seconds.
    pub retry_after_seconds: Option<u64>,
}

/// Delivers a message. Its id is the `Idempotency-Key`, the same at every attempt.
///
/// # Errors
/// [`NotDelivered`] unless Notification answers 2xx.
pub async fn notify(config: &Config, message: &Message) -> Result<(), NotDelivered> {
    let call = Call {
        name: "notification.notify",
        base: &config.notification,
        path: "/v1/notify".into(),
        body: Some(message.payload.clone()),
        key: Some(message.id.to_string()),
        deadline_ms: retry::NOTIFICATION_DEADLINE_MS,
    };
    match send(call).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(NotDelivered {
            reason: format!("notification.notify: status {}", answer.status.as_u16()),
            retry_after_seconds: answer.retry_after_seconds,
        }),
        Err(failure) => Err(NotDelivered { reason: failure.reason, retry_after_seconds: None }),
    }
}
