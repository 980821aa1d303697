//! A request, or a piece of work behind one: what is polled as a whole.
//!
//! Some of a task's polls are timed, for the metrics, and its waits share one alarm (see [`crate::deadline`]).

use crate::deadline::{Alarm, exchange_alarm};
use crate::telemetry::work;
use spin_sdk::wasip3;
use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

thread_local! {
    /// The task that is being polled has spawned another one.
    static SPAWNED: Cell<bool> = const { Cell::new(false) };
    /// What the clock said in this poll.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A future that is a task.
pub struct Task<F> {
    future: Pin<Box<F>>,
    alarm: Option<Alarm>,
}

impl<F: Future> Task<F> {
    /// Makes a task of a future.
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), alarm: None }
    }
}

/// The time, read once a poll of a task: that is a call of the host, and a poll takes microseconds. Only for what runs in one.
pub fn now() -> Instant {
    NOW.get().unwrap_or_else(|| {
        let now = Instant::now();
        NOW.set(Some(now));
        now
    })
}

/// Runs a future behind the answer of the request that is being served. The host waits for it before it gives the instance
/// up; a trap or a kill loses it.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    wasip3::spawn(Task::new(future));
    SPAWNED.set(true);
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        NOW.set(None);
        let begun = work::is_sampled().then(now);
        // A task may be polled inside another one, so what was there comes back.
        let outer = exchange_alarm(self.alarm.take());
        let result = self.future.as_mut().poll(context);
        self.alarm = exchange_alarm(outer);
        if SPAWNED.take() {
            // The executor takes a new task in after this poll, and polls it for the first time when it is woken again.
            context.waker().wake_by_ref();
        }
        if let Some(begun) = begun {
            work::add_busy_sample(begun.elapsed());
        }
        result
    }
}
