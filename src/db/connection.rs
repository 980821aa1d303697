//! The instance's connection: shared by its concurrent requests, and given back before others starve.
//!
//! The host has 64 connections for all instances, and makes a new instance for every burst. To open one for every
//! statement costs a round trip each time; to keep one for the instance's life leaves none for the others. So it is kept
//! for a moment. Those who wait for one are served in turn, so that how long the next one takes to open tells whether
//! anybody waits: then it is kept for no longer than it is used.

use super::Failure;
use crate::config::Config;
use crate::task;
use spin_sdk::pg::Connection;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// A connection that was not used for so long is given back, because the instance may have served its last request.
const IDLE: Duration = Duration::from_millis(50);
/// For how long a connection is kept at most, so that those who wait for one get it.
const KEPT: Duration = Duration::from_secs(1);
/// What took longer to open than this had to wait, or is new, and then the next one is faster.
const WAITED: Duration = Duration::from_millis(100);

/// A connection with what is known of it.
struct Held {
    connection: Connection,
    /// Others wait for one.
    contended: bool,
    /// How often it has been used.
    uses: Cell<u32>,
}

#[derive(Default)]
struct Slot {
    held: Option<Rc<Held>>,
    /// Somebody is opening one; the others wait for it.
    opening: bool,
}

thread_local! {
    static SLOT: RefCell<Slot> = RefCell::default();
}

/// The right to use the connection for one statement.
pub struct Lease(Rc<Held>);

impl Lease {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Forgets the connection, because it is closed or in an unknown state: the next statement opens another.
    pub fn discard(&self) {
        forget(&self.0);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The slot's and ours: no other statement is under way on it.
        if self.0.contended && Rc::strong_count(&self.0) == 2 {
            forget(&self.0);
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
            held.uses.set(held.uses.get().wrapping_add(1));
            return Ok(Lease(held));
        }
        if let Some(_turn) = Turn::take() {
            let held = open(config).await?;
            SLOT.with_borrow_mut(|slot| slot.held = Some(held.clone()));
            return Ok(Lease(held));
        }
        spin_sdk::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

async fn open(config: &Config) -> Result<Rc<Held>, Failure> {
    let begun = Instant::now();
    let connection = Connection::open(config.database.clone()).await?;
    let held = Rc::new(Held { connection, contended: begun.elapsed() > WAITED, uses: Cell::new(0) });
    if !held.contended {
        let kept = Rc::downgrade(&held);
        task::spawn(give_back_in_time(kept, begun + KEPT));
    }
    Ok(held)
}

/// Takes the connection out of the slot when it is not used any more, or its time is over.
async fn give_back_in_time(kept: Weak<Held>, end: Instant) {
    let mut uses = None;
    while let Some(held) = kept.upgrade() {
        if uses == Some(held.uses.get()) || Instant::now() >= end {
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
