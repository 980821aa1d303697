//! Lenient reading of peers' JSON: members by either spelling, numbers in any notation, and no type but of what is needed.
//!
//! An object keeps its members as unparsed text, duplicates included, and each is parsed when it is asked for. So a member that is
//! not needed may have any type, and numbers never become floating-point numbers.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A JSON object whose members are parsed when they are read.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Why a member could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It is needed, and missing, null or of another type.
    Missing(&'static str),
    /// It is there more than once, with different values.
    Contradictory(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "no usable {name}"),
            Self::Contradictory(name) => write!(f, "{name} contradicts itself"),
        }
    }
}

impl From<Unreadable> for String {
    fn from(unreadable: Unreadable) -> Self {
        unreadable.to_string()
    }
}

impl<'a> Object<'a> {
    /// Reads a member whose name is `name` in snake case or in camel case. A member that is null, or that `read` cannot read, counts
    /// as not there.
    ///
    /// # Errors
    /// [`Unreadable::Contradictory`] when it is there more than once and the values differ.
    pub fn optional<T: PartialEq>(
        &self,
        name: &'static str,
        read: impl Fn(&'a RawValue) -> Option<T>,
    ) -> Result<Option<T>, Unreadable> {
        let mut values = self.values_of(name).filter(|value| value.get() != "null").map(&read);
        let Some(first) = values.next() else { return Ok(None) };
        if values.all(|other| other == first) { Ok(first) } else { Err(Unreadable::Contradictory(name)) }
    }

    /// As [`Object::optional`], for a member that is needed.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn needed<T: PartialEq>(
        &self,
        name: &'static str,
        read: impl Fn(&'a RawValue) -> Option<T>,
    ) -> Result<T, Unreadable> {
        self.optional(name, read)?.ok_or(Unreadable::Missing(name))
    }

    /// Whether a member is there, in whatever type, and not null.
    pub fn is_set(&self, name: &str) -> bool {
        self.values_of(name).any(|value| value.get() != "null")
    }

    /// Whether a member is there, in whatever type, also null.
    pub fn has(&self, name: &str) -> bool {
        self.values_of(name).next().is_some()
    }

    /// The members, each with its name and its value.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    fn values_of(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.0.iter().filter(move |(key, _)| is_spelling_of(name, key)).map(|(_, value)| *value)
    }
}

/// Whether `key` is `name`, which is in snake case, or the same name in camel case.
fn is_spelling_of(name: &str, key: &str) -> bool {
    key == name || key.bytes().eq(camel_case(name))
}

/// The letters of a name in snake case, in camel case.
fn camel_case(name: &str) -> impl Iterator<Item = u8> {
    let mut begins_word = false;
    name.bytes().filter_map(move |letter| {
        if letter == b'_' {
            begins_word = true;
            return None;
        }
        let is_capital = std::mem::replace(&mut begins_word, false);
        Some(if is_capital { letter.to_ascii_uppercase() } else { letter })
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Room for what most answers have.
                let mut members = Vec::with_capacity(16);
                while let Some((key, value)) = map.next_entry::<&RawValue, _>()? {
                    // One that is no text, such as half a surrogate pair, is none that anybody asks for.
                    members.push((text(key).unwrap_or_default(), value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Object)
    }
}

/// A string.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let written = value.get().strip_prefix('"')?.strip_suffix('"')?;
    // Without an escape it is what is written.
    let is_plain = !written.bytes().any(|byte| byte == b'\\');
    if is_plain {
        Some(Cow::Borrowed(written))
    } else {
        serde_json::from_str(value.get()).ok().map(Cow::Owned)
    }
}

/// A whole number, as a JSON number or in a string: `15750`, `"15750"`, `15750.0`, `1.575e4`.
pub fn whole(value: &RawValue) -> Option<i64> {
    parse_whole(&number_text(value)?)
}

/// The text of a JSON number or of a string, which may hold a number.
pub fn number_text(value: &RawValue) -> Option<Cow<'_, str>> {
    let is_number = value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if is_number { Some(Cow::Borrowed(value.get())) } else { text(value) }
}

/// The value itself, as it is written.
pub fn raw(value: &RawValue) -> Option<&str> {
    Some(value.get())
}

/// The elements of a list; `None` when the text is no list.
pub fn elements(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// An object; `None` when the value is something else.
pub fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn parse_whole(text: &str) -> Option<i64> {
    // As most are written. JSON has no plus sign.
    if let Some(number) = text.parse().ok().filter(|_| !text.starts_with('+')) {
        return Some(number);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
        None => (text, 0),
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or((1, mantissa), |rest| (-1, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || mantissa.ends_with('.') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // value = significant × 10^shift
    let shift = exponent - fraction.len() as i64 + (digits.len() - significant.len()) as i64;
    let power = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
    let value = significant.parse::<i128>().ok()?.checked_mul(power)?;
    i64::try_from(sign * value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Object<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way_that_is_exact() {
        for (written, expected) in [
            ("15750", Some(15750)),
            ("\"15750\"", Some(15750)),
            ("15750.0", Some(15750)),
            ("\"15750.00\"", Some(15750)),
            ("1.575e4", Some(15750)),
            ("1575E+1", Some(15750)),
            ("157500e-1", Some(15750)),
            ("-3", Some(-3)),
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("0e99", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775807.0", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("9007199254740993.0", Some(9007199254740993)),
            ("15750.5", None),
            ("1e-1", None),
            ("1e999", None),
            ("1e99999999999", None),
            ("\"\"", None),
            ("\"1;\"", None),
            ("\"1.\"", None),
            ("\".5\"", None),
            ("\"- 1\"", None),
            ("\"+1\"", None),
            ("\"--1\"", None),
            ("\"admin\"", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
            ("{}", None),
        ] {
            let value: &RawValue = serde_json::from_str(written).unwrap();
            assert_eq!(whole(value), expected, "{written}");
        }
    }

    #[test]
    fn a_price_keeps_its_digits() {
        for (written, expected) in
            [("150.10", Some("150.10")), ("1e12", Some("1e12")), ("\"0.1\"", Some("0.1")), ("{}", None)]
        {
            let value: &RawValue = serde_json::from_str(written).unwrap();
            assert_eq!(number_text(value).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn either_spelling_is_read_and_both_when_they_agree() {
        for (body, expected) in [
            (r#"{"amount_cents":1}"#, Ok(1)),
            (r#"{"amountCents":1}"#, Ok(1)),
            (r#"{"amount_cents":1,"amountCents":"1"}"#, Ok(1)),
            (r#"{"amount_cents":1.0,"amount_cents":1}"#, Ok(1)),
            (r#"{"amount_cents":null,"amountCents":1}"#, Ok(1)),
            (r#"{"amount_cents":1,"other":1e999,"lone":"\ud800","\ud800":[],"other":{}}"#, Ok(1)),
            (r#"{"amount\u005fcents":1}"#, Ok(1)),
            (r#"{"amount_cents":1,"amountCents":2}"#, Err(Unreadable::Contradictory("amount_cents"))),
            (r#"{"amount_cents":1,"amount_cents":2}"#, Err(Unreadable::Contradictory("amount_cents"))),
            (r#"{"amount_cents":1,"amountCents":"one"}"#, Err(Unreadable::Contradictory("amount_cents"))),
            (r#"{"amount_cents":null}"#, Err(Unreadable::Missing("amount_cents"))),
            (r#"{"amount_cents":true}"#, Err(Unreadable::Missing("amount_cents"))),
            (r#"{"amountcents":1}"#, Err(Unreadable::Missing("amount_cents"))),
            (r#"{"Amount_Cents":1}"#, Err(Unreadable::Missing("amount_cents"))),
        ] {
            assert_eq!(parsed(body).needed("amount_cents", whole), expected, "{body}");
        }
    }

    #[test]
    fn an_odd_type_of_what_is_not_needed_counts_as_not_there() {
        for (body, expected) in [
            (r#"{"orderId":"a"}"#, Ok(Some("a".into()))),
            (r#"{"orderId":"a\nb"}"#, Ok(Some("a\nb".into()))),
            (r#"{"orderId":"\\"}"#, Ok(Some("\\".into()))),
            (r#"{"orderId":""}"#, Ok(Some("".into()))),
            (r#"{"orderId":4711}"#, Ok(None)),
            (r#"{"orderId":null}"#, Ok(None)),
            (r#"{"orderId":"\ud800"}"#, Ok(None)),
            ("{}", Ok(None)),
            (r#"{"orderId":"a","order_id":"b"}"#, Err(Unreadable::Contradictory("order_id"))),
        ] {
            assert_eq!(parsed(body).optional("order_id", text), expected, "{body}");
        }
    }
}
