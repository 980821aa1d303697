//! Yielding: when the executor inside the component gives control back to the host.
//!
//! Two things about it cost time, and both are avoided here: that the executor yields after each event ([`IdleTask`]), and that
//! the host looks for a body before it has taken it from us ([`yield_to_host`]).

use futures::future::{AbortHandle, abortable, pending};

/// A task beside the request's own that only waits.
///
/// The executor (`FuturesUnordered`) yields when it has polled as many tasks as it has, lest they starve the others. A task
/// that is alone is all that there are, so that the host would have to enter the component twice for every event.
pub struct IdleTask(AbortHandle);

impl IdleTask {
    /// Spawns one.
    pub fn spawn() -> Self {
        let (waits, end) = abortable(pending::<()>());
        wit_bindgen::spawn(async move {
            let _ = waits.await;
        });
        Self(end)
    }

    /// Ends it. Not done when this is dropped: that happens also while the host cancels the request's task, and then nobody
    /// may be woken.
    pub fn end(self) {
        self.0.abort();
    }
}

/// Yields until the host has done what else it has to.
///
/// The host's tasks wake each other, and after a few in a row the host lets another thread have whoever is woken next. If
/// that is the connection to which we hand a message over, it looks for the body at once, which is before the host has taken
/// it from us; head and body then leave in two packets (see [`super::body`]). After a yield we are the first in the row,
/// unless something has happened meanwhile that the executor lets us know of at once.
pub async fn yield_to_host() {
    // Twice, because the executor polls a task that wakes itself once more before it yields, unless it is alone.
    for _ in 0..2 {
        wit_bindgen::yield_async().await;
    }
}
