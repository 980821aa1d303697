//! Deadlines and timeouts: a wait ends when its time limit is reached.
//!
//! A timer of the host costs host calls, and dropping one that has not fired is a synchronous cancel. Nearly all deadlines are
//! met, so an instance has one timer for all of them: a background task that sleeps until the next deadline and wakes the tasks
//! that wait for it, in any request.

use super::task::{self, now};
use super::wakeup::{Wakeup, WakeupHandle};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The timer's longest sleep. A wait with a shorter limit could last for so long; the service has none.
const MAX_SLEEP: Duration = Duration::from_secs(1);

thread_local! {
    /// All waits of the instance, with their deadlines.
    static WAITS: RefCell<Vec<(Instant, WakeupHandle)>> = const { RefCell::new(Vec::new()) };
    static TIMER_RUNS: Cell<bool> = const { Cell::new(false) };
}

/// A wait in the list of all waits; removed when this is dropped.
struct RegisteredWait(Option<Wakeup>);

impl RegisteredWait {
    fn new(limit: Duration) -> Self {
        let wakeup = Wakeup::take();
        WAITS.with_borrow_mut(|waits| waits.push((now() + limit, wakeup.handle().clone())));
        if !TIMER_RUNS.replace(true) {
            task::spawn_for_instance(run_timer(TimerRuns));
        }
        Self(Some(wakeup))
    }
}

impl Drop for RegisteredWait {
    fn drop(&mut self) {
        if let Some(wakeup) = self.0.take() {
            WAITS.with_borrow_mut(|waits| waits.retain(|(_, wait)| !wait.is_same(wakeup.handle())));
            wakeup.put_back();
        }
    }
}

/// Waits for `work` with a timeout of `limit`. `None`: timed out; the caller still owns the work, unfinished.
pub async fn timeout<F: Future + ?Sized>(limit: Duration, mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut registered: Option<RegisteredWait> = None;
    poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        let RegisteredWait(wakeup) = registered.get_or_insert_with(|| RegisteredWait::new(limit));
        wakeup.as_mut().map_or(Poll::Pending, |wakeup| wakeup.poll(context).map(|()| None))
    })
    .await
}

/// Guard: the timer is running. Dropped also when the host cancels the task that it is part of: the next wait starts another timer.
struct TimerRuns;

impl Drop for TimerRuns {
    fn drop(&mut self) {
        TIMER_RUNS.set(false);
    }
}

/// The timer: wakes the waits whose deadline has passed, until there are none.
async fn run_timer(_runs: TimerRuns) {
    loop {
        let now = Instant::now();
        let due: Vec<_> =
            WAITS.with_borrow_mut(|waits| waits.extract_if(.., |(deadline, _)| *deadline <= now).collect());
        due.iter().for_each(|(_, wait)| wait.wake());
        let next = WAITS.with_borrow(|waits| waits.iter().map(|(deadline, _)| *deadline).min());
        let Some(next) = next else { return };
        spin_sdk::time::sleep(next.saturating_duration_since(now).min(MAX_SLEEP)).await;
    }
}
