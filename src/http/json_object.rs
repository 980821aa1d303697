//! Reads a JSON object of which only some members matter.
//!
//! RFC 8259 allows numbers and strings that no type of ours holds: `1e999`, and `"\ud800"`, half of a surrogate pair. They are
//! valid JSON, so they must not make a body unreadable; in a member that matters they are a wrong value.
//!
//! A member that occurs twice is refused (I-JSON, RFC 7493, 2.3): of two readers one would take the first and the other the last, and
//! what a gateway has checked would not be what is done.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Error, Map, Value};
use std::fmt;

/// How deep arrays and objects may be nested: serde_json's own limit, which it does not apply to raw values.
const MAX_DEPTH: usize = 127;

/// Why a text is no JSON object.
#[derive(Debug)]
pub enum NoObject {
    /// It is not JSON.
    Malformed(Error),
    /// It is nested deeper than anybody needs.
    TooDeep,
    /// A member of this name, cut to a sensible length, occurs twice.
    Repeated(String),
    /// It is another JSON value.
    OtherValue,
}

/// Reads a JSON object. What no [`Value`] can hold (a number beyond the range, half of a surrogate pair) becomes an empty
/// object, which no field of ours takes; the name of a member that no `String` can hold stays as it is written, with its escapes.
///
/// # Errors
/// [`NoObject`].
pub fn parse(text: &str) -> Result<Map<String, Value>, NoObject> {
    let document: &RawValue = serde_json::from_str(text).map_err(NoObject::Malformed)?;
    if depth(document.get()) > MAX_DEPTH {
        return Err(NoObject::TooDeep);
    }
    let Members(members) = serde_json::from_str(document.get()).map_err(|_| NoObject::OtherValue)?;
    let name = |raw: &RawValue| {
        serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().trim_matches('"').to_owned())
    };
    let mut object = Map::new();
    for (key, member) in members {
        let name = name(key);
        if object.contains_key(&name) {
            return Err(NoObject::Repeated(name.chars().filter(|c| !c.is_control()).take(64).collect()));
        }
        object.insert(name, value(member));
    }
    Ok(object)
}

/// The value, or that of a list's elements, as far as a [`Value`] can hold it; else an empty object. (Not `null`: where a member may be
/// left out, that is the same as no member.)
fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get())
        .or_else(|_| {
            let list: Vec<&RawValue> = serde_json::from_str(raw.get())?;
            Ok::<_, Error>(list.into_iter().map(value).collect())
        })
        .unwrap_or_else(|_| Value::Object(Map::new()))
}

/// How deep the arrays and objects of a valid JSON text are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b'[' | b'{' if !is_in_string => depth += 1,
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// An object's members as they are written, in order.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        Value::Object(parse(text).unwrap())
    }

    #[test]
    fn what_no_value_can_hold_is_an_empty_object_and_all_else_is_as_it_was() {
        for (text, expected) in [
            (r#"{"a":1e999,"b":-1E+400,"c":2}"#, json!({"a": {}, "b": {}, "c": 2})),
            (r#"{"a":"\ud800","b":"\udc00x","c":"\ud83d\ude00"}"#, json!({"a": {}, "b": {}, "c": "😀"})),
            (r#"{"seats":[1,"\ud800","2",[1e999,3]]}"#, json!({"seats": [1, {}, "2", [{}, 3]]})),
            (r#"{"a":{"b":1e999}}"#, json!({"a": {}})),
            (r#"{"\ud800":1,"\u0061":2}"#, json!({"\\ud800": 1, "a": 2})),
            ("\n{ }\t", json!({})),
            (r#"{"a":"[{\"[","b\\":"{"}"#, json!({"a": "[{\"[", "b\\": "{"})),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_malformed_also_where_nobody_looks() {
        for text in [
            "",
            "{",
            "{\"a\":1}x",
            "{\"a\":1,}",
            "[1,]",
            "{\"a\":01}",
            "{\"a\":1e}",
            "{\"a\":\"\\ud80\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":[{]}",
            "{\"\\q\":1}",
            "{a:1}",
            "{\"a\":NaN}",
        ] {
            assert!(matches!(parse(text), Err(NoObject::Malformed(_))), "{text}");
        }
        for text in ["[]", "1", "1e999", "\"\\ud800\"", "null", "\"{}\""] {
            assert!(matches!(parse(text), Err(NoObject::OtherValue)), "{text}");
        }
    }

    #[test]
    fn a_member_that_occurs_twice_is_refused_however_it_is_written() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"b":2,"\u0061":1}"#,
            r#"{"a":null,"a":null}"#,
            r#"{"a":1e999,"a":"\ud800"}"#,
        ] {
            assert!(matches!(parse(text), Err(NoObject::Repeated(name)) if name == "a"), "{text}");
        }
        // Deeper down nobody looks.
        assert_eq!(read(r#"{"a":{"b":1,"b":2}}"#), json!({"a": {"b": 2}}));
    }

    #[test]
    fn the_depth_is_limited_where_serde_json_limits_it() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        for depth in [2, 126, 127, 128, 129, 10_000] {
            let is_read = parse(&nested(depth)).is_ok();
            assert_eq!(is_read, serde_json::from_str::<Value>(&nested(depth)).is_ok(), "{depth}");
            assert_eq!(is_read, depth <= MAX_DEPTH, "{depth}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads_and_refuses_what_it_refuses(
            text in r#"\{"a":(\[|\]|\{|\}|"|\\|,|:|1|e|u|d8|x| ){0,12}\}"#
        ) {
            match (parse(&text), serde_json::from_str::<Map<String, Value>>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Err(NoObject::Repeated(_)), Ok(_)) => {}
                (Err(_), Ok(theirs)) => prop_assert!(false, "{text} is {theirs:?}"),
                (Ok(_) | Err(_), Err(_)) => {}
            }
        }
    }
}
