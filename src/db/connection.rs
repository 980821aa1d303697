//! The instance's connection from the host's pool: shared by its concurrent requests, and released before other instances starve.
//!
//! The host's pool has 64 connections for all instances, or fewer when it is configured so, and a burst makes many new instances.
//! Opening a connection for every statement costs a round trip each time; keeping one leaves none for other instances, and the
//! instance that keeps one need not be the one that gets the next request. The host does not say whether anybody waits for the
//! pool. But the pool serves its queue in order, so the time that opening takes shows it. An instance keeps a connection that
//! was opened in less time than a statement takes, and releases it after a while; one that took longer is released as soon as it
//! is idle, and so are the next ones, until several were opened fast.
//!
//! Circuit breaker: while the database does not answer, requests fail at once instead of waiting for it one after the other.

use super::error::StatementFailure;
use crate::config::Config;
use crate::runtime::deadline::timeout;
use crate::runtime::wakeup::Notify;
use crate::runtime::{host_call, task};
use spin_sdk::pg::Connection;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// After a slow open, so many connections in a row must be opened fast before one is kept.
const QUICK: u32 = 2;
/// For how long a connection is kept; opening the next one shows again whether others wait for the pool.
const KEPT: Duration = Duration::from_secs(1);
/// Idle timeout: a kept connection that was not used for so long is released, because the instance may have served its last
/// request.
const IDLE: Duration = Duration::from_millis(50);
/// Timeout for opening a connection.
const OPEN_LIMIT: Duration = Duration::from_secs(4);
/// A failed open that took longer counts as timed out (a limit of the host or of the network); one that took less was refused.
const TIMED_OUT_AFTER: Duration = Duration::from_secs(1);
/// Circuit breaker: after a timed-out open, requests fail at once for so long; then one of them probes (half-open).
const BREAKER_OPEN: Duration = Duration::from_secs(1);

/// The connection, shared by the statements of concurrent requests, with its statistics.
pub struct SharedConnection {
    connection: Connection,
    /// How long it took to open; `None` once that has been compared with the duration of a statement.
    opened_in: Cell<Option<Duration>>,
    /// Whether it is kept while idle; a background task then releases it in time.
    is_kept: Cell<bool>,
    /// How many statements it has been used for.
    uses: Cell<u32>,
    /// How many statements are running on it.
    under_way: Cell<u32>,
}

#[derive(Default)]
struct Slot {
    held: Option<Rc<SharedConnection>>,
    /// Whether a request is opening one; the others wait for that.
    is_opening: bool,
    /// How many fast opens in a row are needed before a connection is kept.
    quick_wanted: u32,
    /// The circuit breaker: set when the last open timed out (open), to the time of the next probe; `None`: closed.
    retry_at: Option<Instant>,
}

thread_local! {
    static SLOT: RefCell<Slot> = RefCell::default();
    /// Notified when an attempt to open a connection has ended.
    static OPENED: Rc<Notify> = Rc::default();
}

/// Guard: the use of the connection for one statement.
pub struct Lease {
    held: Rc<SharedConnection>,
    begun: Option<Instant>,
}

impl Lease {
    fn of(held: Rc<SharedConnection>) -> Self {
        held.uses.set(held.uses.get().wrapping_add(1));
        held.under_way.set(held.under_way.get() + 1);
        let begun = held.opened_in.get().map(|_| Instant::now());
        Self { held, begun }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.held.connection
    }

    /// The shared connection, so that it can be discarded after the guard is dropped.
    pub fn held(&self) -> Rc<SharedConnection> {
        self.held.clone()
    }

    /// Decides whether the connection is kept: compares the time that opening took with the duration of the first statement that
    /// ends.
    fn compare(&self) {
        if let (Some(begun), Some(opened_in)) = (self.begun, self.held.opened_in.take()) {
            let is_quick = opened_in <= begun.elapsed();
            let quick_wanted = SLOT.with_borrow_mut(|slot| {
                slot.quick_wanted = if is_quick { slot.quick_wanted.saturating_sub(1) } else { QUICK };
                slot.quick_wanted
            });
            if quick_wanted == 0 {
                self.held.is_kept.set(true);
                task::spawn(give_back_in_time(Rc::downgrade(&self.held), Instant::now() + KEPT));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.compare();
        self.held.under_way.set(self.held.under_way.get() - 1);
        if !self.held.is_kept.get() && self.held.under_way.get() == 0 {
            forget(&self.held);
        }
    }
}

/// Discards a connection that is closed or in an unknown state: the next statement opens another.
pub fn discard(held: &Rc<SharedConnection>) {
    // The duration of a failed statement is not compared.
    held.opened_in.set(None);
    forget(held);
}

/// Takes a connection out of the slot, if it is the current one. It goes back to the host's pool when its statements have ended.
fn forget(held: &Rc<SharedConnection>) {
    // Dropped outside of the borrow: dropping it is a host call.
    drop(SLOT.with_borrow_mut(|slot| slot.held.take_if(|kept| Rc::ptr_eq(kept, held))));
}

/// Releases the current connection to the host's pool when its statements have ended.
pub fn give_back() {
    let held = SLOT.with_borrow_mut(|slot| slot.held.take());
    drop(held);
}

/// What a request does to get a connection.
enum Step {
    Use(Rc<SharedConnection>),
    Open(Opening),
    Wait,
    Refuse,
}

fn step() -> Step {
    SLOT.with_borrow_mut(|slot| {
        if let Some(held) = &slot.held {
            return Step::Use(held.clone());
        }
        // Circuit breaker: a single request probes a database that did not answer; the others fail at once.
        if slot.retry_at.is_some_and(|at| slot.is_opening || task::now() < at) {
            return Step::Refuse;
        }
        if slot.is_opening {
            return Step::Wait;
        }
        slot.is_opening = true;
        Step::Open(Opening)
    })
}

/// Gets the connection for one statement, opening it if there is none.
///
/// # Errors
/// [`StatementFailure`] when it cannot be opened, or the circuit breaker is open.
pub async fn lease(config: &Config) -> Result<Lease, StatementFailure> {
    loop {
        match step() {
            Step::Use(held) => return Ok(Lease::of(held)),
            Step::Refuse => {
                return Err(StatementFailure::Connect("no connection in time, a moment ago".into()));
            }
            Step::Open(_opening) => {
                let opened = open(config.database.expose().clone()).await;
                let timed_out = matches!(opened, Err(StatementFailure::TimedOut));
                SLOT.with_borrow_mut(|slot| {
                    slot.retry_at = timed_out.then(|| task::now() + BREAKER_OPEN);
                    slot.held = opened.as_ref().ok().cloned();
                });
                return opened.map(Lease::of);
            }
            Step::Wait => {
                let opened = OPENED.with(Rc::clone);
                opened.notified().await;
            }
        }
    }
}

/// Guard of an attempt to open a connection: when it is dropped, also by a cancel, the waiting requests go on.
struct Opening;

impl Drop for Opening {
    fn drop(&mut self) {
        SLOT.with_borrow_mut(|slot| slot.is_opening = false);
        OPENED.with(|opened| opened.notify_waiters());
    }
}

async fn open(address: String) -> Result<Rc<SharedConnection>, StatementFailure> {
    let begun = Instant::now();
    let mut opening = Box::pin(connect(address, begun));
    match timeout(OPEN_LIMIT, opening.as_mut()).await {
        // A timeout of the host, or a network that drops packets.
        Some(Err(StatementFailure::Connect(_))) if begun.elapsed() >= TIMED_OUT_AFTER => {
            Err(StatementFailure::TimedOut)
        }
        Some(opened) => opened,
        None => {
            // The attempt goes on in the background. If it succeeds, the circuit breaker closes.
            task::spawn(host_call::leave(Box::pin(async move {
                if opening.await.is_ok() {
                    SLOT.with_borrow_mut(|slot| slot.retry_at = None);
                }
            })));
            Err(StatementFailure::TimedOut)
        }
    }
}

async fn connect(address: String, begun: Instant) -> Result<Rc<SharedConnection>, StatementFailure> {
    let connection = Connection::open(address).await?;
    let opened_in = Cell::new(Some(begun.elapsed()));
    let (is_kept, uses, under_way) = (Cell::new(false), Cell::new(0), Cell::new(0));
    Ok(Rc::new(SharedConnection { connection, opened_in, is_kept, uses, under_way }))
}

/// Background task: releases a kept connection when it is idle, or at `end`.
async fn give_back_in_time(kept: Weak<SharedConnection>, end: Instant) {
    let mut uses = None;
    while let Some(held) = kept.upgrade() {
        let is_idle = held.under_way.get() == 0 && uses == Some(held.uses.get());
        if is_idle || Instant::now() >= end {
            forget(&held);
        }
        uses = Some(held.uses.get());
        drop(held);
        spin_sdk::time::sleep(IDLE).await;
    }
}
