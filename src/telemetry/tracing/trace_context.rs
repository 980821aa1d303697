//! W3C Trace Context (the Recommendation of 23 November 2021, level 1): `traceparent` and `tracestate`, read strictly.

use std::fmt;

/// The id of a trace: not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span, which the recommendation calls `parent-id`: not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

macro_rules! id {
    ($name:ident, $length:literal) => {
        impl $name {
            /// An id of these bytes; `None` when all of them are zero.
            pub fn new(bytes: [u8; $length]) -> Option<Self> {
                (bytes != [0; $length]).then_some(Self(bytes))
            }

            /// Its bytes.
            pub const fn bytes(&self) -> &[u8; $length] {
                &self.0
            }

            fn parse(hex: &[u8]) -> Option<Self> {
                let mut bytes = [0; $length];
                decode(hex, &mut bytes)?;
                Self::new(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(encode(&self.0, &mut [0; 2 * $length]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);

/// What a `traceparent` says: a trace, the span of it that is the parent, and whether the trace is sampled. Its `Display` is the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Whether somebody before may have recorded it (`sampled`). No other flag has a meaning in version 00.
    pub is_sampled: bool,
}

/// The length of a header of version 00.
const LENGTH: usize = 55;

impl SpanContext {
    /// Reads the values of all header fields `traceparent` of a request: one that is valid, else none. More than one is none.
    pub fn of_header<V: AsRef<[u8]>>(values: &[V]) -> Option<Self> {
        match values {
            [value] => Self::parse(value.as_ref()),
            _ => None,
        }
    }

    /// Parses a header's value. Of a version that is not known yet what version 00 has is read, when it is there, and `-` and more may
    /// follow. Capital letters are not allowed, and version `ff` is none.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(LENGTH)?;
        let mut version = [0];
        decode(&known[..2], &mut version)?;
        let is_as_long = match version {
            [0xff] => return None,
            [0] => more.is_empty(),
            _ => more.first().is_none_or(|sign| *sign == b'-'),
        };
        let dashes = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
        let mut flags = [0];
        decode(&known[53..], &mut flags)?;
        let (trace_id, span_id) = (TraceId::parse(&known[3..35])?, SpanId::parse(&known[36..52])?);
        (is_as_long && dashes).then_some(Self { trace_id, span_id, is_sampled: flags[0] & 1 == 1 })
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

/// Encodes bytes as hexadecimal digits in lower case, two for each, into `digits`. Every call of a peer carries such ids, and `format!`
/// takes many times as long.
fn encode<'a>(bytes: &[u8], digits: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Decodes hexadecimal digits in lower case, as many as fill `bytes`.
fn decode(hex: &[u8], bytes: &mut [u8]) -> Option<()> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if hex.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// The most members of a `tracestate`.
const MOST_MEMBERS: usize = 32;
/// The most characters of one that is sent on. The recommendation asks for no less.
const MOST_CHARACTERS: usize = 512;
/// A member that is longer is the first to be left out when there are too many characters.
const LONG_MEMBER: usize = 128;

/// Reads the values of all header fields `tracestate` of a request, which are one list, and writes the list as it is sent on: without
/// blanks around members, and at most 512 characters of it. Empty when there is none, or when it is not valid: then nobody can tell what of
/// it holds. Not to be read without a valid `traceparent`.
pub fn tracestate<V: AsRef<[u8]>>(values: &[V]) -> String {
    read_members(values).map(within_limit).unwrap_or_default()
}

/// The members; `None` when one of them is not valid, two have the same key, or there are more than 32.
fn read_members<V: AsRef<[u8]>>(values: &[V]) -> Option<Vec<&str>> {
    let mut members: Vec<&str> = Vec::new();
    for value in values {
        // Other signs than ASCII are in no member.
        let value = std::str::from_utf8(value.as_ref()).ok()?;
        for member in value.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            // Empty ones are allowed, and mean nothing.
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_known = members.iter().any(|other| key_of(other) == key);
            if !is_key(key) || !is_value(value) || is_known || members.len() == MOST_MEMBERS {
                return None;
            }
            members.push(member);
        }
    }
    Some(members)
}

fn key_of(member: &str) -> &str {
    member.split('=').next().unwrap_or_default()
}

/// Leaves members out that do not fit: the long ones first, and then from the end.
fn within_limit(mut members: Vec<&str>) -> String {
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
    let is_too_long = |members: &[&str]| length(members) > MOST_CHARACTERS + 1;
    while is_too_long(&members) {
        let last_long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        members.remove(last_long.unwrap_or(members.len() - 1));
    }
    members.join(",")
}

/// `simple-key`, or `tenant-id@system-id`.
fn is_key(key: &str) -> bool {
    let is_rest = |rest: &[u8]| {
        rest.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/".contains(b))
    };
    let is_part = |part: &str, most: usize, may_begin_with_digit: bool| match part.as_bytes() {
        [first, rest @ ..] => {
            (first.is_ascii_lowercase() || may_begin_with_digit && first.is_ascii_digit())
                && is_rest(rest)
                && part.len() <= most
        }
        [] => false,
    };
    match key.split_once('@') {
        None => is_part(key, 256, false),
        Some((tenant, system)) => is_part(tenant, 241, true) && is_part(system, 14, false),
    }
}

/// 1 to 256 printable characters without comma and equals sign, of which the last is no blank.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value.bytes().all(|b| (0x20..=0x7e).contains(&b) && b != b',' && b != b'=')
        && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_read_strictly() {
        let header =
            |version: &str, flags: &str, more: &str| format!("{version}-{TRACE}-{SPAN}-{flags}{more}");
        for (value, is_sampled) in [
            (header("00", "01", ""), true),
            (header("00", "00", ""), false),
            (header("00", "02", ""), false),
            (header("00", "03", ""), true),
            (header("00", "ff", ""), true),
            (header("01", "01", ""), true),
            (header("cc", "00", "-what-the-future-will-be-like"), false),
            (header("fe", "01", "-"), true),
        ] {
            let context = SpanContext::of_header(&[&value]).unwrap_or_else(|| panic!("{value}"));
            assert_eq!(context.is_sampled, is_sampled, "{value}");
            assert_eq!((&*context.trace_id.to_string(), &*context.span_id.to_string()), (TRACE, SPAN));
            assert_eq!(context.to_string(), header("00", if is_sampled { "01" } else { "00" }, ""));
        }
        for value in [
            String::new(),
            header("00", "01", "-"),
            header("00", "01", "-x"),
            header("00", "01", "0"),
            header("01", "01", "."),
            header("01", "01", "0"),
            header("ff", "01", ""),
            header("0", "01", ""),
            header("000", "01", ""),
            header("0x", "01", ""),
            header("00", "1", ""),
            header("00", "0g", ""),
            header("00", "0A", ""),
            header(" 0", "01", ""),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}0{SPAN}-01-"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}_01"),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(SpanContext::of_header(&[&value]), None, "{value}");
        }
        let value = header("00", "01", "");
        assert_eq!(SpanContext::of_header(&[&value, &value]), None, "several");
        assert_eq!(SpanContext::of_header::<&str>(&[]), None, "none");
        assert_eq!(SpanContext::parse("é".repeat(40).as_bytes()), None);
    }

    #[test]
    fn a_tracestate_is_one_list_over_all_its_fields() {
        for (values, sent) in [
            (vec![], ""),
            (vec![""], ""),
            (vec!["rojo=00f067aa0ba902b7"], "rojo=00f067aa0ba902b7"),
            (vec!["rojo=1,congo=t61rcWkgMzE"], "rojo=1,congo=t61rcWkgMzE"),
            (vec!["rojo=1", "congo=2,a=3"], "rojo=1,congo=2,a=3"),
            (vec![" rojo=1\t, ,\tcongo=2 ,"], "rojo=1,congo=2"),
            (vec!["a= b"], "a= b"),
            (vec!["0tenant-_*/@system=1"], "0tenant-_*/@system=1"),
            (vec!["a/b*c-d_e0=~!"], "a/b*c-d_e0=~!"),
            (vec!["a=1,a=2"], ""),
            (vec!["a=1", "a=1"], ""),
            (vec!["A=1"], ""),
            (vec!["0a=1"], ""),
            (vec!["a@0b=1"], ""),
            (vec!["a@b@c=1"], ""),
            (vec!["@b=1"], ""),
            (vec!["a@=1"], ""),
            (vec!["a@systemidtoolong=1"], ""),
            (vec!["a"], ""),
            (vec!["a="], ""),
            (vec!["=1"], ""),
            (vec!["a =1"], ""),
            (vec!["a=1=2"], ""),
            (vec!["a=\u{7f}"], ""),
            (vec!["a=é"], ""),
            (vec!["b=1,a=\t2\u{1}"], ""),
        ] {
            assert_eq!(tracestate(&values), sent, "{values:?}");
        }
    }

    #[test]
    fn a_tracestate_has_limits() {
        let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(tracestate(&[members(32)]), members(32));
        assert_eq!(tracestate(&[members(33)]), "");
        let key = |length: usize| format!("{}=1", "k".repeat(length));
        assert_eq!(tracestate(&[key(256)]), key(256));
        assert_eq!(tracestate(&[key(257)]), "");
        assert_eq!(tracestate(&[format!("{}@{}=1", "t".repeat(241), "s".repeat(14))]).len(), 258);
        assert_eq!(tracestate(&[format!("{}@s=1", "t".repeat(242))]), "");
        let value = |name: &str, length: usize| format!("{name}={}", "v".repeat(length));
        assert_eq!(tracestate(&[value("a", 256)]), value("a", 256));
        assert_eq!(tracestate(&[value("a", 257)]), "");
        // 512 characters, and one more: the long one goes, and without one the last.
        let list = |last: usize| [value("a", 250), value("b", 200), value("c", last)].join(",");
        assert_eq!(tracestate(&[list(54)]).len(), 512);
        assert_eq!(tracestate(&[list(55)]), [value("a", 250), value("c", 55)].join(","));
        let short = |last: usize| (0..5).map(|n| value(&format!("k{n}"), last)).collect::<Vec<_>>();
        assert_eq!(tracestate(&[short(110).join(",")]), short(110)[..4].join(","));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(trace: [u8; 16], span: [u8; 8], is_sampled: bool) {
            if let (Some(trace_id), Some(span_id)) = (TraceId::new(trace), SpanId::new(span)) {
                let context = SpanContext { trace_id, span_id, is_sampled };
                let header = context.to_string();
                prop_assert_eq!(header.len(), LENGTH);
                prop_assert_eq!(SpanContext::parse(header.as_bytes()), Some(context));
            }
        }

        /// The grammar of the recommendation, as a regular expression would have it.
        #[test]
        fn only_what_the_grammar_has_is_read(
            header in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
            at in 0_usize..55,
            sign in any::<u8>(),
            more in proptest::option::of("-?[ -~]{0,8}"),
        ) {
            let mut bytes = header.clone().into_bytes();
            bytes[at] = sign;
            bytes.extend(more.clone().unwrap_or_default().bytes());
            let is_hex = |part: &[u8]| part.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
            let is_zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
            let rest = &bytes[55..];
            let expected = [2, 35, 52].iter().all(|at| bytes[*at] == b'-')
                && is_hex(&bytes[..2]) && is_hex(&bytes[3..35]) && is_hex(&bytes[36..52]) && is_hex(&bytes[53..55])
                && &bytes[..2] != b"ff" && !is_zero(&bytes[3..35]) && !is_zero(&bytes[36..52])
                && if &bytes[..2] == b"00" { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
            prop_assert_eq!(SpanContext::parse(&bytes).is_some(), expected);
        }

        #[test]
        fn a_tracestate_that_is_sent_is_read_the_same_and_is_never_too_long(
            values in proptest::collection::vec("([a-c@]{0,3}=[ -~]{0,90},? ?){0,12}", 0..4),
        ) {
            let sent = tracestate(&values);
            prop_assert!(sent.len() <= MOST_CHARACTERS);
            prop_assert_eq!(tracestate(&[&sent]), sent.clone());
            let all = values.join(",");
            prop_assert!(sent.split(',').all(|member| all.contains(member)));
        }
    }
}
