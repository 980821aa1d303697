//! Validation of the fields of a body: all invalid fields are collected, so that one answer lists them all.

use super::problem::{ApiError, FieldError};
use serde_json::{Map, Value};

/// The error detail of a field that is parsed by [`crate::domain::ids::parse_positive_int`].
pub const POSITIVE_INT: &str = "must be a positive integer up to 2147483647";

/// The invalid fields of a body.
#[derive(Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// A single invalid field.
    pub fn of(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(pointer, detail);
        errors
    }

    /// Adds an invalid field: its JSON pointer, as `#/seats/1`, and what it must be.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    /// Adds each member that is not one of `known`.
    pub fn reject_unknown_members(&mut self, members: &Map<String, Value>, known: &[&str]) {
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(format!("#/{}", name.replace('~', "~0").replace('/', "~1")), "is not known here");
        }
    }

    /// Whether no field is invalid.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        Self::validation_failed(errors.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
