//! The instance's connection: shared by its concurrent requests, and given back before others starve.
//!
//! The host has 64 connections for all instances, or fewer when it is configured so, and makes a new instance for every
//! burst. To open one for every statement costs a round trip each time; to keep one leaves none for the others, and the
//! instance that keeps one need not be the one that gets the next request. The host does not tell whether anybody waits.
//! But those who wait are served in turn, so that how long it takes to open one tells. An instance keeps a connection that
//! was opened in less time than a statement takes, and looks again after a while; one that took longer it keeps for no
//! longer than it is used, and the next ones too, until several were quick.

use super::Failure;
use crate::config::Config;
use crate::task;
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

/// A connection with what is known of it.
struct Held {
    connection: Connection,
    /// How long it took to open, until that has been compared with the time of a statement.
    opened_in: Cell<Option<Duration>>,
    /// It is given back by itself, in time.
    kept: Cell<bool>,
    /// How often it has been used.
    uses: Cell<u32>,
}

#[derive(Default)]
struct Slot {
    held: Option<Rc<Held>>,
    /// Somebody is opening one; the others wait for it.
    opening: bool,
    /// How many must yet be opened quickly, one after the other, before one is kept.
    quick_wanted: u32,
}

thread_local! {
    static SLOT: RefCell<Slot> = RefCell::default();
}

/// The right to use the connection for one statement.
pub struct Lease {
    held: Rc<Held>,
    begun: Option<Instant>,
}

impl Lease {
    fn of(held: Rc<Held>) -> Self {
        held.uses.set(held.uses.get().wrapping_add(1));
        let begun = held.opened_in.get().map(|_| Instant::now());
        Self { held, begun }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.held.connection
    }

    /// Forgets the connection, because it is closed or in an unknown state: the next statement opens another.
    pub fn discard(&self) {
        // How long the statement took says nothing then.
        self.held.opened_in.set(None);
        forget(&self.held);
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
                self.held.kept.set(true);
                task::spawn(give_back_in_time(Rc::downgrade(&self.held), Instant::now() + KEPT));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.compare();
        // The slot's and ours: no other statement is under way on it.
        if !self.held.kept.get() && Rc::strong_count(&self.held) == 2 {
            forget(&self.held);
        }
    }
}

/// Takes a connection out of the slot. It goes back to the host when the statements on it have ended.
fn forget(held: &Rc<Held>) {
    // Dropped outside of the slot: that is a call of the host.
    drop(SLOT.with_borrow_mut(|slot| slot.held.take_if(|kept| Rc::ptr_eq(kept, held))));
}

/// Gives the connection back to the host when the statements on it have ended.
pub fn give_back() {
    let held = SLOT.with_borrow_mut(|slot| slot.held.take());
    drop(held);
}

/// Gets the connection, opening it if there is none.
pub async fn lease(config: &Config) -> Result<Lease, Failure> {
    // Requests of one instance cannot wake each other, so those that wait look again and again.
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(held) = SLOT.with_borrow(|slot| slot.held.clone()) {
            return Ok(Lease::of(held));
        }
        if let Some(_turn) = Turn::take() {
            let held = open(config).await?;
            SLOT.with_borrow_mut(|slot| slot.held = Some(held.clone()));
            return Ok(Lease::of(held));
        }
        spin_sdk::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

async fn open(config: &Config) -> Result<Rc<Held>, Failure> {
    let begun = Instant::now();
    let connection = Connection::open(config.database.clone()).await?;
    let opened_in = Cell::new(Some(begun.elapsed()));
    Ok(Rc::new(Held { connection, opened_in, kept: Cell::new(false), uses: Cell::new(0) }))
}

/// Takes the connection out of the slot when it is not used any more, or its time is over.
async fn give_back_in_time(kept: Weak<Held>, end: Instant) {
    let mut uses = None;
    while let Some(held) = kept.upgrade() {
        // The slot's and ours: no statement is under way on it, however long it takes.
        let is_idle = Rc::strong_count(&held) == 2 && uses == Some(held.uses.get());
        if is_idle || Instant::now() >= end {
            forget(&held);
        }
        uses = Some(held.uses.get());
        drop(held);
        spin_sdk::time::sleep(IDLE).await;
    }
}

/// The turn to open the connection; given up when dropped, also in the middle of it.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        SLOT.with_borrow_mut(|slot| {
            let free = !slot.opening;
            slot.opening = true;
            free.then(|| Self)
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        SLOT.with_borrow_mut(|slot| slot.opening = false);
    }
}
