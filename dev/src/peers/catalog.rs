//! Catalog: what events there are.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::contract::{errors, shapes};
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
    let digits = id.strip_prefix('-').unwrap_or(id);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return errors::catalog(400, "invalid event id");
    }
    // The column is an INT: what is beyond it is the database's error.
    let Ok(id) = id.parse::<i32>().map(i64::from) else {
        return errors::catalog(500, "internal server error");
    };
    let Some(event) = state.events.get(&id) else {
        return not_found();
    };
    Answer::json(200, &shapes::event(event.id, &event.title, &event.status))
}

/// What Catalog says of an event that it does not have.
pub(super) fn not_found() -> Answer {
    errors::catalog(404, "not found")
}
