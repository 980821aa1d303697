//! Compact JSON: removes the whitespace that PostgreSQL writes between the tokens of the JSON that it builds.

/// Removes the whitespace between the tokens of a valid JSON text. Strings keep theirs. In place and in one pass, because
/// parsing would cost more than everything else that is done with a document.
pub fn compact(json: String) -> Vec<u8> {
    let mut bytes = json.into_bytes();
    let (mut is_in_string, mut is_escaped) = (false, false);
    bytes.retain(|byte| {
        if !is_in_string {
            is_in_string = *byte == b'"';
            return !matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        }
        if is_escaped {
            is_escaped = false;
        } else {
            is_escaped = *byte == b'\\';
            is_in_string = *byte != b'"';
        }
        true
    });
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn strings_keep_their_whitespace_and_escapes() {
        for (json, expected) in [
            ("", ""),
            (" null\n", "null"),
            ("{\"a b\" : [1, 2 ,\t3], \"c\" : {} }\r\n", "{\"a b\":[1,2,3],\"c\":{}}"),
            (
                r#"{"a" : "x \" y", "b" : "\\", "c" : "\\\" : ,"}"#,
                r#"{"a":"x \" y","b":"\\","c":"\\\" : ,"}"#,
            ),
            ("[\"\u{a0}é 日本\" , true]", "[\"\u{a0}é 日本\",true]"),
        ] {
            assert_eq!(compact(json.to_owned()), expected.as_bytes());
        }
    }

    /// Any JSON value, with strings full of what could be taken for a token.
    fn value() -> impl Strategy<Value = Value> {
        let text = || "[ \t\n\"\\\\{}:,a-zé\u{1}]{0,12}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The text of a value with whitespace between all tokens.
    fn spaced(value: &Value, blank: &str) -> String {
        let join = |parts: Vec<String>| parts.join(&format!("{blank},{blank}"));
        match value {
            Value::Array(list) => {
                let list = join(list.iter().map(|value| spaced(value, blank)).collect());
                format!("{blank}[{blank}{list}{blank}]{blank}")
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    format!("{}{blank}:{blank}{}", Value::from(name.as_str()), spaced(value, blank))
                };
                let members = join(members.iter().map(member).collect());
                format!("{blank}{{{blank}{members}{blank}}}{blank}")
            }
            scalar => format!("{blank}{scalar}{blank}"),
        }
    }

    proptest! {
        /// serde_json's own text is compact, and has the members in the same order.
        #[test]
        fn any_json_becomes_what_serde_json_writes(value in value(), blank in "[ \t\r\n]{0,3}") {
            let compacted = String::from_utf8(compact(spaced(&value, &blank))).unwrap();
            prop_assert_eq!(&compacted, &value.to_string());
            prop_assert_eq!(serde_json::from_str::<Value>(&compacted).unwrap(), value.clone());
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(pretty), compacted.into_bytes());
        }
    }
}
