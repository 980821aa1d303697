//! A request, or a piece of work behind one: what is polled as a whole.
//!
//! Some of a task's polls are timed, for the metrics, and its waits share one timer. A timer of the host costs several calls to
//! start and to drop, and placing an order waits for five things, each with a deadline of its own.

use crate::telemetry::work;
use spin_sdk::wasip3;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

thread_local! {
    /// The timer of the task that is being polled, while none of its waits uses it.
    static TIMER: RefCell<Option<Timer>> = const { RefCell::new(None) };
    /// The task that is being polled has spawned another one.
    static SPAWNED: Cell<bool> = const { Cell::new(false) };
    /// What the clock said in this poll.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A timer runs for so long at most, so that it serves for any deadline: whoever it wakes looks at the clock, and starts
/// the next one.
const TICK: Duration = Duration::from_secs(1);

/// A timer that is looked at only when it has rung: to poll one that has not costs a call of the host.
struct Timer {
    sleep: Pin<Box<dyn Future<Output = ()>>>,
    bell: Option<Arc<Bell>>,
}

/// Rings for a timer.
struct Bell {
    rung: AtomicBool,
    waiting: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.waiting.wake_by_ref();
    }
}

impl Timer {
    fn start(length: Duration) -> Self {
        Self { sleep: Box::pin(spin_sdk::time::sleep(length)), bell: None }
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let waits =
            |bell: &Arc<Bell>| !bell.rung.load(Ordering::Relaxed) && bell.waiting.will_wake(context.waker());
        if self.bell.as_ref().is_some_and(waits) {
            return Poll::Pending;
        }
        let bell = Arc::new(Bell { rung: AtomicBool::new(false), waiting: context.waker().clone() });
        self.bell = Some(bell.clone());
        self.sleep.as_mut().poll(&mut Context::from_waker(&Waker::from(bell)))
    }
}

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
        let outer = TIMER.replace(self.timer.take());
        let result = self.future.as_mut().poll(context);
        self.timer = TIMER.replace(outer);
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

/// Waits for `work`, for at most `limit`; `None` when that is over. The work is dropped then.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut deadline = None;
    let mut timer: Option<Timer> = None;
    let result = poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        let deadline = *deadline.get_or_insert_with(|| now() + limit);
        loop {
            let running = timer.get_or_insert_with(|| {
                let kept = TIMER.take();
                kept.unwrap_or_else(|| Timer::start(limit.min(TICK)))
            });
            if running.poll(context).is_pending() {
                return Poll::Pending;
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                timer = None;
                return Poll::Ready(None);
            }
            timer = Some(Timer::start(left.min(TICK)));
        }
    })
    .await;
    if timer.is_some() {
        TIMER.set(timer);
    }
    result
}
