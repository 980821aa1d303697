//! Polling with a deadline, instead of sleeping for a fixed time.

use std::time::{Duration, Instant};

/// Timeout of a poll, far longer than anything takes: it only ends a test that hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// Polls until there is a value; panics at the deadline.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let poll_deadline = PollDeadline::until(what);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        poll_deadline.wait().await;
    }
}

/// The deadline and interval of [`eventually`], for a loop that is written out.
pub struct PollDeadline<'a> {
    what: &'a str,
    deadline: Instant,
}

impl<'a> PollDeadline<'a> {
    /// Starts the timeout; `what` is named in the panic.
    pub fn until(what: &'a str) -> PollDeadline<'a> {
        PollDeadline { what, deadline: Instant::now() + LIMIT }
    }

    /// Sleeps for one poll interval; panics at the deadline.
    pub async fn wait(&self) {
        assert!(Instant::now() < self.deadline, "this never came to be: {}", self.what);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
