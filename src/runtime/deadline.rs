//! Deadlines: a wait is ended when its time is over.
//!
//! A timer of the host costs calls of the host, and to drop one that is not over is a synchronous cancel. Nearly all deadlines
//! are met, so an instance has one timer for all of them: a background task that sleeps until the next deadline and wakes
//! whoever waits for it, in whatever request that is.

use super::cancellation;
use super::task::{self, now};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// How long the timer sleeps at most. A wait whose limit is shorter than this can last for so long; none of ours is.
const TICK: Duration = Duration::from_secs(1);

thread_local! {
    /// All waits with a deadline.
    static WAITS: RefCell<Vec<Rc<Wait>>> = const { RefCell::new(Vec::new()) };
    static TIMER_RUNS: Cell<bool> = const { Cell::new(false) };
}

struct Wait {
    deadline: Instant,
    waker: RefCell<Waker>,
    is_over: Cell<bool>,
}

/// A wait in the list of all, until this is dropped.
struct Registration(Rc<Wait>);

impl Registration {
    fn new(limit: Duration, waker: &Waker) -> Self {
        let deadline = now() + limit;
        let wait = Rc::new(Wait { deadline, waker: RefCell::new(waker.clone()), is_over: Cell::new(false) });
        WAITS.with_borrow_mut(|waits| waits.push(wait.clone()));
        if !TIMER_RUNS.replace(true) {
            task::spawn(run_timer(TimerRuns));
        }
        Self(wait)
    }

    fn renew(&self, waker: &Waker) {
        self.0.waker.borrow_mut().clone_from(waker);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        WAITS.with_borrow_mut(|waits| waits.retain(|wait| !Rc::ptr_eq(wait, &self.0)));
    }
}

/// Waits for `work`, for at most `limit`. `None`: the time is over, and the caller still has the work, unfinished.
pub async fn timeout<F: Future + ?Sized>(limit: Duration, mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut registration: Option<Registration> = None;
    poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        match &registration {
            Some(wait) if wait.0.is_over.get() => return Poll::Ready(None),
            Some(wait) => wait.renew(context.waker()),
            None => registration = Some(Registration::new(limit, context.waker())),
        }
        Poll::Pending
    })
    .await
}

/// Waits for a call of the host, for at most `limit`. `None`: the time is over, and the call is left to end in a background
/// task, because to drop it is a synchronous cancel, which costs a fiber of the host's.
pub async fn within<T: 'static>(limit: Duration, call: impl Future<Output = T> + 'static) -> Option<T> {
    let mut call = Box::pin(call);
    let result = timeout(limit, call.as_mut()).await;
    if result.is_none() {
        task::spawn(cancellation::leave(call));
    }
    result
}

/// Set while the timer runs. Taken back also when the host cancels the task that it is part of: the next wait starts another.
struct TimerRuns;

impl Drop for TimerRuns {
    fn drop(&mut self) {
        TIMER_RUNS.set(false);
    }
}

/// Wakes those whose time is over, until nobody waits.
async fn run_timer(_runs: TimerRuns) {
    loop {
        let now = Instant::now();
        let is_due = |wait: &&Rc<Wait>| !wait.is_over.get() && wait.deadline <= now;
        // The list is not borrowed while others are woken.
        let due: Vec<_> = WAITS.with_borrow(|waits| waits.iter().filter(is_due).cloned().collect());
        for wait in due {
            wait.is_over.set(true);
            wait.waker.borrow().wake_by_ref();
        }
        let next = WAITS.with_borrow(|waits| {
            waits.iter().filter(|wait| !wait.is_over.get()).map(|wait| wait.deadline).min()
        });
        let Some(next) = next else { return };
        spin_sdk::time::sleep(next.saturating_duration_since(now).min(TICK)).await;
    }
}
