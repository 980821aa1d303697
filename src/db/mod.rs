//! The only module that talks to PostgreSQL: one connection per instance, shared by its concurrent requests.
//!
//! Every statement is one autocommit statement of `sql/`, mostly a call of a function of `migrations/`. No session
//! state, no transaction and no open result outlives a statement, so that statements of concurrent requests can be
//! pipelined on one connection.

mod answer;
mod connection;
mod error;
pub mod metrics;
pub mod operator;
pub mod orders;
pub mod outbox;
pub mod payment_refunds;
pub mod transition;

use crate::config::Config;
use crate::runtime::host_call::with_timeout;
use anyhow::anyhow;
use connection::ConnectionGuard;
use error::StatementFailure;
use spin_sdk::pg::{DbValue, Error as SpinError, ParameterValue};
use std::time::Duration;

pub use connection::release as release_connection;
pub use error::DbError;

/// Client-side timeout of a statement, for a server or a network that does not answer. Longer than `statement_timeout` (3
/// seconds), with which a server that is alive ends the statement itself.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(4);

/// One row of a statement's result.
struct Row {
    statement: &'static str,
    /// In the order of the statement's columns.
    values: Vec<DbValue>,
}

/// A statement without its parameters, for the log: `SELECT place_order`.
fn name(statement: &str) -> &str {
    statement.split('(').next().unwrap_or_default().trim_end()
}

/// Runs a statement that returns one row at most.
async fn query(
    config: &Config,
    statement: &'static str,
    parameters: impl Fn() -> Vec<ParameterValue>,
) -> Result<Option<Row>, DbError> {
    let values = run_with_retry(config, |guard| fetch_optional(guard, statement, parameters())).await;
    let values = values.map_err(|error| error.context(name(statement)))?;
    Ok(values.map(|values| Row { statement, values }))
}

/// Runs a statement that returns any number of rows.
async fn query_all(
    config: &Config,
    statement: &'static str,
    parameters: impl Fn() -> Vec<ParameterValue>,
) -> Result<Vec<Row>, DbError> {
    let rows = run_with_retry(config, |guard| fetch_all(guard, statement, parameters())).await;
    let rows = rows.map_err(|error| error.context(name(statement)))?;
    Ok(rows.into_iter().map(|values| Row { statement, values }).collect())
}

/// Runs a statement on the instance's connection with a timeout, and retries it once where that is right: after a closed
/// connection, which is reopened, and after a serialization failure.
async fn run_with_retry<T: 'static, F>(
    config: &Config,
    run: impl Fn(ConnectionGuard) -> F,
) -> Result<T, DbError>
where
    F: Future<Output = Result<T, StatementFailure>> + 'static,
{
    let mut retried = false;
    loop {
        let guard = connection::acquire(config).await?;
        let shared = guard.shared();
        let result =
            with_timeout(STATEMENT_DEADLINE, run(guard)).await.unwrap_or(Err(StatementFailure::TimedOut));
        match result {
            Ok(result) => return Ok(result),
            Err(failure) => {
                if failure.discards_connection() {
                    connection::discard(&shared);
                }
                if retried || !failure.is_retryable() {
                    return Err(failure.into());
                }
                retried = true;
            }
        }
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
