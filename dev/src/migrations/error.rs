//! What went wrong in a file, for people.

use tokio_postgres::error::ErrorPosition;

/// PostgreSQL counts the place of an error in characters; people count lines.
pub fn explain(error: &tokio_postgres::Error, sql: &str) -> String {
    let Some(db) = error.as_db_error() else {
        return error.to_string();
    };
    let mut text = format!("{} ({})", db.message(), db.code().code());
    if let Some(ErrorPosition::Original(position)) = db.position() {
        let line = sql.chars().take(*position as usize).filter(|c| *c == '\n').count() + 1;
        text += &format!(", line {line}");
    }
    for more in [db.detail(), db.hint(), db.where_()].into_iter().flatten() {
        text += &format!("\n  {more}");
    }
    text
}
