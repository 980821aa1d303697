//! Calls of the host with a limit, and what becomes of those that nobody waits for any more.
//!
//! To drop a call is a synchronous `subtask.cancel` or `stream.cancel-read`: it suspends a fiber of the host's until the host has
//! let go. The host has as many fibers as instances, so that an instance traps, with every request in it, when many calls are
//! dropped at a time. So calls that end by themselves soon are left to do so, and what must be cancelled is cancelled in turn,
//! one at a time in each instance.

use super::deadline::timeout;
use super::random::random;
use super::task;
use super::wakeup::Notify;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// Calls that are left end by themselves, by limits of the host's. Those that do not, such as the log-in at a server that is
/// frozen, would keep the instance for ever, and a place in the host's pool of connections.
const LEFT_LIMIT: Duration = Duration::from_secs(1);
/// At most so much longer, at random: what was left together in many instances is not cancelled together.
const LEFT_JITTER: Duration = Duration::from_secs(1);

thread_local! {
    static IS_CANCELLING: Cell<bool> = const { Cell::new(false) };
    static CANCELLED: Rc<Notify> = Rc::default();
}

/// Waits for a call of the host, for at most `limit`. `None`: the time is over, and the call is left to end in a background
/// task, because to drop it is a synchronous cancel, which costs a fiber of the host's.
pub async fn within<T: 'static>(limit: Duration, call: impl Future<Output = T> + 'static) -> Option<T> {
    let mut call = Box::pin(call);
    let result = timeout(limit, call.as_mut()).await;
    if result.is_none() {
        task::spawn(leave(call));
    }
    result
}

/// Waits for the end of a call whose result nobody wants; cancels it when it does not come.
pub async fn leave<F: Future>(mut call: Pin<Box<F>>) {
    let limit = LEFT_LIMIT + LEFT_JITTER * u32::from(random::<1>()[0]) / 256;
    if timeout(limit, call.as_mut()).await.is_none() {
        cancel(call).await;
    }
}

/// Drops what is under way at the host, when it is its turn. In the request of which it is part: the host knows whose it is.
pub async fn cancel(call: impl Sized) {
    while IS_CANCELLING.replace(true) {
        let cancelled = CANCELLED.with(Rc::clone);
        cancelled.notified().await;
    }
    drop(call);
    IS_CANCELLING.set(false);
    CANCELLED.with(|cancelled| cancelled.notify_waiters());
}
