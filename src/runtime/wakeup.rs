//! Wakeups across requests: how one task wakes another (as a condition variable or a `Notify` does).
//!
//! Each request is a task of the component model with an executor of its own, and a waker reaches only its own executor: to wake
//! a task of another request by its waker traps. (wit-bindgen has `inter-task-wakeup` for that, but in the version that the SDK
//! pins it cancels a read that is still in a waitable set, at which hosts trap since wasmtime 48.) What one request does to a
//! stream does reach another. So a request whose tasks wait listens to a stream, and whoever wakes one of them ends it.

use spin_sdk::wasip3::wit_stream;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use wit_bindgen::{StreamReader, StreamWriter};

thread_local! {
    /// That of the request whose task is being polled.
    static CURRENT: RefCell<Option<Rc<RequestWakeup>>> = const { RefCell::new(None) };
}

/// How the tasks of one request are woken from outside of it: one stream for all of its waits, made when the first one waits.
#[derive(Default)]
pub struct RequestWakeup {
    listening: RefCell<Option<Listening>>,
    waiting: Arc<Waiting>,
}

/// A stream that is being read. The read was polled once: to poll it is a call of the host.
struct Listening {
    /// Before the other end, because fields are dropped in this order: the end of a stream that is still being read would be
    /// told to the request. To drop it cancels the read, which suspends no fiber, because the other end is ours, too.
    _read: Pin<Box<dyn Future<Output = ()>>>,
    /// None when it was dropped to end the stream.
    writer: Option<StreamWriter<u8>>,
}

/// The wakers of the tasks that wait, all of one request.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiting {
    /// Called within the request, when its stream has ended.
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl RequestWakeup {
    /// That of the request whose task is being polled.
    pub fn current() -> Rc<Self> {
        CURRENT.with_borrow(Clone::clone).unwrap_or_default()
    }

    /// Makes it the current one; the one that was before.
    pub fn exchange_current(wakeup: Option<Rc<Self>>) -> Option<Rc<Self>> {
        CURRENT.replace(wakeup)
    }

    /// Has the waker called when somebody wakes the request. Only within the request.
    fn listen(&self, waker: &Waker) {
        let has_ended = self.listening.borrow().as_ref().is_some_and(|listening| listening.writer.is_none());
        if has_ended {
            // The host may not have told the request of the end yet.
            drop(self.listening.take());
            self.waiting.clone().wake();
        }
        if !self.waiting.wakers().iter().any(|known| known.will_wake(waker)) {
            self.waiting.wakers().push(waker.clone());
        }
        self.listening.borrow_mut().get_or_insert_with(|| {
            let (writer, reader) = wit_stream::new();
            let mut read: Pin<Box<dyn Future<Output = ()>>> = Box::pin(read_to_end(reader));
            let _ = read.as_mut().poll(&mut Context::from_waker(&self.waiting.clone().into()));
            Listening { _read: read, writer: Some(writer) }
        });
    }

    /// Wakes the tasks that wait.
    fn signal(&self) {
        let writer = self.listening.borrow_mut().as_mut().and_then(|listening| listening.writer.take());
        // Nothing is borrowed while the host is called, which is what dropping an end of a stream does.
        drop(writer);
    }
}

async fn read_to_end(mut reader: StreamReader<u8>) {
    reader.next().await;
}

/// A wait of the task that is being polled, until somebody wakes it.
pub struct Wait {
    request: Rc<RequestWakeup>,
    is_woken: Rc<Cell<bool>>,
}

impl Wait {
    /// Begins to wait.
    pub fn begin() -> Self {
        Self { request: RequestWakeup::current(), is_woken: Rc::default() }
    }

    /// What it is woken by.
    pub fn handle(&self) -> WakeupHandle {
        WakeupHandle { request: Rc::downgrade(&self.request), is_woken: self.is_woken.clone() }
    }

    /// Ready when it has been woken.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_woken.get() {
            return Poll::Ready(());
        }
        self.request.listen(context.waker());
        Poll::Pending
    }
}

/// Ends a wait, from whatever request.
#[derive(Clone)]
pub struct WakeupHandle {
    /// Weak: a request's stream is dropped within the request.
    request: Weak<RequestWakeup>,
    is_woken: Rc<Cell<bool>>,
}

impl WakeupHandle {
    /// Ends the wait.
    pub fn wake(&self) {
        self.is_woken.set(true);
        if let Some(request) = self.request.upgrade() {
            request.signal();
        }
    }

    /// Whether it ends this wait.
    pub fn is_of(&self, wait: &Wait) -> bool {
        Rc::ptr_eq(&self.is_woken, &wait.is_woken)
    }
}

/// Lets tasks of different requests wait for an event (as `tokio::sync::Notify` does).
#[derive(Default)]
pub struct Notify(RefCell<Vec<WakeupHandle>>);

impl Notify {
    /// Wakes all waiting tasks.
    pub fn notify_waiters(&self) {
        let waiters = self.0.take();
        waiters.iter().for_each(WakeupHandle::wake);
    }

    /// Waits until [`Self::notify_waiters`] is called.
    pub async fn notified(&self) {
        let wait = Wait::begin();
        self.0.borrow_mut().push(wait.handle());
        poll_fn(|context| wait.poll(context)).await;
    }
}
