//! Wakeups across requests: how one task wakes another (as a condition variable or a `Notify` does).
//!
//! Each request is a task of the component model with an executor of its own, and a waker reaches only its own task: waking
//! another task by its waker traps. (wit-bindgen has `inter-task-wakeup` for that, but in the version that the SDK uses it
//! cancels a read that is still in a waitable set, at which hosts since wasmtime 48 trap.) An event of a stream does
//! reach the other task: the waiting task reads a stream, and the waking task closes it.

use spin_sdk::wasip3::wit_stream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wit_bindgen::{StreamReader, StreamWriter};

thread_local! {
    /// The unused wakeup of the task that is being polled, kept for its next wait: making one costs host calls.
    static UNUSED: RefCell<Option<Wakeup>> = const { RefCell::new(None) };
}

/// The waiting side: a task waits until another one wakes it. It is reused for all waits of a task, one after the other, until it
/// was woken.
pub struct Wakeup {
    /// The read of the stream. Before the handle, because fields are dropped in this order: closing a stream that is still being
    /// read would be an event of the task.
    listening: Pin<Box<dyn Future<Output = ()>>>,
    handle: WakeupHandle,
    waker: Option<Waker>,
}

/// The waking side: wakes the task that waits on the [`Wakeup`].
#[derive(Clone)]
pub struct WakeupHandle(Rc<RefCell<Option<StreamWriter<u8>>>>);

impl WakeupHandle {
    /// Wakes the task, once.
    pub fn wake(&self) {
        // Dropping the writer calls the host, so the cell must not be borrowed then.
        let writer = self.0.take();
        drop(writer);
    }

    /// Whether it has been woken.
    pub fn is_woken(&self) -> bool {
        self.0.borrow().is_none()
    }

    /// Whether both wake the same wait.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Wakeup {
    /// Takes the unused wakeup of the task that is being polled, or makes one.
    pub fn take() -> Self {
        UNUSED.take().unwrap_or_else(|| {
            let (writer, reader) = wit_stream::new();
            let handle = WakeupHandle(Rc::new(RefCell::new(Some(writer))));
            Self { listening: Box::pin(listen(reader)), handle, waker: None }
        })
    }

    /// Keeps it for the next wait of the task, unless it was woken. Of two concurrent waits the one that ends later keeps its own.
    pub fn put_back(self) {
        if !self.handle.is_woken() {
            drop(UNUSED.replace(Some(self)));
        }
    }

    /// The waking side.
    pub fn handle(&self) -> &WakeupHandle {
        &self.handle
    }

    /// Ready when it has been woken. Polling the stream costs a host call, so that is done once for every waker.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.handle.is_woken() {
            return Poll::Ready(());
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(context.waker().clone());
        self.listening.as_mut().poll(context)
    }
}

async fn listen(mut reader: StreamReader<u8>) {
    reader.next().await;
}

/// Replaces the unused wakeup of the task that is being polled, and returns the previous one.
pub fn exchange_unused(wakeup: Option<Wakeup>) -> Option<Wakeup> {
    UNUSED.replace(wakeup)
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
        let mut wakeup: Option<Wakeup> = None;
        poll_fn(|context| {
            let wakeup = wakeup.get_or_insert_with(|| {
                let wakeup = Wakeup::take();
                self.0.borrow_mut().push(wakeup.handle().clone());
                wakeup
            });
            wakeup.poll(context)
        })
        .await;
    }
}
