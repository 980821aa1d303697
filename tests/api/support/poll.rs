//! Waiting without sleeping for a fixed time.

use std::time::{Duration, Instant};

/// Far longer than anything here takes: it only ends a test that would never end.
const LIMIT: Duration = Duration::from_secs(90);

/// Looks again and again until there is something to see.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = Patience::until(what);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        patience.wait().await;
    }
}

/// The same for a loop that is written out.
pub struct Patience<'a> {
    what: &'a str,
    deadline: Instant,
}

impl<'a> Patience<'a> {
    /// Waits for this to happen.
    pub fn until(what: &'a str) -> Patience<'a> {
        Patience { what, deadline: Instant::now() + LIMIT }
    }

    /// A moment, until the next look.
    pub async fn wait(&self) {
        assert!(Instant::now() < self.deadline, "this never came to be: {}", self.what);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
