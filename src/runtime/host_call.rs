//! Host calls with a timeout, and the cancellation of those that timed out.
//!
//! Dropping a host call is a synchronous `subtask.cancel` or `stream.cancel-read`: it suspends a fiber of the host until the host
//! has cancelled. The host has as many fibers as instances, so that an instance traps, with every request in it, when many calls
//! are dropped at a time. So a call that timed out is left to finish in a background task, and what must be cancelled is
//! cancelled one at a time in each instance.

use super::deadline::timeout;
use super::random::jitter;
use super::task;
use super::wakeup::Notify;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// How long a call may go on after its timeout. Most end by limits of the host. One that does not, such as the log-in at a frozen
/// server, would keep the instance for ever, and a place in the host's connection pool.
const BACKGROUND_LIMIT: Duration = Duration::from_secs(1);
/// Jitter on top of it, at most: calls that timed out together in many instances are not cancelled together.
const BACKGROUND_JITTER: Duration = Duration::from_secs(1);

thread_local! {
    static IS_CANCELLING: Cell<bool> = const { Cell::new(false) };
    static CANCELLED: Rc<Notify> = Rc::default();
}

/// Waits for a host call with a timeout of `limit`. `None`: timed out; the call finishes in a background task, because dropping
/// it is a synchronous cancel, which takes a fiber of the host.
pub async fn with_timeout<T: 'static>(limit: Duration, call: impl Future<Output = T> + 'static) -> Option<T> {
    let mut call = Box::pin(call);
    let result = timeout(limit, call.as_mut()).await;
    if result.is_none() {
        task::spawn(finish_or_cancel(call));
    }
    result
}

/// Waits for the end of a call whose result is not needed any more; cancels it when it does not end in time.
pub async fn finish_or_cancel<F: Future>(mut call: Pin<Box<F>>) {
    let limit = BACKGROUND_LIMIT + jitter(BACKGROUND_JITTER);
    if timeout(limit, call.as_mut()).await.is_none() {
        cancel(call).await;
    }
}

/// Cancels a host call by dropping it, one at a time in an instance. To be awaited in the request that made the call, because the
/// host assigns a call to its task.
pub async fn cancel(call: impl Sized) {
    while IS_CANCELLING.replace(true) {
        let cancelled = CANCELLED.with(Rc::clone);
        cancelled.notified().await;
    }
    drop(call);
    IS_CANCELLING.set(false);
    CANCELLED.with(|cancelled| cancelled.notify_waiters());
}
