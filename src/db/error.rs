//! What can go wrong with a statement.

use anyhow::{Error, anyhow};
use spin_sdk::pg::{Error as SpinError, PgError, QueryError};
use std::fmt;

/// Why a statement gave no result. The cause is for the log alone: it names the statement, and may quote PostgreSQL.
#[derive(Debug)]
pub enum DbError {
    /// PostgreSQL does not answer, is starting or stopping, or has no room: the same call may go through later.
    Unavailable(Error),
    /// The statement itself is wrong, or its result is: a fault of ours.
    Broken(Error),
}

impl DbError {
    /// Adds what was being done to the cause.
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
    /// The connection could not be opened.
    Connect(String),
    /// The connection is closed: the server went away since it was opened.
    Closed(String),
    /// The server is shutting down, starting, or full (SQLSTATE and message).
    Refused(String, String),
    /// Another transaction was faster, and asking again is right (SQLSTATE class 40).
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

    /// A statement that may have been executed is repeated only because every one of ours may be: a repeated
    /// place_order finds its own order, a repeated store_transition a version that has moved on.
    pub fn is_worth_a_second_try(&self) -> bool {
        match self {
            Self::Closed(_) | Self::Conflict(_) => true,
            // The server ended our session, and may be up again already.
            Self::Refused(code, _) => code == "57P01",
            Self::Connect(_) | Self::TimedOut | Self::Other(_) => false,
        }
    }
}

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
                    || code == "57014" =>
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
