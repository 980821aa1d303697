//! The only module that talks to PostgreSQL: one connection an instance for its concurrent requests, one for its background work,
//! and sessions of their own for statements that may take long.
//!
//! Every statement is one autocommit statement of `sql/`, mostly a call of a function of `migrations/`. No session
//! state, no transaction and no open result outlives a statement, so that statements of concurrent requests can be
//! pipelined on one connection.

mod answer;
mod connection;
mod error;
pub mod events;
pub mod document_owner;
pub mod key_sets;
pub mod lists;
pub mod metrics;
pub mod operator;
pub mod orders;
pub mod outbox;
pub mod payment_checks;
pub mod payment_refunds;
mod recent;
mod slots;
mod statement_name;
mod statement_span;
pub mod transition;

use crate::config::Config;
use crate::runtime::host_call::with_timeout;
use crate::runtime::task;
use crate::telemetry::counters;
use crate::telemetry::series::Series;
use anyhow::anyhow;
use connection::{ConnectionGuard, Termination};
use error::{Class, StatementFailure};
use spin_sdk::pg::{DbValue, Error as SpinError, ParameterValue};
use statement_name::{function, name};
use std::time::Duration;

pub use connection::release as release_connection;
pub use error::DbError;
pub use recent::has_just_succeeded;
pub use statement_name::STATEMENTS;

/// Client-side timeout of a statement, for a server or a network that does not answer. Longer than `statement_timeout` (3
/// seconds), with which a server that is alive ends the statement itself.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(4);

/// The classes of failed attempts, as metrics name them.
pub const FAILURE_CLASSES: [&str; 7] = Class::NAMES;

/// One row of a statement's result.
struct Row {
    statement: &'static str,
    /// In the order of the statement's columns.
    values: Vec<DbValue>,
}

/// What is the last element of an answer, or its last column, when it comes from a read-only server.
const READ_ONLY: &str = "read-only";

/// Whether an answer says that it comes from a read-only server, which may be behind.
fn is_read_only(values: &[DbValue]) -> bool {
    let element = match values.last() {
        Some(DbValue::ArrayStr(elements)) => elements.last().and_then(Option::as_deref),
        Some(DbValue::Str(text)) => Some(&text[..]),
        _ => None,
    };
    element == Some(READ_ONLY)
}

/// On which session a statement runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Session {
    /// On the one that the instance's requests share; in a sweep on the one that its background work shares. It waits for locks for a
    /// moment only, because it holds up the others.
    Shared,
    /// On one of its own, for statements that may take long, so that they hold up no others.
    Own,
}

/// Runs a statement that returns one row at most.
///
/// After a failover the host's pools still have sessions to the old primary, which is read-only and behind. So every statement
/// that answers without having written says [`READ_ONLY`] there, or raises 25006. What such a session answers counts only when no
/// server takes writes: the session is ended, and the statement repeated on a new one. While all servers are read-only, that is
/// found out once a second, and reads go on.
async fn query(
    config: &Config,
    session: Session,
    statement: &'static str,
    parameters: impl Fn() -> Vec<ParameterValue>,
) -> Result<Option<Row>, DbError> {
    let span = statement_span::begin(config, name(statement));
    let values = run(
        config,
        session,
        function(statement),
        |row: &Option<Vec<DbValue>>| row.as_deref().is_some_and(is_read_only),
        |guard| fetch_optional(guard, statement, parameters()),
    )
    .await;
    statement_span::end(span, values.as_ref().err());
    let values = values.map_err(|failure| DbError::from(failure).context(name(statement)))?;
    Ok(values.map(|values| Row { statement, values }))
}

/// Runs a statement that returns any number of rows, and writes: a read-only server refuses it.
async fn query_all(
    config: &Config,
    session: Session,
    statement: &'static str,
    parameters: impl Fn() -> Vec<ParameterValue>,
) -> Result<Vec<Row>, DbError> {
    let span = statement_span::begin(config, name(statement));
    let fetch = |guard| fetch_all(guard, statement, parameters());
    let rows = run(config, session, function(statement), |_| false, fetch).await;
    statement_span::end(span, rows.as_ref().err());
    let rows = rows.map_err(|failure| DbError::from(failure).context(name(statement)))?;
    Ok(rows.into_iter().map(|values| Row { statement, values }).collect())
}

/// How often a statement is attempted in all, by the class of its last failure. A statement that may have been executed is
/// repeated too, because all statements are idempotent: a repeated insert_order finds its own order, a repeated apply_transition
/// fails its version check.
const fn attempts(class: Class) -> u32 {
    match class {
        Class::Conflict => 3,
        Class::Unexpected => 2,
        Class::SessionLost => 5,
        // As many as the host's pool may have from before a failover, and some more.
        Class::ReadOnly => 80,
        Class::Locked => u32::MAX,
        Class::Unavailable | Class::Fault => 1,
    }
}

/// No attempt is begun after so long, but one that may wait for a lock.
const ATTEMPTS_LIMIT: Duration = Duration::from_secs(2);

/// Runs a statement of this name with a timeout, and repeats it at once where its failure's class says so. What a read-only server has answered
/// is returned when no server takes writes, or no other answers.
async fn run<T: 'static, F>(
    config: &Config,
    session: Session,
    name: &'static str,
    is_read_only: impl Fn(&T) -> bool,
    statement: impl Fn(ConnectionGuard) -> F,
) -> Result<T, StatementFailure>
where
    F: Future<Output = Result<T, StatementFailure>> + 'static,
{
    let mut outdated = None;
    let failure = match attempt_all(config, session, name, is_read_only, statement, &mut outdated).await {
        Ok(answer) => return Ok(answer),
        Err(failure) => failure,
    };
    if failure.class() == Class::ReadOnly && !recent::is_read_only() {
        // There was no time to ask all sessions.
        return Err(failure);
    }
    let answer = outdated.ok_or(failure)?;
    recent::note_read_only();
    Ok(answer)
}

/// Attempts a statement until it succeeds, or must not be repeated. `outdated`: the last answer of a read-only server.
async fn attempt_all<T: 'static, F>(
    config: &Config,
    mut session: Session,
    name: &'static str,
    is_read_only: impl Fn(&T) -> bool,
    statement: impl Fn(ConnectionGuard) -> F,
    outdated: &mut Option<T>,
) -> Result<T, StatementFailure>
where
    F: Future<Output = Result<T, StatementFailure>> + 'static,
{
    let begun = task::now();
    let mut attempt = 1;
    let mut has_waited = false;
    let mut was_refused = false;
    loop {
        let guard = match session {
            Session::Shared => connection::acquire(config).await,
            // PostgreSQL may be full.
            Session::Own => match connection::open_own(config).await {
                Err(StatementFailure::Connect(_)) => connection::acquire(config).await,
                opened => opened,
            },
        };
        let guard = guard.inspect_err(|failure| counters::count_failure(failure.class().as_str()))?;
        let attempt_begun = task::now();
        let shared = guard.shared();
        let result = with_timeout(STATEMENT_DEADLINE, statement(guard)).await;
        counters::observe(Series::Statement { name }, task::now().duration_since(attempt_begun));
        let failure = match result.unwrap_or(Err(StatementFailure::TimedOut)) {
            Ok(answer) => {
                recent::note_success(attempt_begun);
                if !is_read_only(&answer) {
                    if was_refused {
                        recent::forget_read_only();
                    }
                    return Ok(answer);
                }
                if recent::is_read_only() {
                    return Ok(answer);
                }
                *outdated = Some(answer);
                StatementFailure::Refused(Class::ReadOnly, READ_ONLY.to_owned())
            }
            Err(failure) => failure,
        };
        if failure.discards_connection() {
            connection::discard(&shared);
        }
        let class = failure.class();
        counters::count_failure(class.as_str());
        let may_help = match class {
            // The pool would hand the session out again; what it has in memory is the server's again, too.
            Class::Unavailable if matches!(failure, StatementFailure::Refused(..)) => {
                connection::end_session(shared, Termination::Always).await;
                false
            }
            Class::SessionLost => connection::end_session(shared, Termination::Always).await,
            // Repeated on a session of its own: no other statement runs on that, so that it is known whether it is new.
            Class::ReadOnly => {
                was_refused = true;
                let was_shared = std::mem::replace(&mut session, Session::Own) == Session::Shared;
                let is_ended = connection::end_session(shared, Termination::UnlessNew).await;
                // One that was opened just before the server could be written is not new any more after that time, and is ended.
                let may_wait = !is_ended && !was_shared && !std::mem::replace(&mut has_waited, true);
                if may_wait {
                    spin_sdk::time::sleep(connection::NEW_SESSION).await;
                }
                let may_help = is_ended || was_shared || may_wait;
                if !may_help {
                    recent::note_read_only();
                }
                may_help
            }
            Class::Locked => {
                // Others may wait for locks on it, one after the other: nobody else is to wait behind them.
                connection::discard(&shared);
                std::mem::replace(&mut session, Session::Own) == Session::Shared
            }
            Class::Conflict | Class::Unavailable | Class::Unexpected | Class::Fault => true,
        };
        let is_in_time = class == Class::Locked || begun.elapsed() < ATTEMPTS_LIMIT;
        if !may_help || attempt >= attempts(class) || !is_in_time {
            return Err(failure);
        }
        attempt += 1;
    }
}

/// Waits for the statement's end before it reads the row, which is then there without another wakeup by the host. Only for one row:
/// the host buffers four, and with more of them the end would never come.
async fn fetch_optional(
    guard: ConnectionGuard,
    statement: &str,
    parameters: Vec<ParameterValue>,
) -> Result<Option<Vec<DbValue>>, StatementFailure> {
    let (_, mut rows, end) = guard.connection().query(statement, parameters).await?.into_inner();
    // Errors of execution, such as a violated constraint, arrive only here.
    end.await.map_err(SpinError::PgError)?;
    Ok(rows.next().await)
}

/// Reads all rows before it waits for the statement's end, because the host buffers only a few of them.
async fn fetch_all(
    guard: ConnectionGuard,
    statement: &str,
    parameters: Vec<ParameterValue>,
) -> Result<Vec<Vec<DbValue>>, StatementFailure> {
    let (_, mut stream, end) = guard.connection().query(statement, parameters).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        rows.push(row);
    }
    end.await.map_err(SpinError::PgError)?;
    Ok(rows)
}

/// Reads the columns of a row one after the other, by type.
struct Columns {
    statement: &'static str,
    values: std::vec::IntoIter<DbValue>,
    /// The number of the column that was read last, from 1.
    column: usize,
}

impl Columns {
    fn of(row: Row) -> Self {
        Self { statement: row.statement, values: row.values.into_iter(), column: 0 }
    }

    /// An error that names the statement and the column that was read last, without the value, which may be personal data.
    fn error(&self, what: &str) -> DbError {
        let cause = anyhow!("column {} {what}", self.column);
        DbError::Broken(cause.context(name(self.statement)))
    }

    fn next(&mut self) -> Result<DbValue, DbError> {
        self.column += 1;
        self.values.next().ok_or_else(|| self.error("is missing"))
    }

    fn optional_text(&mut self) -> Result<Option<String>, DbError> {
        match self.next()? {
            DbValue::Str(text) | DbValue::Uuid(text) => Ok(Some(text)),
            DbValue::DbNull => Ok(None),
            _ => Err(self.error("is not text")),
        }
    }

    fn text(&mut self) -> Result<String, DbError> {
        self.optional_text()?.ok_or_else(|| self.error("is null"))
    }

    fn bool(&mut self) -> Result<bool, DbError> {
        match self.next()? {
            DbValue::Boolean(value) => Ok(value),
            _ => Err(self.error("is not a boolean")),
        }
    }

    fn int(&mut self) -> Result<i32, DbError> {
        match self.next()? {
            DbValue::Int32(number) => Ok(number),
            _ => Err(self.error("is not an integer")),
        }
    }

    fn optional_texts(&mut self) -> Result<Option<Vec<Option<String>>>, DbError> {
        match self.next()? {
            DbValue::ArrayStr(texts) => Ok(Some(texts)),
            DbValue::DbNull => Ok(None),
            _ => Err(self.error("is not an array of text")),
        }
    }
}

/// The columns of a row that must be there.
fn require_row(row: Option<Row>) -> Result<Columns, DbError> {
    row.map(Columns::of).ok_or_else(|| DbError::Broken(anyhow!("a statement gave no row")))
}

fn uuid(id: uuid::Uuid) -> ParameterValue {
    ParameterValue::Uuid(id.to_string())
}

fn text(text: impl Into<String>) -> ParameterValue {
    ParameterValue::Str(text.into())
}

fn ints(numbers: &[i32]) -> ParameterValue {
    ParameterValue::ArrayInt32(numbers.iter().copied().map(Some).collect())
}

fn json(value: &serde_json::Value) -> ParameterValue {
    ParameterValue::Jsonb(value.to_string().into_bytes())
}

fn ids(ids: Option<&[uuid::Uuid]>) -> ParameterValue {
    ids.map_or(ParameterValue::DbNull, |ids| {
        ParameterValue::ArrayStr(ids.iter().map(|id| Some(id.to_string())).collect())
    })
}
