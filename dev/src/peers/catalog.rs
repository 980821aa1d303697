//! Catalog: what events there are.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::contract::shapes;
use super::state::State;

/// An event, as far as it differs from the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    pub id: i64,
    pub title: String,
    /// `ON_SALE`, `SOLD_OUT`, `CANCELLED`, or whatever a test wants to see answered.
    pub status: String,
}

impl Event {
    pub fn new(id: i64, title: &str, status: &str) -> Event {
        Event { id, title: title.to_owned(), status: status.to_owned() }
    }
}

/// `GET /v1/events/{id}`
pub(super) fn event(state: &State, id: &str) -> Answer {
    let Ok(id) = id.parse::<i64>() else {
        return Answer::error(400, "invalid event id");
    };
    let Some(event) = state.events.get(&id) else {
        return not_found();
    };
    Answer::json(200, &shapes::event(event.id, &event.title, &event.status))
}

/// What Catalog says of an event that it does not have.
pub(super) fn not_found() -> Answer {
    Answer::error(404, "not found")
}
