//! The connections that an instance keeps between statements, by who shares them, and its circuit breaker.

use crate::runtime::task;
use std::rc::Rc;
use std::time::Instant;

/// Who shares a connection. What the background work meets (a locked row, a slow disk) holds up no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Users {
    /// The concurrent requests.
    Requests,
    /// Background work: see [`task::in_background`].
    Background,
}

impl Users {
    /// Those that the task which is being polled belongs to.
    pub fn current() -> Self {
        if task::is_background() { Self::Background } else { Self::Requests }
    }

    /// Those who are not these.
    pub const fn others(self) -> Self {
        match self {
            Self::Requests => Self::Background,
            Self::Background => Self::Requests,
        }
    }
}

/// Where a connection is kept between statements.
pub struct Slot<C> {
    /// The connection, while there is one.
    pub current: Option<Rc<C>>,
    /// Whether a task is opening one; the others wait for that.
    pub is_opening: bool,
    /// How many fast opens in a row are needed before a connection is kept.
    pub fast_opens_needed: u32,
}

/// The connections of the instance.
pub struct Slots<C> {
    /// That of the requests.
    pub requests: Slot<C>,
    /// That of the background work.
    pub background: Slot<C>,
    /// The circuit breaker: set when the last open timed out (open), to the time of the next probe; `None`: closed.
    pub retry_at: Option<Instant>,
}

impl<C> Slots<C> {
    /// No connections yet.
    pub const fn new() -> Self {
        const fn empty<C>() -> Slot<C> {
            Slot { current: None, is_opening: false, fast_opens_needed: 0 }
        }
        Self { requests: empty(), background: empty(), retry_at: None }
    }

    /// The slot of these users.
    pub const fn of(&mut self, users: Users) -> &mut Slot<C> {
        match users {
            Users::Requests => &mut self.requests,
            Users::Background => &mut self.background,
        }
    }
}
