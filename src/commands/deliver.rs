//! Delivers outbox messages to Notification, at least once each, with back-off and dead letters.

use super::Context;
use crate::db::outbox;
use crate::domain::message::Message;
use crate::domain::retry;
use crate::peers::notification;
use crate::runtime::random::random;
use serde_json::json;

/// Delivers the messages that the context's transitions have stored; the context has their lease.
pub async fn deliver_all(context: &Context) {
    let messages = context.messages.take();
    futures::future::join_all(messages.iter().map(|message| deliver(context, message))).await;
}

/// Delivers one message. After a failure it stays in the outbox and is due again after an exponential back-off or `Retry-After`,
/// whichever is longer (`Retry-After` counts up to ten minutes); after the last attempt, or when Notification refuses the message
/// itself, it is a dead letter. Failures are logged.
pub async fn deliver(context: &Context, message: &Message) {
    let log = context.log.order(message.order_id);
    let stored = match notification::notify(&context.config, message).await {
        Ok(()) => outbox::delete_delivered(&context.config, message.id).await,
        Err(not_delivered) => {
            let attempts = message.attempts.max(1);
            let is_tried_again = attempts < retry::MESSAGE_MAX_ATTEMPTS && !not_delivered.is_final;
            let delay = is_tried_again.then(|| {
                let backoff = retry::backoff_ms(attempts, retry::MESSAGE_BACKOFF_CAP_MS, random::<1>()[0]);
                backoff.max(not_delivered.failure.retry_after_ms().unwrap_or(0))
            });
            let fields = json!({ "message_id": message.id, "kind": message.kind, "attempts": attempts, "cause": not_delivered.failure.reason, "delay_ms": delay });
            match delay {
                Some(_) => log.warn("a message was not taken", fields),
                None => log.error("a message is a dead letter", fields),
            }
            outbox::postpone(&context.config, message.id, &not_delivered.failure.reason, delay).await
        }
    };
    if let Err(error) = stored {
        log.warn(
            "a message's outcome was not stored; it will be sent again",
            json!({ "cause": error.to_string() }),
        );
    }
}
