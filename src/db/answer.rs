//! The answer of a function of `migrations/`: an array of text, read one element after the other.

use super::{DbError, Row};
use std::str::FromStr;

/// The elements of the array that have not been read.
pub struct Answer(std::vec::IntoIter<Option<String>>);

/// The row's only column.
pub fn answer(row: Option<Row>) -> Result<Answer, DbError> {
    optional_answer(row)?.ok_or_else(|| DbError::Broken("the answer is null".into()))
}

/// The same; none when the function returned NULL.
pub fn optional_answer(row: Option<Row>) -> Result<Option<Answer>, DbError> {
    let texts = super::there(row)?.optional_texts()?;
    Ok(texts.map(|texts| Answer(texts.into_iter())))
}

impl Answer {
    /// The next element, if it is not NULL. What a function leaves out at the end is NULL, too.
    pub fn optional_text(&mut self) -> Option<String> {
        self.0.next().flatten()
    }

    /// The next element, which must be there.
    pub fn text(&mut self) -> Result<String, DbError> {
        self.optional_text().ok_or_else(|| DbError::Broken("an element of the answer is missing".into()))
    }

    /// The next element as a number.
    pub fn number<T: FromStr>(&mut self) -> Result<T, DbError> {
        let text = self.text()?;
        text.parse().map_err(|_| DbError::Broken(format!("wanted a number, got {text}")))
    }

    /// The next element as numbers between commas.
    pub fn ints(&mut self) -> Result<Vec<i32>, DbError> {
        let text = self.text()?;
        let numbers = text.split(',').map(str::parse).collect::<Result<_, _>>();
        numbers.map_err(|_| DbError::Broken(format!("wanted numbers, got {text}")))
    }
}
