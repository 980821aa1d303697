//! The answer of a function of `migrations/`: an array of text, read one element after the other.

use super::{DbError, Row, name};
use anyhow::{Error, anyhow};
use std::fmt::Display;
use std::str::FromStr;

/// The elements of the array that have not been read.
pub struct Answer {
    statement: &'static str,
    elements: std::vec::IntoIter<Option<String>>,
    /// The number of the element that was read last, from 1.
    element: usize,
}

/// The row's only column.
pub fn answer(row: Option<Row>) -> Result<Answer, DbError> {
    optional_answer(row)?.ok_or_else(|| DbError::Broken(anyhow!("a function's answer is null")))
}

/// The same; none when the function returned NULL.
pub fn optional_answer(row: Option<Row>) -> Result<Option<Answer>, DbError> {
    let mut columns = super::there(row)?;
    let elements = columns.optional_texts()?.map(Vec::into_iter);
    Ok(elements.map(|elements| Answer { statement: columns.statement, elements, element: 0 }))
}

impl Answer {
    /// The next element, if it is not NULL. What a function leaves out at the end is NULL, too.
    pub fn optional_text(&mut self) -> Option<String> {
        self.element += 1;
        self.elements.next().flatten()
    }

    /// The next element, which must be there.
    pub fn text(&mut self) -> Result<String, DbError> {
        self.optional_text().ok_or_else(|| self.error(anyhow!("it is missing")))
    }

    /// The next element as a number.
    pub fn number<T: FromStr<Err: Display>>(&mut self) -> Result<T, DbError> {
        let text = self.text()?;
        text.parse().map_err(|error| self.error(anyhow!("{error}")))
    }

    /// The next element as numbers between commas.
    pub fn ints(&mut self) -> Result<Vec<i32>, DbError> {
        let text = self.text()?;
        let numbers = text.split(',').map(str::parse).collect::<Result<_, _>>();
        numbers.map_err(|error: std::num::ParseIntError| self.error(error.into()))
    }

    /// An error that names the statement and the element that was read last. Without its value, which may be personal data.
    fn error(&self, cause: Error) -> DbError {
        let element = format!("element {} of the answer", self.element);
        DbError::Broken(cause.context(element).context(name(self.statement)))
    }
}
