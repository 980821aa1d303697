//! Errors of statements, classified by whether a retry may succeed.

use anyhow::{Error, anyhow};
use spin_sdk::pg::{Error as SpinError, PgError, QueryError};
use std::fmt;

/// Why a statement gave no result. The cause is for the log alone: it names the statement, and may quote PostgreSQL.
#[derive(Debug)]
pub enum DbError {
    /// Transient: PostgreSQL does not answer, is starting or stopping, or is full. A retry may succeed later (503).
    Unavailable(Error),
    /// Permanent: the statement or its result is wrong, which is a fault of the service (500).
    Broken(Error),
}

impl DbError {
    /// Adds to the cause what was being done.
    pub fn context(self, context: impl fmt::Display + Send + Sync + 'static) -> Self {
        match self {
            Self::Unavailable(cause) => Self::Unavailable(cause.context(context)),
            Self::Broken(cause) => Self::Broken(cause.context(context)),
        }
    }
}

impl fmt::Display for DbError {
    /// The whole chain of causes, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(cause) | Self::Broken(cause)) = self;
        write!(f, "{cause:#}")
    }
}

/// A failed attempt at a statement.
#[derive(Clone, Debug)]
pub enum StatementFailure {
    /// The connection could not be opened, or the circuit breaker is open.
    Connect(String),
    /// The connection is closed: the server went away since it was opened.
    Closed(String),
    /// The server is shutting down, starting, or full (SQLSTATE and message).
    Refused(String, String),
    /// A serialization failure or a deadlock (SQLSTATE class 40): to be retried.
    Conflict(String),
    /// No answer within the deadline.
    TimedOut,
    /// Anything else.
    Other(String),
}

impl StatementFailure {
    /// Whether the connection must not be used any more.
    pub fn discards_connection(&self) -> bool {
        match self {
            Self::Closed(_) | Self::Refused(..) | Self::TimedOut => true,
            Self::Connect(_) | Self::Conflict(_) | Self::Other(_) => false,
        }
    }

    /// Whether the statement is retried once. A statement that may have been executed is retried too, because all statements are
    /// idempotent: a repeated place_order finds its own order, a repeated apply_transition fails its version check.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Closed(_) | Self::Conflict(_) => true,
            // admin_shutdown: the server ended the session, and may be up again already.
            Self::Refused(code, _) => code == "57P01",
            Self::Connect(_) | Self::TimedOut | Self::Other(_) => false,
        }
    }
}

/// The statement took longer than `statement_timeout`.
const QUERY_CANCELED: &str = "57014";
/// The server is a standby, or became one: another connection may lead to the primary.
const READ_ONLY: &str = "25006";

impl From<SpinError> for StatementFailure {
    fn from(error: SpinError) -> Self {
        match error {
            SpinError::PgError(PgError::ConnectionFailed(message)) => Self::Connect(message),
            SpinError::PgError(PgError::QueryFailed(QueryError::Text(message))) => {
                if message.to_ascii_lowercase().contains("closed")
                    || message.contains("communicating with the server")
                {
                    Self::Closed(message)
                } else {
                    Self::Other(message)
                }
            }
            SpinError::PgError(PgError::QueryFailed(QueryError::DbError(error))) => match &error.code[..] {
                code if code.starts_with("57P")
                    || code.starts_with("08")
                    || code.starts_with("53")
                    || code.starts_with("58")
                    || matches!(code, QUERY_CANCELED | READ_ONLY) =>
                {
                    Self::Refused(error.code, error.message)
                }
                code if code.starts_with("40") => Self::Conflict(error.message),
                // Without the detail, which quotes the values of the row.
                _ => Self::Other(format!("{} ({})", error.message, error.code)),
            },
            SpinError::PgError(other) => Self::Other(other.to_string()),
            SpinError::Decode(message) => Self::Other(message),
        }
    }
}

impl From<StatementFailure> for DbError {
    fn from(failure: StatementFailure) -> Self {
        match failure {
            StatementFailure::Connect(message) => {
                Self::Unavailable(anyhow!(message).context("no connection"))
            }
            StatementFailure::Closed(message) => {
                Self::Unavailable(anyhow!(message).context("the connection broke"))
            }
            StatementFailure::Conflict(message) => Self::Unavailable(anyhow!(message).context("conflict")),
            StatementFailure::Refused(code, message) => Self::Unavailable(anyhow!("{message} ({code})")),
            StatementFailure::TimedOut => Self::Unavailable(anyhow!("no answer in time")),
            StatementFailure::Other(message) => Self::Broken(anyhow!(message)),
        }
    }
}
