//! The query of a request, as `application/x-www-form-urlencoded` (WHATWG URL): each parameter once, none that is unknown, none that is
//! empty. All that is wrong is collected, so that one answer lists it.

use super::problem::ApiError;
use super::validation::{FieldErrors, pointer};

/// What stands before the details: the pointers look as those of a body's fields.
const WHAT: &str = "query parameter: ";

/// The parameters of a query that have not been read, and what is wrong with it.
#[derive(Default)]
pub struct QueryParameters {
    /// Names and values, decoded. A value that is not sound is not in here.
    pairs: Vec<(String, String)>,
    /// The known names that came, each once.
    given: Vec<String>,
    errors: FieldErrors,
}

impl QueryParameters {
    /// Takes a query apart; what is not `known` is an error.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Self {
        let mut parameters = Self::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name) else {
                parameters.reject(name, "its name is not percent-encoded UTF-8");
                continue;
            };
            if !known.contains(&name.as_str()) {
                parameters.reject(&name, "is not known here");
            } else if parameters.has(&name) {
                parameters.pairs.retain(|(other, _)| *other != name);
                parameters.reject(&name, "may be given once");
            } else {
                match decode(value) {
                    None => parameters.reject(&name, "is not percent-encoded UTF-8"),
                    Some(value) if value.is_empty() => parameters.reject(&name, "must not be empty"),
                    Some(value) => parameters.pairs.push((name.clone(), value)),
                }
                parameters.given.push(name);
            }
        }
        parameters
    }

    /// Whether a parameter was given, right or wrong.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given == name)
    }

    /// Takes a parameter out. `None`: it was not given, or is wrong already.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(other, _)| other == name)?;
        Some(self.pairs.swap_remove(at).1)
    }

    /// Takes a parameter out and parses it; `detail` says what it must be.
    pub fn read<T>(&mut self, name: &str, detail: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.take(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.reject(name, detail);
        }
        parsed
    }

    /// Adds what is wrong with a parameter.
    pub fn reject(&mut self, name: &str, detail: &str) {
        self.errors.add(pointer(name), format!("{WHAT}{detail}"));
    }

    /// Succeeds when nothing is wrong.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub fn into_result(self) -> Result<(), ApiError> {
        self.errors.into_result()
    }
}

/// Decodes a name or a value; `None` when a `%` stands before anything but two hexadecimal digits, or the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: [&str; 3] = ["a", "b", "page_token"];

    fn wrong(query: &str) -> Vec<String> {
        match QueryParameters::parse(Some(query), &KNOWN).into_result() {
            Ok(()) => Vec::new(),
            Err(error) => error.pointers(),
        }
    }

    #[test]
    fn parameters_are_decoded_and_may_come_in_any_order() {
        let mut parameters = QueryParameters::parse(Some("b=%C3%A9+x%2B%26&&a=1=2&"), &KNOWN);
        assert_eq!(parameters.take("a").as_deref(), Some("1=2"));
        assert_eq!(parameters.take("b").as_deref(), Some("\u{e9} x+&"));
        assert_eq!((parameters.take("a"), parameters.take("page_token")), (None, None));
        assert!(parameters.into_result().is_ok());
        assert!(wrong("").is_empty() && QueryParameters::parse(None, &KNOWN).into_result().is_ok());
    }

    #[test]
    fn what_is_unknown_repeated_empty_or_badly_encoded_is_named() {
        for (query, expected) in [
            ("c=1", vec!["#/c"]),
            ("A=1", vec!["#/A"]),
            ("a=1&a=1", vec!["#/a"]),
            ("a=&a=1&a=2", vec!["#/a", "#/a", "#/a"]),
            ("a", vec!["#/a"]),
            ("a=&b=", vec!["#/a", "#/b"]),
            ("a=%", vec!["#/a"]),
            ("a=%4", vec!["#/a"]),
            ("a=%zz", vec!["#/a"]),
            ("a=%+1", vec!["#/a"]),
            ("a=%FF", vec!["#/a"]),
            ("%a=1", vec!["#/%a"]),
            ("x%2Fy~=1", vec!["#/x~1y~0"]),
            ("=1", vec!["#/"]),
        ] {
            assert_eq!(wrong(query), expected, "{query}");
        }
        let mut parameters = QueryParameters::parse(Some("a=1&a=2"), &KNOWN);
        assert_eq!(parameters.take("a"), None, "neither of two");
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in ".{0,300}", pairs in "([ab+%&=]|%[0-9a-f]{2}){0,60}") {
            for query in [query, pairs] {
                let mut parameters = QueryParameters::parse(Some(&query), &KNOWN);
                let taken = KNOWN.map(|name| parameters.take(name));
                prop_assert!(taken.iter().flatten().all(|value| !value.is_empty()));
                let _ = parameters.into_result();
            }
        }

        #[test]
        fn what_was_encoded_is_decoded(value in ".{1,40}") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let mut parameters = QueryParameters::parse(Some(&format!("a={encoded}")), &KNOWN);
            prop_assert_eq!(parameters.take("a"), Some(value));
        }
    }
}
