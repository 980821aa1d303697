//! Lenient parsing of peers' numbers: an id may be a JSON number or a string of digits, a price keeps its text.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A whole number, written as a JSON number or as a string of digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        digits.parse().map(Self).map_err(|_| de::Error::custom("expected a whole number"))
    }
}

/// The text of a JSON number, or of a string with a number, so that it never becomes a floating-point number.
#[derive(Clone, Debug)]
pub struct NumberText(pub String);

impl<'de> Deserialize<'de> for NumberText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(text.trim_matches('"').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_of_digits_are_the_same() {
        for text in ["101", "\"101\""] {
            assert_eq!(serde_json::from_str::<Int>(text).unwrap(), Int(101));
        }
        for text in ["1.5", "true", "null", "\"\"", "[1]", "\"1;\"", "9223372036854775808"] {
            assert!(serde_json::from_str::<Int>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_price_keeps_its_digits() {
        assert_eq!(serde_json::from_str::<NumberText>("150.10").unwrap().0, "150.10");
        assert_eq!(serde_json::from_str::<NumberText>("1e12").unwrap().0, "1e12");
    }
}
