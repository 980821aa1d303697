//! Notification: takes every message.

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::contract::errors;
use super::state::State;

/// `POST /v1/notify`
pub(super) fn notify(state: &mut State, call: &Call) -> Answer {
    let Some(message) = call.json::<Value>().filter(Value::is_object) else {
        return errors::catalog(400, "the message must be a JSON object");
    };
    if state.notifications.len() >= state.remember {
        state.notifications.pop_front();
    }
    state.notifications.push_back(message);
    Answer::json(202, &serde_json::json!({ "accepted": true }))
}
