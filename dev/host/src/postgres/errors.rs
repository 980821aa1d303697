//! Errors in the form that the guest gets.

use tokio_postgres::error::DbError as PgError;

use crate::bindings::postgres::{DbError, Error, QueryError};

/// A statement failed. What the server said keeps its structure; everything else, such as a closed connection or a
/// parameter of the wrong type, is text.
pub fn query_failed(error: &tokio_postgres::Error) -> Error {
    let text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(text),
        Some(error) => QueryError::DbError(db_error(error, text)),
    })
}

/// A result could not be given to the guest.
pub fn unreadable(reason: impl Into<String>) -> Error {
    Error::QueryFailed(QueryError::Text(reason.into()))
}

fn db_error(error: &PgError, as_text: String) -> DbError {
    let line = error.line().map(|line| line.to_string());
    let extras = [
        ("column", error.column()),
        ("constraint", error.constraint()),
        ("routine", error.routine()),
        ("hint", error.hint()),
        ("table", error.table()),
        ("datatype", error.datatype()),
        ("schema", error.schema()),
        ("file", error.file()),
        ("line", line.as_deref()),
        ("where_", error.where_()),
    ];
    DbError {
        as_text,
        severity: error.severity().to_owned(),
        code: error.code().code().to_owned(),
        message: error.message().to_owned(),
        detail: error.detail().map(str::to_owned),
        extras: extras
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect(),
    }
}
