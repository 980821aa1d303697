//! The instance's connection: shared by its concurrent requests, and given back when it is not needed.
//!
//! Opening for every statement costs a round trip more; keeping the connection for the instance's life starves the
//! others, because the host has 64 connections for all instances and makes a new instance for every burst. So it is
//! kept while statements follow each other, and goes back to the host's pool after a short pause.

use super::Failure;
use crate::config::Config;
use spin_sdk::pg::Connection;
use spin_sdk::wasip3;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long an unused connection is kept: longer than a peer on the same network takes to answer.
const LINGER: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Slot {
    connection: Option<Rc<Connection>>,
    /// Somebody is opening one; the others wait for it.
    opening: bool,
    /// Statements in flight.
    users: u32,
    last_used: Option<Instant>,
    /// The task that gives the connection back is running.
    reaper: bool,
}

thread_local! {
    static SLOT: RefCell<Slot> = RefCell::default();
}

/// The right to use the connection for one statement.
pub struct Lease(Rc<Connection>);

impl Lease {
    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.0
    }

    /// Forgets the connection, because it is closed or in an unknown state: the next statement opens another.
    pub fn discard(&self) {
        SLOT.with_borrow_mut(|slot| slot.connection.take_if(|kept| Rc::ptr_eq(kept, &self.0)));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        SLOT.with_borrow_mut(|slot| {
            slot.users -= 1;
            slot.last_used = Some(Instant::now());
        });
    }
}

/// Gets the connection, opening it if there is none.
pub async fn lease(config: &Config) -> Result<Lease, Failure> {
    // Requests of one instance cannot wake each other, so those that wait look again and again.
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(lease) = existing() {
            return Ok(lease);
        }
        if let Some(_turn) = Turn::take() {
            let opened = Rc::new(Connection::open(config.database.clone()).await?);
            SLOT.with_borrow_mut(|slot| slot.connection = Some(opened));
            continue;
        }
        spin_sdk::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

fn existing() -> Option<Lease> {
    SLOT.with_borrow_mut(|slot| {
        let connection = slot.connection.clone()?;
        slot.users += 1;
        if !slot.reaper {
            slot.reaper = true;
            wasip3::spawn(reap());
        }
        Some(Lease(connection))
    })
}

/// Gives the connection back once it has not been used for a while.
async fn reap() {
    loop {
        spin_sdk::time::sleep(LINGER).await;
        let done = SLOT.with_borrow_mut(|slot| {
            let unused = slot.users == 0 && slot.last_used.is_none_or(|at| at.elapsed() >= LINGER);
            if unused {
                slot.connection = None;
                slot.reaper = false;
            }
            unused
        });
        if done {
            return;
        }
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
