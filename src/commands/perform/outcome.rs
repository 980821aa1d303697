//! The outcome of an action at a peer.

use crate::domain::saga::Event;
use crate::peers::CallFailure;
use serde_json::{Value, json};

/// The outcome of an action.
pub struct ActionOutcome {
    /// The event for the saga.
    pub event: Event,
    /// Details for the journal and the log: reasons, no personal data.
    pub detail: Value,
    /// How long the peer asks to wait before the next attempt, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl From<Event> for ActionOutcome {
    fn from(event: Event) -> Self {
        Self { event, detail: json!({}), retry_after_ms: None }
    }
}

/// No answer, and no request is in flight.
pub fn no_answer(reason: impl Into<String>) -> ActionOutcome {
    unanswered(CallFailure::from(reason.into()))
}

/// No answer to a request that changes something at Seating, which may be in flight.
pub fn unanswered(failure: CallFailure) -> ActionOutcome {
    let retry_after_ms = failure.retry_after_ms();
    let CallFailure { reason, may_land, .. } = failure;
    ActionOutcome { event: Event::NoAnswer { may_land }, detail: json!({ "reason": reason }), retry_after_ms }
}
