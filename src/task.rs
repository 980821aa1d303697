//! A request, or a piece of work behind one: what is polled as a whole.
//!
//! A task's polls are timed, for the metrics, and its waits share one timer. A timer of the host costs several calls to
//! start and to drop, and placing an order waits for five things, each with a deadline of its own.

use crate::telemetry::work;
use spin_sdk::wasip3;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

type Timer = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// The timer of the task that is being polled, while none of its waits uses it.
    static TIMER: RefCell<Option<Timer>> = const { RefCell::new(None) };
}

/// A timer runs for so long at most, so that it serves for any deadline: whoever it wakes looks at the clock, and starts
/// the next one.
const TICK: Duration = Duration::from_secs(1);

/// A future that is a task.
pub struct Task<F> {
    future: Pin<Box<F>>,
    timer: Option<Timer>,
}

impl<F: Future> Task<F> {
    /// Makes a task of a future.
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), timer: None }
    }
}

/// Runs a future behind the answer of the request that is being served. The host waits for it before it gives the instance
/// up; a trap or a kill loses it.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    wasip3::spawn(Task::new(future));
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let begun = Instant::now();
        // A task may be polled inside another one, so what was there comes back.
        let outer = TIMER.replace(self.timer.take());
        let result = self.future.as_mut().poll(context);
        self.timer = TIMER.replace(outer);
        work::add_busy(begun.elapsed());
        result
    }
}

/// Waits for `work`, for at most `limit`; `None` when that is over. The work is dropped then.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut deadline = None;
    let mut timer: Option<Timer> = None;
    let result = poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
        loop {
            let running = timer.get_or_insert_with(|| {
                let kept = TIMER.take();
                kept.unwrap_or_else(|| Box::pin(spin_sdk::time::sleep(limit.min(TICK))))
            });
            if running.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                timer = None;
                return Poll::Ready(None);
            }
            timer = Some(Box::pin(spin_sdk::time::sleep(left.min(TICK))));
        }
    })
    .await;
    if timer.is_some() {
        TIMER.set(timer);
    }
    result
}
