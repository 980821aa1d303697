//! Yields: when the executor inside the component returns control to the host.
//!
//! Two things cost time, and both are avoided here: the executor yields after each event ([`IdleTask`]), and the host looks for a
//! message's body before it has taken it from the component ([`yield_to_host`]).

use futures::future::{AbortHandle, abortable, pending};

/// An idle task beside the request's own, which saves a yield for every event.
///
/// The executor (`FuturesUnordered`) yields when it has polled as many tasks as it has, so that they do not starve other work. With
/// one task it would yield after each poll, and the host would have to enter the component twice for every event.
pub struct IdleTask(AbortHandle);

impl IdleTask {
    /// Spawns it.
    pub fn spawn() -> Self {
        let (waits, end) = abortable(pending::<()>());
        wit_bindgen::spawn(async move {
            let _ = waits.await;
        });
        Self(end)
    }

    /// Ends it. Not done on drop: the host drops it also when it cancels the request's task, and then waking a task is not allowed.
    pub fn end(self) {
        self.0.abort();
    }
}

/// Yields to the host until its own tasks have run.
///
/// The host's tasks wake each other, and after a few in a row the host's scheduler moves the next woken task to another thread. If
/// that is the connection which gets our message, it looks for the body at once, before the host has taken it from the component;
/// head and body then leave in two packets (see [`super::body`]). After a yield our task is the first in the row, unless an event
/// has come meanwhile that the executor delivers at once.
pub async fn yield_to_host() {
    // Twice, because the executor polls a task that wakes itself once more before it yields, unless it is alone.
    for _ in 0..2 {
        wit_bindgen::yield_async().await;
    }
}
