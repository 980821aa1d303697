//! The instance's connection: shared by its concurrent requests, and given back before others starve.
//!
//! The host has 64 connections for all instances, or fewer when it is configured so, and makes a new instance for every
//! burst. To open one for every statement costs a round trip each time; to keep one leaves none for the others, and the
//! instance that keeps one need not be the one that gets the next request. The host does not tell whether anybody waits.
//! But those who wait are served in turn, so that how long it takes to open one tells. An instance keeps a connection that
//! was opened in less time than a statement takes, and looks again after a while; one that took longer it keeps for no
//! longer than it is used, and the next ones too, until several were quick.
//!
//! While the database does not answer, a circuit breaker keeps requests from waiting for it one after the other.

use super::error::StatementFailure;
use crate::config::Config;
use crate::runtime::deadline::timeout;
use crate::runtime::wakeup::Notify;
use crate::runtime::{host_call, task};
use spin_sdk::pg::Connection;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// After one that was opened slowly, so many in a row must be opened quickly before one is kept.
const QUICK: u32 = 2;
/// For how long one is kept, before another look whether others wait.
const KEPT: Duration = Duration::from_secs(1);
/// One that was not used for so long is given back, because the instance may have served its last request.
const IDLE: Duration = Duration::from_millis(50);
/// The longest wait for a connection.
const OPEN_LIMIT: Duration = Duration::from_secs(4);
/// An attempt to open one that failed after so long timed out somewhere; one that failed sooner was refused.
const TIMED_OUT_AFTER: Duration = Duration::from_secs(1);
/// After an attempt that timed out, requests are refused at once for so long; then one of them tries again.
const BREAKER_OPEN: Duration = Duration::from_secs(1);

/// A connection with what is known of it.
pub struct SharedConnection {
    connection: Connection,
    /// How long it took to open, until that has been compared with the time of a statement.
    opened_in: Cell<Option<Duration>>,
    /// It is given back by itself, in time.
    is_kept: Cell<bool>,
    /// How often it has been used.
    uses: Cell<u32>,
    /// Statements that are under way on it.
    under_way: Cell<u32>,
}

#[derive(Default)]
struct Slot {
    held: Option<Rc<SharedConnection>>,
    /// Somebody is opening one; the others wait for it.
    is_opening: bool,
    /// How many must yet be opened quickly, one after the other, before one is kept.
    quick_wanted: u32,
    /// The circuit breaker: set when the last attempt timed out, to the time of the next one.
    retry_at: Option<Instant>,
}

thread_local! {
    static SLOT: RefCell<Slot> = RefCell::default();
    /// An attempt to open a connection has ended.
    static OPENED: Rc<Notify> = Rc::default();
}

/// The right to use the connection for one statement.
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

    /// The connection, to be discarded if need be when the lease is gone.
    pub fn held(&self) -> Rc<SharedConnection> {
        self.held.clone()
    }

    /// Compares the time that opening the connection took with that of a statement, the first that ends.
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

/// Forgets a connection, because it is closed or in an unknown state: the next statement opens another.
pub fn discard(held: &Rc<SharedConnection>) {
    // How long the statement took says nothing then.
    held.opened_in.set(None);
    forget(held);
}

/// Takes a connection out of the slot. It goes back to the host when the statements on it have ended.
fn forget(held: &Rc<SharedConnection>) {
    // Dropped outside of the slot: that is a call of the host.
    drop(SLOT.with_borrow_mut(|slot| slot.held.take_if(|kept| Rc::ptr_eq(kept, held))));
}

/// Gives the connection back to the host when the statements on it have ended.
pub fn give_back() {
    let held = SLOT.with_borrow_mut(|slot| slot.held.take());
    drop(held);
}

/// What somebody does who wants a connection.
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
        // A single request probes a database that did not answer; the others need not wait with it.
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

/// Gets the connection, opening it if there is none.
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

/// The attempt to open a connection; given up when dropped, also in the middle of it.
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
        // The host's own limit ended it, or a network that swallows everything.
        Some(Err(StatementFailure::Connect(_))) if begun.elapsed() >= TIMED_OUT_AFTER => {
            Err(StatementFailure::TimedOut)
        }
        Some(opened) => opened,
        None => {
            // It goes on in the background. If a connection comes of it all the same, the outage is over.
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

/// Takes the connection out of the slot when it is not used any more, or its time is over.
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
