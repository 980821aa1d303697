//! Base URLs of peers.

use std::fmt;

/// The base URL of a peer: scheme, authority and an optional path, without a slash at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseUrl {
    /// Whether the scheme is `https`; else it is `http`.
    pub is_https: bool,
    /// Host and port.
    pub authority: String,
    /// The prefix of all paths, without a slash at the end; may be empty.
    pub path: String,
}

impl BaseUrl {
    /// Parses a base URL. `None` unless it is `http` or `https` with a host and without user, query or fragment.
    pub fn parse(url: &str) -> Option<Self> {
        let (is_https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let sane = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"@?#\\\"<>".contains(&b));
        (!authority.is_empty() && sane(authority) && sane(path)).then(|| Self {
            is_https,
            authority: authority.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_carry_a_path_and_nothing_else() {
        let base = BaseUrl::parse("http://127.0.0.1:4010/seating/").unwrap();
        assert_eq!((base.is_https, &*base.authority, &*base.path), (false, "127.0.0.1:4010", "/seating"));
        assert_eq!(BaseUrl::parse("https://pay.example").unwrap().path, "");
        assert_eq!(BaseUrl::parse("https://pay.example/").unwrap().path, "");
        for bad in [
            "",
            "pay.example",
            "ftp://pay.example",
            "http://",
            "http:///x",
            "http://u:p@h",
            "http://h/?q",
            "http://h/#f",
            "http://h /",
        ] {
            assert_eq!(BaseUrl::parse(bad), None, "{bad}");
        }
    }
}
