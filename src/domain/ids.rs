//! Identifiers as newtypes, so that one cannot be taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// An order's id: a UUIDv7 (RFC 9562), which sorts by the time it was made. Also the idempotency key of its charge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

/// A payment's id, given by Payment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentId(pub Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses a UUID in its usual hyphenated form of 36 characters, in either case; no braces, no URN, no bare hex.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok()
}

/// Parses the id of a user, an event or a seat: a positive number that fits PostgreSQL's `INT`.
///
/// Clients may write it as a JSON integer or as a string of digits.
pub fn parse_positive_int(value: &serde_json::Value) -> Option<i32> {
    let number: i64 = match value {
        serde_json::Value::Number(n) => n.as_i64()?,
        serde_json::Value::String(s)
            if !s.is_empty() && s.len() <= 10 && s.bytes().all(|b| b.is_ascii_digit()) =>
        {
            s.parse().ok()?
        }
        _ => return None,
    };
    i32::try_from(number).ok().filter(|n| *n >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_may_be_an_integer_or_a_string_of_digits_within_the_column() {
        for (value, expected) in [
            (json!(1), Some(1)),
            (json!("101"), Some(101)),
            (json!(2147483647), Some(2147483647)),
            (json!("2147483647"), Some(2147483647)),
            (json!(2147483648_i64), None),
            (json!("2147483648"), None),
            (json!(9223372036854775808_u64), None),
            (json!(0), None),
            (json!("0"), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("+1"), None),
            (json!(" 1"), None),
            (json!(""), None),
            (json!("1; DROP TABLE orders"), None),
            (json!("١"), None),
            (json!(1.0), None),
            (json!(1.5), None),
            (json!(true), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(parse_positive_int(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_uuid_is_read_in_its_hyphenated_form_only() {
        assert!(parse_uuid("01980000-0000-7000-8000-000000000000").is_some());
        assert!(parse_uuid("0198000000007000800000000000000a").is_none());
        assert!(parse_uuid("{1980000-0000-7000-8000-00000000000}").is_none());
        assert!(parse_uuid("").is_none());
        assert!(parse_uuid("01980000-0000-7000-8000-00000000000'").is_none());
    }
}
