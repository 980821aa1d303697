//! Validation of the fields of a body or a query: all invalid fields are collected, so that one answer lists them all.

use super::problem::{ApiError, FieldError};
use serde_json::{Map, Value};

/// The error detail of a field that is parsed by [`crate::domain::ids::parse_positive_int`].
pub const POSITIVE_INT: &str = "must be a positive integer up to 2147483647";

/// How many invalid fields an answer lists; it tells how many more there are. Else an answer could be many times as long as the
/// request.
const MAX_LISTED: usize = 50;
/// The longest name of an unknown member that is shown whole, in characters.
const MAX_NAME: usize = 64;

/// The invalid fields of a body.
#[derive(Default)]
pub struct FieldErrors {
    listed: Vec<FieldError>,
    /// How many more there are.
    more: usize,
}

impl FieldErrors {
    /// A single invalid field.
    pub fn of(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(pointer, detail);
        errors
    }

    /// Adds an invalid field: its JSON pointer, as `#/seats/1`, and what it must be.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        } else {
            self.more += 1;
        }
    }

    /// Adds each member that is not one of `known`.
    pub fn reject_unknown_members(&mut self, members: &Map<String, Value>, known: &[&str]) {
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(pointer(name), "is not known here");
        }
    }

    /// Whether no field is invalid.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Succeeds when no field is invalid.
    ///
    /// # Errors
    /// 422 with every invalid field.
    pub fn into_result(self) -> Result<(), ApiError> {
        if self.is_empty() { Ok(()) } else { Err(self.into()) }
    }
}

impl From<FieldErrors> for ApiError {
    fn from(errors: FieldErrors) -> Self {
        Self::validation_failed(errors.listed, errors.more)
    }
}

/// The JSON pointer of a field whose name may be anything.
pub fn pointer(name: &str) -> String {
    format!("#/{}", shown(name).replace('~', "~0").replace('/', "~1"))
}

/// The beginning of a name that is too long to be shown.
fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_is_as_long_as_it_may_be_and_the_rest_is_counted() {
        let members: Map<String, Value> =
            (0..MAX_LISTED + 7).map(|n| (format!("{n}{}", "é/".repeat(500)), Value::Null)).collect();
        let mut errors = FieldErrors::default();
        errors.reject_unknown_members(&members, &[]);
        assert_eq!((errors.listed.len(), errors.more), (MAX_LISTED, 7));
        for error in &errors.listed {
            assert!(error.pointer.len() < 300 && error.pointer.ends_with('…'), "{}", error.pointer);
        }
        assert_eq!(shown(&"é".repeat(MAX_NAME)), "é".repeat(MAX_NAME));
    }

    #[test]
    fn unknown_members_are_rejected_by_json_pointers() {
        let check = |body: Value| {
            let mut errors = FieldErrors::default();
            errors.reject_unknown_members(body.as_object().unwrap(), &["a"]);
            errors.into_result().map_err(|error| error.pointers())
        };
        assert!(check(json!({})).is_ok() && check(json!({"a": 1})).is_ok());
        assert_eq!(
            check(json!({"amount_cents": 1, "x/y~": 2, "a": 3})).unwrap_err(),
            ["#/amount_cents", "#/x~1y~0"]
        );
    }
}
