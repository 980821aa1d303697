//! How the executor inside the component and the host outside of it take turns.
//!
//! Two things about them cost time, and both are avoided here: that the executor asks for a second turn after each event
//! ([`keep_company`]), and that the host looks for a body before it has taken it from us ([`take_turns`]).

use futures::future::{AbortHandle, abortable, pending};
use spin_sdk::wasip3::{self, wit_bindgen};

/// A task beside the request's own, which has to be told when it is over.
pub struct Company(AbortHandle);

impl Company {
    /// Ends it. Not done when this is dropped: that happens also while the host cancels the request's task, and then nobody
    /// may be woken.
    pub fn end(self) {
        self.0.abort();
    }
}

/// Gives the request's task the company of one that only waits.
///
/// The executor (`FuturesUnordered`) yields when it has polled as many tasks as it has, lest they starve the others. A task
/// that is alone is all that there are, so that the host would have to wake the component twice for every event.
pub fn keep_company() -> Company {
    let (waits, end) = abortable(pending::<()>());
    wasip3::spawn(async move {
        let _ = waits.await;
    });
    Company(end)
}

/// Lets the host do what else it has to before we go on.
///
/// The host's tasks wake each other, and after a few in a row the host lets another thread have whoever is woken next. If
/// that is the connection to which we hand a message over, it looks for the body at once, which is before the host has taken
/// it from us; head and body then leave in two packets (see [`crate::wire`]). After a turn of the host's we are the first in
/// the row, unless something has happened meanwhile that the executor lets us know of at once.
pub async fn take_turns() {
    // Twice, because the executor polls a task that wakes itself once more before it yields, unless it is alone.
    for _ in 0..2 {
        wit_bindgen::yield_async().await;
    }
}
