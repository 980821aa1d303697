//! Deadlines: a task that waits is woken when its time is over.
//!
//! A timer of the host is dear to start and to drop, and nearly all are dropped unused. So an instance has one for all waits
//! with a limit, which runs for as long as there are any, and up to a second longer: the watchdog's. Tasks of different
//! requests cannot wake each other by their wakers; what one does to a stream reaches the other, so every task that waits
//! listens to a stream of its own, which the watchdog ends.

use crate::task::{self, now};
use spin_sdk::wasip3::wit_bindgen::{StreamReader, StreamWriter};
use spin_sdk::wasip3::wit_stream;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long the watchdog sleeps at most. A wait whose limit is shorter than this can last for so long; none of ours is.
const TICK: Duration = Duration::from_secs(1);

thread_local! {
    /// The alarm of the task that is being polled, while none of its waits uses it.
    static ALARM: RefCell<Option<Alarm>> = const { RefCell::new(None) };
    /// Whom the watchdog watches.
    static WATCHED: RefCell<Vec<Rc<Watched>>> = const { RefCell::new(Vec::new()) };
    static WATCHDOG_RUNS: Cell<bool> = const { Cell::new(false) };
}

/// What the watchdog knows of a task.
struct Watched {
    /// When it is to be woken, while it waits.
    deadline: Cell<Option<Instant>>,
    /// The end of the stream that wakes it, until that has happened.
    writer: RefCell<Option<StreamWriter<u8>>>,
}

/// Wakes a task. One serves for all its waits, one after the other.
pub struct Alarm {
    /// Before the other end, because fields are dropped in this order: the end of a stream that is still being read would be
    /// told to the task.
    listening: Pin<Box<dyn Future<Output = ()>>>,
    watched: Rc<Watched>,
    waker: Option<Waker>,
}

impl Alarm {
    fn new() -> Self {
        let (writer, reader) = wit_stream::new();
        let watched = Rc::new(Watched { deadline: Cell::new(None), writer: RefCell::new(Some(writer)) });
        WATCHED.with_borrow_mut(|all| all.push(watched.clone()));
        Self { listening: Box::pin(listen(reader)), watched, waker: None }
    }

    fn set(&self, deadline: Instant) {
        self.watched.deadline.set(Some(deadline));
        if !WATCHDOG_RUNS.replace(true) {
            task::spawn(watch(Running));
        }
    }

    fn has_rung(&self) -> bool {
        self.watched.writer.borrow().is_none()
    }

    /// Waits until it rings. To poll the stream costs a call of the host, so that is done once for every waker.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_rung() {
            return Poll::Ready(());
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(context.waker().clone());
        self.listening.as_mut().poll(context)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        WATCHED.with_borrow_mut(|all| all.retain(|watched| !Rc::ptr_eq(watched, &self.watched)));
    }
}

async fn listen(mut reader: StreamReader<u8>) {
    reader.next().await;
}

/// Exchanges the alarm of the task that is being polled; the one that was there.
pub fn exchange_alarm(alarm: Option<Alarm>) -> Option<Alarm> {
    ALARM.replace(alarm)
}

/// Waits for `work`, for at most `limit`; `None` when that is over. The work is dropped then.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut alarm: Option<Alarm> = None;
    let result = poll_fn(|context| {
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        let alarm = alarm.get_or_insert_with(|| {
            let alarm = ALARM.take().unwrap_or_else(Alarm::new);
            alarm.set(now() + limit);
            alarm
        });
        alarm.poll(context).map(|()| None)
    })
    .await;
    if let Some(alarm) = alarm.filter(|alarm| !alarm.has_rung()) {
        alarm.watched.deadline.set(None);
        // Of two waits side by side the later one leaves its alarm; the other's is dropped when nothing is borrowed any more.
        drop(ALARM.replace(Some(alarm)));
    }
    result
}

/// Set while the watchdog runs. Taken back even if the host should cancel the task that it is part of, which no host does
/// today: the next wait would start another one.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        WATCHDOG_RUNS.set(false);
    }
}

/// Wakes those whose time is over, until it finds nobody waiting.
async fn watch(_running: Running) {
    loop {
        let now = Instant::now();
        let expired = |watched: &Rc<Watched>| watched.deadline.get().is_some_and(|deadline| deadline <= now);
        // The list is not borrowed while the host is called, which is what dropping a stream does.
        let due: Vec<_> = WATCHED.with_borrow(|all| all.iter().filter(|one| expired(one)).cloned().collect());
        for watched in due {
            drop(watched.writer.take());
            watched.deadline.set(None);
        }
        let next = WATCHED.with_borrow(|all| all.iter().filter_map(|watched| watched.deadline.get()).min());
        let Some(next) = next else { return };
        spin_sdk::time::sleep(next.saturating_duration_since(now).min(TICK)).await;
    }
}
