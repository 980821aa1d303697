//! What the instance's statements have told of the database a moment ago.

use crate::runtime::task;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// While statements succeed, a timed-out open says nothing about the database: the last success counts for so long.
const RECENTLY: Duration = Duration::from_secs(1);
/// For how long it is remembered that no server takes writes.
const READ_ONLY_REMEMBERED: Duration = Duration::from_secs(1);

thread_local! {
    /// When a new session was found read-only.
    static READ_ONLY_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// When the last statement that succeeded began.
    static LAST_SUCCESS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Notes that a statement has succeeded, which began at this time.
pub fn note_success(begun: Instant) {
    LAST_SUCCESS.set(Some(begun));
}

/// Whether a statement of this instance has succeeded within the last second.
pub fn has_just_succeeded() -> bool {
    LAST_SUCCESS.get().is_some_and(|at| task::now().saturating_duration_since(at) < RECENTLY)
}

/// Notes that a new session, too, is read-only.
pub fn note_read_only() {
    READ_ONLY_SINCE.set(Some(task::now()));
}

/// Notes that a statement which a read-only server had not answered for good has succeeded on another session.
pub fn forget_read_only() {
    READ_ONLY_SINCE.set(None);
}

/// Whether every server was read-only a moment ago.
pub fn is_read_only() -> bool {
    READ_ONLY_SINCE.get().is_some_and(|at| task::now().saturating_duration_since(at) < READ_ONLY_REMEMBERED)
}
