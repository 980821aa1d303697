//! Fault rules: which calls match, and what is injected.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gateway::{Page, RetryAfter};
use crate::peers::call::{Call, Matching};
use crate::peers::contract::{CallName, Peer};

/// What happens to the calls that a rule is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing happens, and this status is answered; with this body, or a short error.
    Fail {
        /// The HTTP status.
        status: u16,
        /// The body, as it is; `None`: a short JSON error.
        #[serde(default)]
        body: Option<String>,
    },
    /// The call works, but takes longer.
    Stall {
        /// By how many milliseconds.
        ms: u64,
        /// Whether the effect happens before the wait or after it.
        #[serde(default)]
        effect: Moment,
    },
    /// The call works, and the head of its answer comes at once, but the body so much later. An answer without one gets one.
    StallBody {
        /// By how many milliseconds.
        ms: u64,
    },
    /// The call works, but the connection is closed instead of answering.
    LoseAnswer,
    /// Nothing happens, and the connection is closed.
    LoseRequest,
    /// Something else is answered than the peer would.
    Garbage {
        /// The body, as it is.
        body: String,
        /// Its media type.
        #[serde(default = "json_type")]
        content_type: String,
        /// The HTTP status.
        #[serde(default = "ok")]
        status: u16,
        /// Whether the call does its work all the same.
        #[serde(default)]
        effect: bool,
    },
    /// The peer says no for reasons of its own: reserve and allocate 409, charge declined, refund 400, the others as
    /// if they did not know what is asked for.
    Refuse,
    /// The call works, and a JSON Merge Patch is applied to what it answers. To change elements of an array, give an
    /// object with their indexes: `{"reservedSeats": {"0": {"price": -5}, "1": null}}`.
    Patch(Value),
    /// The call works, and its answer is written in another way.
    Rewrite {
        /// The HTTP status; `None`: as it is.
        #[serde(default)]
        status: Option<u16>,
        /// As in [`Action::Patch`], after the members were spelled.
        #[serde(default)]
        patch: Option<Value>,
        /// Every member in camel case and in snake case.
        #[serde(default)]
        both_spellings: bool,
        /// A byte order mark before the body.
        #[serde(default)]
        byte_order_mark: bool,
    },
    /// Something in front of the peer answers for it.
    Gateway {
        /// The HTTP status.
        status: u16,
        /// The body.
        #[serde(default)]
        page: Page,
        /// When the call does its work all the same: 0: before the answer; else so many milliseconds after it; `None`: never.
        #[serde(default)]
        effect_ms: Option<u64>,
    },
    /// The connection is closed when a call comes on it that is not its first; nothing happens. Other calls pass.
    BreakKept,
    /// 500 for a charge while another under the same key is under way; nothing happens. Other calls pass.
    KeyInUse,
}

impl Action {
    /// Nothing happens, and a gateway answers.
    pub fn gateway(status: u16, page: Page) -> Action {
        Action::Gateway { status, page, effect_ms: None }
    }

    /// A gateway answers, and the call does its work so many milliseconds later.
    pub fn late_effect(status: u16, page: Page, ms: u64) -> Action {
        Action::Gateway { status, page, effect_ms: Some(ms) }
    }

    /// Whether it can happen to this call.
    pub(super) fn is_possible(&self, call: &Call) -> bool {
        match self {
            Action::BreakKept => call.on_kept_connection,
            Action::KeyInUse => call.key_in_use,
            _ => true,
        }
    }
}

/// When a stalled call has its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Moment {
    #[default]
    Before,
    After,
}

/// A fault rule: the action is injected into the calls that match. Rules are tried in the order in which they were added,
/// and at most one applies to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRule {
    /// The service; `None`: any.
    #[serde(default)]
    pub peer: Option<Peer>,
    /// The operation; `None`: any.
    #[serde(default, with = "star")]
    pub call: Option<CallName>,
    /// Only calls about this order, seat, user.
    #[serde(flatten)]
    pub only: Matching,
    /// Maximum number of hits; `None`: unlimited, until the rule is removed.
    #[serde(default = "once")]
    pub times: Option<u64>,
    /// Number of matching calls that pass before the first hit.
    #[serde(default)]
    pub after: u64,
    /// A `Retry-After` header of what is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<RetryAfter>,
    /// What happens.
    pub action: Action,
}

impl FaultRule {
    /// The next call of this operation.
    pub fn on(call: CallName, action: Action) -> FaultRule {
        FaultRule {
            peer: None,
            call: Some(call),
            only: Matching::default(),
            times: Some(1),
            after: 0,
            retry_after: None,
            action,
        }
    }

    /// The next call of this peer.
    pub fn on_any(peer: Peer, action: Action) -> FaultRule {
        FaultRule { peer: Some(peer), call: None, ..FaultRule::on(CallName::Unknown, action) }
    }

    /// The next `times` calls.
    pub fn times(self, times: u64) -> FaultRule {
        FaultRule { times: Some(times), ..self }
    }

    /// All calls, until the rule is removed.
    pub fn always(self) -> FaultRule {
        FaultRule { times: None, ..self }
    }

    /// Lets `after` calls pass first.
    pub fn after(self, after: u64) -> FaultRule {
        FaultRule { after, ..self }
    }

    /// With a `Retry-After` header.
    pub fn retry_after(self, retry_after: RetryAfter) -> FaultRule {
        FaultRule { retry_after: Some(retry_after), ..self }
    }

    /// Only calls about this order.
    pub fn order(mut self, id: impl ToString) -> FaultRule {
        self.only.order_id = Some(id.to_string());
        self
    }

    /// Only calls about this seat, or about an order that asked for it.
    pub fn seat(mut self, id: i64) -> FaultRule {
        self.only.seat_id = Some(id);
        self
    }

    /// Only calls about this user's orders.
    pub fn user(mut self, id: i64) -> FaultRule {
        self.only.user_id = Some(id);
        self
    }
}

fn once() -> Option<u64> {
    Some(1)
}

fn ok() -> u16 {
    200
}

fn json_type() -> String {
    "application/json".into()
}

/// In JSON "any call" is `"*"`.
mod star {
    use serde::de::IntoDeserializer;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::CallName;

    pub fn serialize<S: Serializer>(call: &Option<CallName>, serializer: S) -> Result<S::Ok, S::Error> {
        match call {
            Some(call) => call.serialize(serializer),
            None => "*".serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CallName>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "*" {
            Ok(None)
        } else {
            CallName::deserialize(text.as_str().into_deserializer()).map(Some)
        }
    }
}
