//! Deadlines: a wait is ended when its time is over.
//!
//! A timer of the host costs calls of the host, and to drop one that is not over is a synchronous cancel. Nearly all deadlines
//! are met, so an instance has one timer for all of them: a background task that sleeps until the next deadline and wakes
//! whoever waits for it, in whatever request that is.

use super::task::{self, now};
use super::wakeup::{Wait, WakeupHandle};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long the timer sleeps at most. A wait whose limit is shorter than this can last for so long; none of ours is.
const TICK: Duration = Duration::from_secs(1);

thread_local! {
    /// All waits, with their deadlines.
    static WAITS: RefCell<Vec<(Instant, WakeupHandle)>> = const { RefCell::new(Vec::new()) };
    static TIMER_RUNS: Cell<bool> = const { Cell::new(false) };
}

/// A wait in the list of all, until this is dropped.
struct Registered(Wait);

impl Registered {
    fn new(limit: Duration) -> Self {
        let wait = Wait::new();
        WAITS.with_borrow_mut(|waits| waits.push((now() + limit, wait.handle())));
        if !TIMER_RUNS.replace(true) {
            task::spawn(run_timer(TimerRuns));
        }
        Self(wait)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        WAITS.with_borrow_mut(|waits| waits.retain(|(_, handle)| !handle.is_of(&self.0)));
    }
}

/// Waits for `work`, for at most `limit`. `None`: the time is over, and the caller still has the work, unfinished.
pub async fn timeout<F: Future + ?Sized>(limit: Duration, mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut registered: Option<Registered> = None;
    poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        let Registered(wait) = registered.get_or_insert_with(|| Registered::new(limit));
        wait.poll(context).map(|()| None)
    })
    .await
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
        let due: Vec<_> =
            WAITS.with_borrow_mut(|waits| waits.extract_if(.., |(deadline, _)| *deadline <= now).collect());
        due.iter().for_each(|(_, wait)| wait.wake());
        let next = WAITS.with_borrow(|waits| waits.iter().map(|(deadline, _)| *deadline).min());
        let Some(next) = next else { return };
        spin_sdk::time::sleep(next.saturating_duration_since(now).min(TICK)).await;
    }
}
