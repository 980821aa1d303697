//! Wakeups across requests.
//!
//! Each request is a task of the component model with an executor of its own, and a waker reaches only its own task: to wake
//! another one by its waker traps. (wit-bindgen has `inter-task-wakeup` for that, but in the version that the SDK uses it
//! cancels a read that is still in a waitable set, at which hosts since wasmtime 48 trap.) What one task does to a stream does
//! reach the other, so whoever waits listens to a stream, and whoever wakes ends it.

use spin_sdk::wasip3::wit_stream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wit_bindgen::{StreamReader, StreamWriter};

thread_local! {
    /// That of the task that is being polled, while none of its waits uses it: to make one costs calls of the host.
    static UNUSED: RefCell<Option<Wakeup>> = const { RefCell::new(None) };
}

/// How a task that waits is woken by another one. One serves for all waits of a task, one after the other, until it was woken.
pub struct Wakeup {
    /// Before the other end, because fields are dropped in this order: the end of a stream that is still being read would be
    /// told to the task.
    listening: Pin<Box<dyn Future<Output = ()>>>,
    handle: WakeupHandle,
    waker: Option<Waker>,
}

/// What others wake it by.
#[derive(Clone)]
pub struct WakeupHandle(Rc<RefCell<Option<StreamWriter<u8>>>>);

impl WakeupHandle {
    /// Wakes the task, once.
    pub fn wake(&self) {
        // Not borrowed while the host is called, which is what dropping a stream does.
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
    /// The unused one of the task that is being polled, or a new one.
    pub fn take() -> Self {
        UNUSED.take().unwrap_or_else(|| {
            let (writer, reader) = wit_stream::new();
            let handle = WakeupHandle(Rc::new(RefCell::new(Some(writer))));
            Self { listening: Box::pin(listen(reader)), handle, waker: None }
        })
    }

    /// Leaves it to the next wait of the task, if it can still wake. Of two waits side by side the later one leaves its own.
    pub fn put_back(self) {
        if !self.handle.is_woken() {
            drop(UNUSED.replace(Some(self)));
        }
    }

    /// What others wake it by.
    pub fn handle(&self) -> &WakeupHandle {
        &self.handle
    }

    /// Ready when it has been woken. To poll the stream costs a call of the host, so that is done once for every waker.
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

/// Exchanges the unused wakeup of the task that is being polled; the one that was there.
pub fn exchange_unused(wakeup: Option<Wakeup>) -> Option<Wakeup> {
    UNUSED.replace(wakeup)
}

/// Lets tasks of different requests wait for something to change.
#[derive(Default)]
pub struct Notify(RefCell<Vec<WakeupHandle>>);

impl Notify {
    /// Wakes all who wait.
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
