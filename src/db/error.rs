//! Errors of statements, classified by what is to be done about them: one table of every SQLSTATE class.

use anyhow::{Error, anyhow};
use spin_sdk::pg::{Error as SpinError, PgError, QueryError};
use std::fmt;

/// Why a statement gave no result. The cause is for the log alone: it names the statement, and may quote PostgreSQL.
#[derive(Debug)]
pub enum DbError {
    /// Transient: PostgreSQL does not answer, cannot be written, is starting or stopping, or is full. A retry may succeed later
    /// (503).
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

    /// What it is called in a span (`error.type`): as the problem that a client would get.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "database_unavailable",
            Self::Broken(_) => "internal_error",
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

/// What an SQLSTATE calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The statement met a concurrent one. It is repeated at once; 503 when that does not help.
    Conflict,
    /// A lock was not to be had within the session's `lock_timeout`. The statement is repeated on a session of its own, which may
    /// wait for longer; 503 when that does not help.
    Locked,
    /// The server does not take writes (a standby, a fenced primary). A session from before a failover is ended, and the statement
    /// repeated on another one, which may lead to the new primary; 503 when that is read-only, too.
    ReadOnly,
    /// The session cannot be used any more. It is ended, and the statement repeated on another one; 503 when that does not help.
    SessionLost,
    /// The database cannot do it now: 503. The session is ended: another one may be better off.
    Unavailable,
    /// The schema was changed under the statement, a concurrent one has just stored what a unique index takes once, or PostgreSQL
    /// contradicts itself. Repeated at once; a fault when it stays.
    Unexpected,
    /// The statement is wrong: a fault of the service (500).
    Fault,
}

impl Class {
    /// Every class, as metrics name it.
    pub const NAMES: [&str; 7] =
        ["conflict", "locked", "read_only", "session_lost", "unavailable", "unexpected", "fault"];

    /// The name for metrics.
    pub const fn as_str(self) -> &'static str {
        // In the order of the variants.
        Self::NAMES[self as usize]
    }
}

/// Every class of SQLSTATE (PostgreSQL, appendix A), by the longest prefix: single codes before their class.
const CLASSES: &[(&str, Class)] = &[
    ("00", Class::Fault), // successful completion: no error
    ("01", Class::Fault), // warning: no error
    ("02", Class::Fault), // no data: no error
    ("03", Class::Fault), // SQL statement not yet complete
    // Connection exception. Connection poolers answer so, too.
    ("08", Class::SessionLost),
    ("09", Class::Fault), // triggered action exception
    ("0A", Class::Fault), // feature not supported, but:
    // "cached plan must not change result type": a migration came between prepare and execute.
    ("0A000", Class::Unexpected),
    // Invalid transaction initiation: a transaction is open, which no statement of the service makes.
    ("0B", Class::SessionLost),
    ("0F", Class::Fault), // locator exception
    ("0L", Class::Fault), // invalid grantor
    ("0P", Class::Fault), // invalid role specification
    ("0Z", Class::Fault), // diagnostics exception
    ("10", Class::Fault), // XQuery error
    ("20", Class::Fault), // case not found
    ("21", Class::Fault), // cardinality violation
    ("22", Class::Fault), // data exception
    ("23", Class::Fault), // integrity constraint violation; see also PAYMENT_INDEXES
    // Invalid cursor state: the session's, because the service declares no cursor.
    ("24", Class::SessionLost),
    // Invalid transaction state: the session has an open or a failed transaction, or was ended because of one.
    ("25", Class::SessionLost),
    ("25006", Class::ReadOnly),
    // Transaction timeout: the statement would take too long again, and the session is gone.
    ("25P04", Class::Unavailable),
    // Invalid SQL statement name: a prepared statement is unknown, because a pooler in transaction mode changed the session.
    ("26", Class::SessionLost),
    ("27", Class::Fault), // triggered data change violation
    // Invalid authorization: the role's rights or its password changed.
    ("28", Class::SessionLost),
    ("2B", Class::Fault), // dependent privilege descriptors still exist
    ("2D", Class::Fault), // invalid transaction termination, by a function
    ("2F", Class::Fault), // SQL routine exception
    // Invalid cursor name: the portal of the statement is unknown, as with 26.
    ("34", Class::SessionLost),
    ("38", Class::Fault), // external routine exception
    ("39", Class::Fault), // external routine invocation exception
    // Savepoint exception: as 25.
    ("3B", Class::SessionLost),
    // Invalid catalog name: the session's database was dropped.
    ("3D", Class::SessionLost),
    ("3F", Class::Fault), // invalid schema name
    // Transaction rollback: serialization failure, deadlock.
    ("40", Class::Conflict),
    ("40002", Class::Fault), // a deferred constraint is violated
    ("42", Class::Fault),    // syntax error or access rule violation, but:
    // Duplicate prepared statement: as 26.
    ("42P05", Class::SessionLost),
    ("44", Class::Fault), // WITH CHECK OPTION violation
    // Insufficient resources: disk, memory, connections.
    ("53", Class::Unavailable),
    ("54", Class::Fault), // program limit exceeded
    // Object not in prerequisite state: somebody has a table for himself, or the database takes no connections.
    ("55", Class::Unavailable),
    ("55P03", Class::Locked),
    ("55P04", Class::Fault), // unsafe new enum value usage
    // Operator intervention, 57014 among it: statement_timeout, or cancelled by an administrator.
    ("57", Class::Unavailable),
    // Shutdown, crash, database dropped, idle session timeout: the server has ended the session.
    ("57P", Class::SessionLost),
    // System error, outside of PostgreSQL: I/O, a file.
    ("58", Class::Unavailable),
    // Snapshot too old: the next one is new.
    ("72", Class::Conflict),
    ("F0", Class::Unavailable), // configuration file error
    ("HV", Class::Fault),       // foreign data wrapper error
    ("P0", Class::Fault),       // PL/pgSQL error
    // Internal error: "cache lookup failed", "tuple concurrently updated", as a concurrent ALTER or DROP makes them.
    ("XX", Class::Unexpected),
    ("XX001", Class::Fault), // data corrupted
    ("XX002", Class::Fault), // index corrupted
];

/// The unique indexes of payments. Functions look whether another order has a payment before they take it; where a concurrent
/// statement took it in between, the index refuses, and the repeated statement sees it.
const PAYMENT_INDEXES: [&str; 2] = ["orders_payment", "payment_refunds_payment"];

/// The class of what the server said. The message of a unique violation (23505) has the index's name, in every language and
/// between whatever quotes.
fn classify_message(sqlstate: &str, message: &str) -> Class {
    let mut names = message.split(|c: char| !c.is_alphanumeric() && c != '_');
    if sqlstate == "23505" && names.any(|name| PAYMENT_INDEXES.contains(&name)) {
        return Class::Unexpected;
    }
    classify(sqlstate)
}

/// The class of an SQLSTATE. One that PostgreSQL does not have is a fault.
pub fn classify(sqlstate: &str) -> Class {
    let matching = CLASSES.iter().filter(|(prefix, _)| sqlstate.starts_with(prefix));
    matching.max_by_key(|(prefix, _)| prefix.len()).map_or(Class::Fault, |(_, class)| *class)
}

/// A failed attempt at a statement.
#[derive(Clone, Debug)]
pub enum StatementFailure {
    /// The connection could not be opened, or the circuit breaker is open.
    Connect(String),
    /// The connection is closed: the server went away since it was opened.
    Closed(String),
    /// The server said no: SQLSTATE's class, and the message with the SQLSTATE, without the detail, which quotes values.
    Refused(Class, String),
    /// No answer within the deadline.
    TimedOut,
    /// Anything else: a parameter or a result does not have the type that it should have.
    Other(String),
}

impl StatementFailure {
    /// The class, of what an SQLSTATE says and of what comes without one.
    pub fn class(&self) -> Class {
        match self {
            Self::Closed(_) => Class::SessionLost,
            Self::Refused(class, _) => *class,
            Self::Connect(_) | Self::TimedOut => Class::Unavailable,
            Self::Other(_) => Class::Fault,
        }
    }

    /// What it is called in a span (`error.type`): the SQLSTATE, if there is one.
    pub fn error_type(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Connect(_) => ("connection_failed", None),
            Self::Closed(_) => ("connection_closed", None),
            Self::TimedOut => ("timeout", None),
            // It stands at the end of the message, in brackets.
            Self::Refused(_, message) => {
                let code = message.strip_suffix(')').and_then(|message| message.rsplit_once('('));
                ("_OTHER", code.map(|(_, code)| code))
            }
            Self::Other(_) => ("_OTHER", None),
        }
    }

    /// Whether the connection must not be given to further statements.
    pub fn discards_connection(&self) -> bool {
        matches!(self.class(), Class::SessionLost | Class::ReadOnly)
            || matches!(self, Self::TimedOut | Self::Refused(Class::Unavailable, _))
    }
}

/// What tokio-postgres says, in the Debug or the Display form, of a connection that is gone or out of step.
const CLOSED: &[&str] = &["closed", "communicating with the server", "kind: io", "unexpected"];

impl From<SpinError> for StatementFailure {
    fn from(error: SpinError) -> Self {
        match error {
            SpinError::PgError(PgError::ConnectionFailed(message)) => Self::Connect(message),
            SpinError::PgError(PgError::QueryFailed(QueryError::Text(message))) => {
                let lower = message.to_ascii_lowercase();
                if CLOSED.iter().any(|sign| lower.contains(sign)) {
                    Self::Closed(message)
                } else {
                    Self::Other(message)
                }
            }
            SpinError::PgError(PgError::QueryFailed(QueryError::DbError(error))) => {
                let class = classify_message(&error.code, &error.message);
                Self::Refused(class, format!("{} ({})", error.message, error.code))
            }
            SpinError::PgError(other) => Self::Other(other.to_string()),
            SpinError::Decode(message) => Self::Other(message),
        }
    }
}

impl From<StatementFailure> for DbError {
    fn from(failure: StatementFailure) -> Self {
        let class = failure.class();
        let cause = match failure {
            StatementFailure::Connect(message) => anyhow!(message).context("no connection"),
            StatementFailure::Closed(message) => anyhow!(message).context("the connection broke"),
            StatementFailure::Refused(_, message) | StatementFailure::Other(message) => anyhow!(message),
            StatementFailure::TimedOut => anyhow!("no answer in time"),
        };
        match class {
            Class::Unexpected | Class::Fault => Self::Broken(cause),
            Class::Conflict | Class::Locked | Class::ReadOnly | Class::SessionLost | Class::Unavailable => {
                Self::Unavailable(cause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class of PostgreSQL 18, appendix A.
    const APPENDIX_A: &str = "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 \
                              53 54 55 57 58 72 F0 HV P0 XX";

    #[test]
    fn every_class_of_sqlstate_is_in_the_table_once() {
        let classes: Vec<&str> =
            CLASSES.iter().map(|(prefix, _)| *prefix).filter(|prefix| prefix.len() == 2).collect();
        assert_eq!(classes, APPENDIX_A.split_whitespace().collect::<Vec<_>>());
        assert!(CLASSES.is_sorted_by(|a, b| a.0 < b.0), "sorted, so nothing is there twice");
    }

    #[test]
    fn a_class_has_its_name() {
        use Class::{Conflict, Fault, Locked, ReadOnly, SessionLost, Unavailable, Unexpected};
        let all = [Conflict, Locked, ReadOnly, SessionLost, Unavailable, Unexpected, Fault];
        for (class, name) in all.into_iter().zip(Class::NAMES) {
            assert_eq!(format!("{class:?}").to_lowercase(), name.replace('_', ""));
        }
    }

    #[test]
    fn an_sqlstate_is_repeated_or_unavailable_or_our_fault() {
        for (class, sqlstates) in [
            (Class::Conflict, "40001 40P01 40000 40003 72000"),
            (Class::Locked, "55P03"),
            (Class::ReadOnly, "25006"),
            (
                Class::SessionLost,
                "08000 08001 08003 08004 08006 08007 08P01 0B000 24000 25000 25001 25P01 25P02 25P03 26000 28000 28P01 34000 \
                 3B001 3D000 42P05 57P01 57P02 57P03 57P04 57P05",
            ),
            (
                Class::Unavailable,
                "25P04 53000 53100 53200 53300 53400 55000 55006 57000 57014 58000 58030 58P01 F0000 F0001",
            ),
            (Class::Unexpected, "0A000 XX000"),
            (
                Class::Fault,
                "00000 01000 02000 03000 09000 0F000 0L000 0P000 0Z002 20000 21000 22001 22003 22P02 22P05 23502 \
                 23503 23505 23514 2200G 27000 2B000 2D000 2F005 38000 39000 3F000 40002 42501 42601 42703 42883 \
                 42P01 44000 54001 55P04 HV000 P0001 P0002 XX001 XX002 99999",
            ),
        ] {
            for sqlstate in sqlstates.split_whitespace() {
                assert_eq!(classify(sqlstate), class, "{sqlstate}");
            }
        }
    }

    #[test]
    fn a_payment_that_another_order_has_just_taken_is_looked_for_again() {
        for (sqlstate, index, class) in [
            ("23505", "orders_payment", Class::Unexpected),
            ("23505", "payment_refunds_payment", Class::Unexpected),
            ("23505", "order_items_pkey", Class::Fault),
            ("23505", "orders_payment_2", Class::Fault),
            ("23514", "orders_payment", Class::Fault),
        ] {
            let message = format!("duplicate key value violates unique constraint \"{index}\"");
            assert_eq!(classify_message(sqlstate, &message), class, "{sqlstate} {index}");
            let german =
                format!("doppelter Schl\u{fc}sselwert verletzt Unique-Constraint \u{bb}{index}\u{ab}");
            assert_eq!(classify_message(sqlstate, &german), class, "{sqlstate} {index}");
        }
    }

    #[test]
    fn what_a_client_hears_follows_from_the_class() {
        for (sqlstate, is_unavailable) in [
            ("25006", true),
            ("57P01", true),
            ("40001", true),
            ("55P03", true),
            ("53100", true),
            ("23505", false),
            ("XX000", false),
        ] {
            let failure = StatementFailure::Refused(classify(sqlstate), format!("said (so) ({sqlstate})"));
            assert_eq!(failure.error_type().1, Some(sqlstate));
            let error = DbError::from(failure);
            assert_eq!(matches!(error, DbError::Unavailable(_)), is_unavailable, "{error}");
            assert!(error.to_string().contains(sqlstate), "{error}");
        }
    }

    #[test]
    fn a_connection_that_is_gone_is_told_from_a_wrong_parameter() {
        let failure = |text: &str| {
            StatementFailure::from(SpinError::PgError(PgError::QueryFailed(QueryError::Text(
                text.to_owned(),
            ))))
        };
        for gone in [
            "Error { kind: Closed, cause: None }",
            "connection closed",
            "error communicating with the server: Connection reset by peer (os error 104)",
            "Error { kind: Io, cause: Some(Os { code: 104, kind: ConnectionReset }) }",
            "Error { kind: UnexpectedMessage, cause: None }",
        ] {
            assert_eq!(failure(gone).class(), Class::SessionLost, "{gone}");
        }
        let wrong = failure("Error { kind: ToSql(0), cause: Some(WrongType { postgres: Int8 }) }");
        assert_eq!((wrong.class(), wrong.discards_connection()), (Class::Fault, false));
    }
}
