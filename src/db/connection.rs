//! The instance's connections from the host's pool: one that its concurrent requests share and one that its background work shares,
//! both released before other instances starve. While one of them is idle it serves whoever has none. Beside them, sessions of their
//! own for single statements that may take long.
//!
//! The host's pool has 64 connections for all instances, or fewer when it is configured so, and a burst makes many new instances.
//! Opening a connection for every statement costs a round trip each time; keeping one leaves none for other instances, and the
//! instance that keeps one need not be the one that gets the next request. The host does not say whether anybody waits for the
//! pool. But the pool serves its queue in order, so the time that opening takes shows it. An instance keeps a connection that
//! was opened in less time than a statement takes, and releases it after a while; one that took longer is released as soon as it
//! is idle, and so are the next ones, until several were opened fast.
//!
//! Nobody waits for a connection while holding another one: the service works with a pool of one.
//!
//! Circuit breaker: while the database does not answer, requests fail at once instead of waiting for it one after the other.

use super::error::StatementFailure;
use super::recent::has_just_succeeded;
use super::slots::{Slots, Users};
use crate::config::Config;
use crate::runtime::deadline::timeout;
use crate::runtime::wakeup::Notify;
use crate::runtime::{host_call, task};
use spin_sdk::pg::Connection;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// After a slow open, so many connections in a row must be opened fast before one is kept.
const FAST_OPENS: u32 = 2;
/// For how long a connection is kept; opening the next one shows again whether others wait for the pool.
const KEEP_LIMIT: Duration = Duration::from_secs(1);
/// Idle timeout: a kept connection that was not used for so long is released, because the instance may have served its last
/// request.
const IDLE_LIMIT: Duration = Duration::from_millis(50);
/// Timeout for opening a connection.
const OPEN_LIMIT: Duration = Duration::from_secs(4);
/// The same for the probe of a database that did not answer: short, so that the next one is soon.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// A failed open that took longer counts as timed out (a limit of the host or of the network); one that took less was refused.
const TIMED_OUT_AFTER: Duration = Duration::from_secs(1);
/// Circuit breaker: after a timed-out open, requests fail at once for so long; then one of them probes (half-open).
const BREAKER_OPEN: Duration = Duration::from_secs(1);

/// A connection whose statements have made no progress for so long is not given to further ones: something slow holds up its
/// pipeline.
const STALL_LIMIT: Duration = Duration::from_millis(100);
/// A session is new for so long; the time is in `sql/end_old_session.sql`, too.
pub const NEW_SESSION: Duration = Duration::from_millis(100);
/// Timeout for ending a session.
const END_LIMIT: Duration = Duration::from_secs(1);

/// The connection, shared by the statements of concurrent requests, with its statistics.
pub struct SharedConnection {
    connection: Connection,
    users: Cell<Users>,
    /// How long it took to open; `None` once that has been compared with the duration of a statement.
    open_duration: Cell<Option<Duration>>,
    /// Whether it is kept while idle; a background task then releases it in time.
    is_kept: Cell<bool>,
    /// How many statements it has been used for.
    statement_count: Cell<u32>,
    /// How many statements are running on it.
    active_statements: Cell<u32>,
    /// How many statements have ended on it.
    ended_statements: Cell<u32>,
    /// When a statement saw progress last, and how many had ended then.
    progress: Cell<(u32, Instant)>,
    /// The session is to be ended when its last statement has.
    is_ending: Cell<Option<Termination>>,
}

impl SharedConnection {
    fn new(connection: Connection, users: Users, open_duration: Option<Duration>) -> Rc<Self> {
        Rc::new(Self {
            connection,
            users: Cell::new(users),
            open_duration: Cell::new(open_duration),
            is_kept: Cell::default(),
            statement_count: Cell::default(),
            active_statements: Cell::default(),
            ended_statements: Cell::default(),
            progress: Cell::new((0, task::now())),
            is_ending: Cell::default(),
        })
    }

    /// Whether its statements make no progress. Looked at when a statement begins, so that none has to read the clock at its end.
    fn is_stalled(&self) -> bool {
        let (seen, at) = self.progress.get();
        let ended = self.ended_statements.get();
        if self.active_statements.get() == 0 || ended != seen {
            self.progress.set((ended, task::now()));
            return false;
        }
        task::now().saturating_duration_since(at) > STALL_LIMIT
    }
}

thread_local! {
    static SLOTS: RefCell<Slots<SharedConnection>> = const { RefCell::new(Slots::new()) };
    /// Notified when an attempt to open a connection has ended.
    static OPENED: Rc<Notify> = Rc::default();
}

/// Guard: the use of the connection for one statement.
pub struct ConnectionGuard {
    shared: Rc<SharedConnection>,
    begun: Option<Instant>,
}

impl ConnectionGuard {
    fn of(shared: Rc<SharedConnection>) -> Self {
        shared.statement_count.set(shared.statement_count.get().wrapping_add(1));
        shared.active_statements.set(shared.active_statements.get() + 1);
        let begun = shared.open_duration.get().map(|_| Instant::now());
        Self { shared, begun }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// The shared connection, so that it can be discarded after the guard is dropped.
    pub fn shared(&self) -> Rc<SharedConnection> {
        self.shared.clone()
    }

    /// Decides whether the connection is kept: compares the time that opening took with the duration of the first statement that
    /// ends.
    fn decide_keeping(&self) {
        if let (Some(begun), Some(open_duration)) = (self.begun, self.shared.open_duration.take()) {
            let is_fast = open_duration <= begun.elapsed();
            let fast_opens_needed = SLOTS.with_borrow_mut(|slots| {
                let slot = slots.of(self.shared.users.get());
                slot.fast_opens_needed =
                    if is_fast { slot.fast_opens_needed.saturating_sub(1) } else { FAST_OPENS };
                slot.fast_opens_needed
            });
            if fast_opens_needed == 0 {
                self.shared.is_kept.set(true);
                let releasing = release_when_idle(Rc::downgrade(&self.shared), Instant::now() + KEEP_LIMIT);
                task::spawn_for_instance(releasing);
            }
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.decide_keeping();
        let shared = &self.shared;
        shared.active_statements.set(shared.active_statements.get() - 1);
        shared.ended_statements.set(shared.ended_statements.get().wrapping_add(1));
        if shared.active_statements.get() > 0 {
            return;
        }
        if !shared.is_kept.get() {
            release_if_current(shared);
        }
        if let Some(which) = shared.is_ending.take() {
            let shared = shared.clone();
            task::spawn(async move {
                terminate(&shared, which).await;
            });
        }
    }
}

/// Discards a connection that is closed or in an unknown state: the next statement opens another.
pub fn discard(shared: &Rc<SharedConnection>) {
    // The duration of a failed statement is not compared.
    shared.open_duration.set(None);
    release_if_current(shared);
}

/// Which sessions are ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Termination {
    /// Any.
    Always,
    /// Those that have been open for [`NEW_SESSION`]: a younger one knows how the server is now.
    UnlessNew,
}

/// Ends the session of a discarded connection, because dropping it would only return it to the host's pool, which hands it out
/// again. While other statements run on it, that is left to the last of them. False when the session is new, and was not ended.
pub async fn end_session(shared: Rc<SharedConnection>, which: Termination) -> bool {
    if shared.active_statements.get() > 0 {
        shared.is_ending.set(Some(which));
        return true;
    }
    terminate(&shared, which).await
}

async fn terminate(shared: &Rc<SharedConnection>, which: Termination) -> bool {
    let statement = match which {
        Termination::Always => include_str!("sql/end_session.sql"),
        Termination::UnlessNew => include_str!("sql/end_old_session.sql"),
    };
    let shared = shared.clone();
    let ending = async move { shared.connection.execute(statement, Vec::new()).await };
    // No row: the session is new. An error: it is gone, or cannot even do this; then the pool's reset fails as well.
    !matches!(host_call::with_timeout(END_LIMIT, ending).await, Some(Ok(0)))
}

/// Takes a connection out of the slot, if it is the current one. It goes back to the host's pool when its statements have ended.
fn release_if_current(shared: &Rc<SharedConnection>) {
    // Dropped outside of the borrow: dropping it is a host call.
    drop(SLOTS.with_borrow_mut(|slots| {
        slots.of(shared.users.get()).current.take_if(|kept| Rc::ptr_eq(kept, shared))
    }));
}

/// Releases the current connections to the host's pool when their statements have ended.
pub fn release() {
    release_of(Users::Requests);
    release_of(Users::Background);
}

fn release_of(users: Users) {
    let shared = SLOTS.with_borrow_mut(|slots| slots.of(users).current.take());
    drop(shared);
}

/// What a request does to get a connection.
enum Acquisition {
    Use(Rc<SharedConnection>),
    Open { is_probe: bool, _opening: Opening },
    Wait,
    Refuse,
}

fn next_acquisition(users: Users) -> Acquisition {
    let is_stalled = |slots: &mut Slots<SharedConnection>| {
        slots.of(users).current.as_ref().is_some_and(|shared| shared.is_stalled())
    };
    if SLOTS.with_borrow_mut(is_stalled) {
        release_of(users);
    }
    SLOTS.with_borrow_mut(|slots| {
        let current = slots.of(users).current.clone().or_else(|| take_over(slots, users));
        if let Some(shared) = current {
            return Acquisition::Use(shared);
        }
        let is_probing = slots.requests.is_opening || slots.background.is_opening;
        // Circuit breaker: a single task probes a database that did not answer; the others fail at once.
        if slots.retry_at.is_some_and(|at| is_probing || task::now() < at) {
            return Acquisition::Refuse;
        }
        if std::mem::replace(&mut slots.of(users).is_opening, true) {
            return Acquisition::Wait;
        }
        Acquisition::Open { is_probe: slots.retry_at.is_some(), _opening: Opening(users) }
    })
}

/// Gives these users the connection that the others have kept and do not use at the moment. Opening one would release it, and for
/// the flushes of many instances the host would open connections beside those of the requests.
fn take_over(slots: &mut Slots<SharedConnection>, users: Users) -> Option<Rc<SharedConnection>> {
    let idle = slots.of(users.others()).current.take_if(|shared| shared.active_statements.get() == 0)?;
    idle.users.set(users);
    slots.of(users).current = Some(idle.clone());
    Some(idle)
}

/// Gets the connection for one statement of the task that is being polled, opening it if there is none.
///
/// # Errors
/// [`StatementFailure`] when it cannot be opened, or the circuit breaker is open.
pub async fn acquire(config: &Config) -> Result<ConnectionGuard, StatementFailure> {
    let deadline = task::now() + OPEN_LIMIT;
    let users = Users::current();
    loop {
        // Those that wait try one after the other when attempts fail quickly.
        if task::now() > deadline {
            return Err(StatementFailure::TimedOut);
        }
        match next_acquisition(users) {
            Acquisition::Use(shared) => return Ok(ConnectionGuard::of(shared)),
            Acquisition::Refuse => {
                return Err(StatementFailure::Connect("no connection in time, a moment ago".into()));
            }
            Acquisition::Open { is_probe, _opening } => {
                let limit = if is_probe { PROBE_LIMIT } else { OPEN_LIMIT };
                let opened = open(config.database.expose().clone(), users, limit).await;
                let timed_out = matches!(opened, Err(StatementFailure::TimedOut));
                SLOTS.with_borrow_mut(|slots| {
                    // While requests are served, the pool is full, and not the database gone.
                    let is_gone = timed_out && (users == Users::Requests || !has_just_succeeded());
                    slots.retry_at = is_gone.then(|| task::now() + BREAKER_OPEN);
                    slots.of(users).current = opened.as_ref().ok().cloned();
                });
                return opened.map(ConnectionGuard::of);
            }
            Acquisition::Wait => {
                let opened = OPENED.with(Rc::clone);
                opened.notified().await;
            }
        }
    }
}

/// Opens a session of its own for one statement, which may wait for a lock as long as `statement_timeout` lets it.
///
/// # Errors
/// As [`acquire`].
pub async fn open_own(config: &Config) -> Result<ConnectionGuard, StatementFailure> {
    if SLOTS.with_borrow(|slots| slots.retry_at.is_some_and(|at| task::now() < at)) {
        return Err(StatementFailure::Connect("no connection in time, a moment ago".into()));
    }
    let opened = open(config.database_patient.expose().clone(), Users::current(), OPEN_LIMIT).await;
    // Those who wait for locks may have taken the whole pool, while the database is well.
    if matches!(opened, Err(StatementFailure::TimedOut)) && !has_just_succeeded() {
        SLOTS.with_borrow_mut(|slots| slots.retry_at = Some(task::now() + BREAKER_OPEN));
    }
    let own = opened?;
    // It is neither kept nor compared with others.
    own.open_duration.set(None);
    Ok(ConnectionGuard::of(own))
}

/// Guard of an attempt to open a connection: when it is dropped, also by a cancel, the waiting tasks go on.
struct Opening(Users);

impl Drop for Opening {
    fn drop(&mut self) {
        SLOTS.with_borrow_mut(|slots| slots.of(self.0).is_opening = false);
        OPENED.with(|opened| opened.notify_waiters());
    }
}

async fn open(
    address: String,
    users: Users,
    limit: Duration,
) -> Result<Rc<SharedConnection>, StatementFailure> {
    // The instance must not hold one connection while it waits for another.
    release();
    let begun = Instant::now();
    let mut opening = Box::pin(connect(address, users, begun));
    match timeout(limit, opening.as_mut()).await {
        // A timeout of the host, or a network that drops packets.
        Some(Err(StatementFailure::Connect(_))) if begun.elapsed() >= TIMED_OUT_AFTER => {
            Err(StatementFailure::TimedOut)
        }
        Some(opened) => opened,
        None => {
            // The attempt goes on in the background. If it succeeds, the circuit breaker closes.
            task::spawn(host_call::finish_or_cancel(Box::pin(async move {
                if opening.await.is_ok() {
                    SLOTS.with_borrow_mut(|slots| slots.retry_at = None);
                }
            })));
            Err(StatementFailure::TimedOut)
        }
    }
}

async fn connect(
    address: String,
    users: Users,
    begun: Instant,
) -> Result<Rc<SharedConnection>, StatementFailure> {
    let connection = Connection::open(address).await?;
    Ok(SharedConnection::new(connection, users, Some(begun.elapsed())))
}

/// Background task: releases a kept connection when it is idle, or at `end`.
async fn release_when_idle(kept: Weak<SharedConnection>, end: Instant) {
    let mut statement_count = None;
    while let Some(shared) = kept.upgrade() {
        let is_idle =
            shared.active_statements.get() == 0 && statement_count == Some(shared.statement_count.get());
        if is_idle || Instant::now() >= end {
            release_if_current(&shared);
        }
        statement_count = Some(shared.statement_count.get());
        drop(shared);
        spin_sdk::time::sleep(IDLE_LIMIT).await;
    }
}
