//! Tasks: what the executor polls as a whole, which is a request or a background task after its response.

use super::wakeup::{Wakeup, exchange_unused};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

thread_local! {
    /// The task that is being polled has spawned another one.
    static SPAWNED: Cell<bool> = const { Cell::new(false) };
    /// The time as read in this poll.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
    /// What is being polled is background work.
    static IN_BACKGROUND: Cell<bool> = const { Cell::new(false) };
    /// What the work that is being polled carries along.
    static CARRIED: RefCell<Option<Carried>> = const { RefCell::new(None) };
    static POLLS: Cell<u32> = const { Cell::new(0) };
    static BUSY_SECONDS: Cell<f64> = const { Cell::new(0.0) };
}

/// Sampling interval: one of so many polls is timed, because reading the clock is a host call. A prime, so that the sampled poll
/// is not the same one of every request.
const SAMPLE_INTERVAL: u32 = 17;

/// What work carries along, such as the trace that it belongs to. Another room knows its type.
pub type Carried = Rc<dyn Any>;

/// A future that is a task.
pub struct Task<F> {
    future: Pin<Box<F>>,
    carried: Option<Carried>,
    /// The wakeup of its waits, while none of them uses it.
    wakeup: Option<Wakeup>,
    is_background: bool,
}

impl<F: Future> Task<F> {
    /// Makes a task of a future: background work where background work makes it. It carries along what its maker does.
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), carried: carried(), wakeup: None, is_background: is_background() }
    }
}

/// The monotonic time, cached for one poll of a task: reading it is a host call, and a poll takes microseconds. Call it only inside
/// a task.
pub fn now() -> Instant {
    NOW.get().unwrap_or_else(|| {
        let now = Instant::now();
        NOW.set(Some(now));
        now
    })
}

/// Spawns a background task, which may go on after the response of the current request. The host waits for it before it drops
/// the instance; a trap or a kill loses it.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn(Task::new(future));
    SPAWNED.set(true);
}

/// As [`spawn`], for a task of the whole instance: it carries along nothing of the request that happens to begin it.
pub fn spawn_for_instance(future: impl Future<Output = ()> + 'static) {
    spawn(carrying(None, future));
}

/// What the work that is being polled carries along.
pub fn carried() -> Option<Carried> {
    CARRIED.with_borrow(Clone::clone)
}

/// Has the task that is being polled carry something along from now on, with all tasks that it spawns. Costs no box and no poll of its
/// own, unlike [`carrying`].
pub fn carry(what: Carried) {
    CARRIED.set(Some(what));
}

/// Has work carry something along (or nothing), with all tasks that it spawns. Set for each poll, because the requests of an instance
/// are polled in turn. The work is boxed: an `async fn` would hold it three times, and so would each one around it.
pub fn carrying<F: Future>(carried: Option<Carried>, work: F) -> impl Future<Output = F::Output> {
    let (mut carried, mut work) = (carried, Box::pin(work));
    poll_fn(move |context| {
        let outer = CARRIED.replace(carried.take());
        let result = work.as_mut().poll(context);
        carried = CARRIED.replace(outer);
        result
    })
}

/// Whether background work is being polled: see [`in_background`].
pub fn is_background() -> bool {
    IN_BACKGROUND.get()
}

/// Marks work as background work, with all tasks that it spawns: it must not hold up requests, and shares no connection with them.
pub fn in_background<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let mut work = Box::pin(work);
    poll_fn(move |context| poll_as(true, || work.as_mut().poll(context)))
}

fn poll_as<T>(is_background: bool, poll: impl FnOnce() -> T) -> T {
    let outer = IN_BACKGROUND.replace(is_background);
    let result = poll();
    IN_BACKGROUND.set(outer);
    result
}

/// CPU time of this instance's tasks in seconds since the last call, sampled. A guest has one thread and never sleeps inside a
/// poll, so that the time inside polls is its CPU time.
pub fn take_busy_seconds() -> f64 {
    BUSY_SECONDS.replace(0.0)
}

/// Whether the poll that begins now is to be timed.
fn is_sampled() -> bool {
    let polls = POLLS.get();
    POLLS.set(polls.wrapping_add(1));
    polls % SAMPLE_INTERVAL == SAMPLE_INTERVAL / 2
}

/// Adds the time of a sampled poll, multiplied by the sampling interval.
fn add_busy_sample(time: Duration) {
    BUSY_SECONDS.set(BUSY_SECONDS.get() + time.as_secs_f64() * f64::from(SAMPLE_INTERVAL));
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        NOW.set(None);
        let begun = is_sampled().then(now);
        // A task may be polled inside another one: the outer task's wakeup is restored after the poll.
        let outer = exchange_unused(self.wakeup.take());
        let outer_carried = CARRIED.replace(self.carried.take());
        let result = poll_as(self.is_background, || self.future.as_mut().poll(context));
        self.carried = CARRIED.replace(outer_carried);
        self.wakeup = exchange_unused(outer);
        if SPAWNED.take() {
            // The executor takes a new task in after this poll, and polls it for the first time when it is woken again.
            context.waker().wake_by_ref();
        }
        if let Some(begun) = begun {
            add_busy_sample(begun.elapsed());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn what_background_work_spawns_is_background_work() {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let spawned = Cell::new(None);
        let work = pin!(in_background(async { spawned.set(Some(Task::new(async { is_background() }))) }));
        assert!(!is_background() && work.poll(&mut context).is_ready() && !is_background());
        let spawned = pin!(spawned.take().unwrap());
        assert_eq!(spawned.poll(&mut context), Poll::Ready(true));
        assert_eq!(pin!(Task::new(async { is_background() })).poll(&mut context), Poll::Ready(false));
    }

    #[test]
    fn what_work_carries_along_is_its_own_however_polls_are_mixed() {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let what = || carried().and_then(|carried| carried.downcast_ref::<u32>().copied());
        let wait_once = || {
            let mut polls = 0;
            poll_fn(move |_| {
                polls += 1;
                if polls > 1 { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        let work = |number: u32| async move {
            let before = what();
            wait_once().await;
            let inner = carrying(None, async { (what(), Task::new(async move { what() })) }).await;
            (before, inner.0, inner.1.await, what(), Task::new(async move { what() }).await == Some(number))
        };
        let mut first = pin!(Task::new(carrying(Some(Rc::new(1_u32)), work(1))));
        let mut second = pin!(Task::new(async {
            carry(Rc::new(2_u32));
            work(2).await
        }));
        assert!(first.as_mut().poll(&mut context).is_pending() && what().is_none());
        assert!(second.as_mut().poll(&mut context).is_pending() && what().is_none());
        assert_eq!(first.poll(&mut context), Poll::Ready((Some(1), None, None, Some(1), true)));
        assert_eq!(second.poll(&mut context), Poll::Ready((Some(2), None, None, Some(2), true)));
        assert!(what().is_none());
    }

    #[test]
    fn one_poll_in_seventeen_is_timed() {
        assert_eq!((0..170).filter(|_| is_sampled()).count(), 10);
    }
}
