//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a structured-field string (RFC 8941); bare values are
//! accepted as well.

/// A client's idempotency key: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses the header's value, quoted (`"abc"`, with `\"` and `\\` as RFC 8941 has them) or bare.
    ///
    /// `None` when the key is empty, longer than 255, or holds anything but visible ASCII (0x21 to 0x7E).
    pub fn parse(header: &[u8]) -> Option<Self> {
        let header = header.trim_ascii();
        let bytes = match header {
            [b'"', inner @ .., b'"'] => unescape(inner)?,
            bare if bare.contains(&b'"') => return None,
            bare => bare.to_vec(),
        };
        let sane = (1..=255).contains(&bytes.len()) && bytes.iter().all(|b| (0x21..=0x7e).contains(b));
        sane.then(|| Self(bytes.into_iter().map(char::from).collect()))
    }

    /// The key itself, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn unescape(inner: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = inner.iter().copied();
    let mut out = Vec::with_capacity(inner.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.push(bytes.next().filter(|b| matches!(b, b'"' | b'\\'))?),
            b'"' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_quoted_or_bare() {
        let longest = "k".repeat(255);
        for (header, expected) in [
            ("abc123", Some("abc123")),
            ("\"abc123\"", Some("abc123")),
            ("\"a\\\"b\\\\c\"", Some("a\"b\\c")),
            (" abc ", Some("abc")),
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", Some("8e03978e-40d5-43dd-bc93-6894a57f9324")),
            (longest.as_str(), Some(longest.as_str())),
            ("';DROP", Some("';DROP")),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("a\"b", None),
            ("\"a\"b\"", None),
            ("\"a\\b\"", None),
            ("a b", None),
            ("a\tb", None),
            ("a\u{7f}", None),
            ("schlüssel", None),
        ] {
            let key = IdempotencyKey::parse(header.as_bytes());
            assert_eq!(key.as_ref().map(IdempotencyKey::as_str), expected, "{header}");
        }
        assert!(IdempotencyKey::parse("k".repeat(256).as_bytes()).is_none());
        assert!(IdempotencyKey::parse("k".repeat(300).as_bytes()).is_none());
    }
}
