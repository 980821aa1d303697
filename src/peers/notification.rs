//! Notification: sends messages to the buyer. It may be slow or down for hours, and nothing waits for it.

use super::send::send;
use super::{Call, CallFailure};
use crate::config::Config;
use crate::domain::message::Message;
use crate::domain::retry;

/// Delivers a message. Its id is the `Idempotency-Key`, the same at every attempt.
///
/// # Errors
/// [`CallFailure`] unless the answer is 2xx, whatever its body.
pub async fn notify(config: &Config, message: &Message) -> Result<(), CallFailure> {
    let call = Call {
        name: "notification.notify",
        base: &config.notification,
        path: "/v1/notify".into(),
        body: Some(message.payload.clone()),
        key: Some(message.id.to_string()),
        deadline_ms: retry::NOTIFICATION_DEADLINE_MS,
    };
    let answer = send(call).await?;
    if answer.status.is_success() { Ok(()) } else { Err(answer.does_not_count("which is not 2xx")) }
}
