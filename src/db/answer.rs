//! The call of a function of `migrations/functions`: its parameters, each with its name, and its answer, an array of text
//! that is read one element after the other.

use super::{DbError, Row, name};
use anyhow::{Error, anyhow};
use std::fmt::Display;
use std::str::FromStr;

/// The parameters of a statement of `sql/`, each with its name in the function. Checked when it compiles: they must be those of the
/// statement, in the order of its `$1`, `$2`, ….
macro_rules! named {
    ($statement:literal: $($name:ident = $value:expr),+ $(,)?) => {{
        const {
            assert!(
                crate::db::answer::are_in_step(include_str!($statement), &[$(stringify!($name)),+]),
                "these are not the parameters of the statement, in its order"
            );
        }
        vec![$($value),+]
    }};
}
pub(super) use named;

/// Whether a statement has exactly these parameters in this order, each with its name: `name => $1`, or `/* name */ $1` where
/// there are so many that PostgreSQL takes long to sort them by name. The tests hold the latter to the function.
pub const fn are_in_step(statement: &str, names: &[&str]) -> bool {
    let statement = statement.as_bytes();
    let (mut at, mut found) = (4, 0);
    while at < statement.len() {
        if statement[at] == b'$' {
            let is_named = matches!(
                (statement[at - 4], statement[at - 3], statement[at - 2], statement[at - 1]),
                (b' ', b'=', b'>', b' ') | (b' ', b'*', b'/', b' ')
            );
            if !is_named || found == names.len() || !ends_with(statement, at - 4, names[found].as_bytes()) {
                return false;
            }
            found += 1;
            if number_at(statement, at + 1) != found {
                return false;
            }
        }
        at += 1;
    }
    found == names.len()
}

/// Whether a word of the text, which ends before `end`, is this one.
const fn ends_with(text: &[u8], end: usize, word: &[u8]) -> bool {
    if end < word.len() {
        return false;
    }
    let begin = end - word.len();
    let mut at = 0;
    while at < word.len() {
        if text[begin + at] != word[at] {
            return false;
        }
        at += 1;
    }
    begin == 0 || matches!(text[begin - 1], b' ' | b'(')
}

const fn number_at(text: &[u8], mut at: usize) -> usize {
    let mut number = 0;
    while at < text.len() && text[at].is_ascii_digit() {
        number = number * 10 + (text[at] - b'0') as usize;
        at += 1;
    }
    number
}

/// The elements of the array that have not been read.
pub struct Answer {
    statement: &'static str,
    elements: std::vec::IntoIter<Option<String>>,
    /// The number of the element that was read last, from 1.
    element: usize,
}

/// The answer of a function: an array of text, the row's only column.
///
/// # Errors
/// [`DbError::Broken`] when there is no row, or the function returned NULL.
pub fn answer(row: Option<Row>) -> Result<Answer, DbError> {
    optional_answer(row)?.ok_or_else(|| DbError::Broken(anyhow!("a function's answer is null")))
}

/// As [`answer`]; `None` when the function returned NULL.
///
/// # Errors
/// [`DbError::Broken`] when there is no row, or it is no array of text.
pub fn optional_answer(row: Option<Row>) -> Result<Option<Answer>, DbError> {
    let mut columns = super::require_row(row)?;
    let elements = columns.optional_texts()?.map(Vec::into_iter);
    Ok(elements.map(|elements| Answer { statement: columns.statement, elements, element: 0 }))
}

impl Answer {
    /// Whether the next element is this one. It is still the next one then.
    pub fn begins_with(&self, element: &str) -> bool {
        self.elements.as_slice().first().is_some_and(|next| next.as_deref() == Some(element))
    }

    /// The next element; `None` when it is NULL, or beyond the end.
    pub fn optional_text(&mut self) -> Option<String> {
        self.element += 1;
        self.elements.next().flatten()
    }

    /// The next element.
    ///
    /// # Errors
    /// [`DbError::Broken`] when it is NULL or missing.
    pub fn text(&mut self) -> Result<String, DbError> {
        self.optional_text().ok_or_else(|| self.error(anyhow!("it is missing")))
    }

    /// The next element as a number.
    ///
    /// # Errors
    /// [`DbError::Broken`] when it is none.
    pub fn number<T: FromStr<Err: Display>>(&mut self) -> Result<T, DbError> {
        let text = self.text()?;
        text.parse().map_err(|error| self.error(anyhow!("{error}")))
    }

    /// The next element as a number; `None` when it is NULL, or beyond the end.
    ///
    /// # Errors
    /// [`DbError::Broken`] when it is none.
    pub fn optional_number<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>, DbError> {
        let number = self.optional_text().map(|text| text.parse()).transpose();
        number.map_err(|error| self.error(anyhow!("{error}")))
    }

    /// The next element as numbers separated by commas.
    ///
    /// # Errors
    /// [`DbError::Broken`] when it is no such list.
    pub fn ints(&mut self) -> Result<Vec<i32>, DbError> {
        let text = self.text()?;
        let numbers = text.split(',').map(str::parse).collect::<Result<_, _>>();
        numbers.map_err(|error: std::num::ParseIntError| self.error(error.into()))
    }

    /// An error that names the statement and the element that was read last, without its value, which may be personal data.
    fn error(&self, cause: Error) -> DbError {
        let element = format!("element {} of the answer", self.element);
        DbError::Broken(cause.context(element).context(name(self.statement)))
    }
}

#[cfg(test)]
mod tests {
    use super::are_in_step;

    #[test]
    fn parameters_and_statement_must_have_the_same_names_in_the_same_order() {
        for statement in [
            "SELECT f(\n    p_id => $1,\n    p_at => $2::text[]::uuid[], p_ten => $3)",
            "SELECT f(\n    /* p_id */ $1,\n    /* p_at */ $2,\n    /* p_ten */ $3)",
        ] {
            assert!(are_in_step(statement, &["p_id", "p_at", "p_ten"]));
            for wrong in [
                &["p_id", "p_ten", "p_at"][..],
                &["p_id", "p_at"],
                &["p_id", "p_at", "p_ten", "p_more"],
                &["id", "p_at", "p_ten"],
                &["pp_id", "p_at", "p_ten"],
                &[],
            ] {
                assert!(!are_in_step(statement, wrong), "{wrong:?}");
            }
        }
        assert!(!are_in_step("SELECT f(p_id => $1, $2)", &["p_id", "p_at"]));
        assert!(!are_in_step("SELECT f(p_id => $2, p_at => $1)", &["p_id", "p_at"]));
        assert!(!are_in_step("SELECT f(p_id => $11)", &["p_id"]));
        assert!(are_in_step("SELECT f()", &[]));
    }
}
