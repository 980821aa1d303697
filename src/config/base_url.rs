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
        let mut url = Self::parse_document(url).filter(|url| !url.path.contains('?'))?;
        url.path.truncate(url.path.trim_end_matches('/').len());
        Some(url)
    }

    /// Parses the URL of one document: the path is all of it, with its query and its last slash. `None` unless it is `http` or `https`
    /// with a host and without user or fragment.
    pub fn parse_document(url: &str) -> Option<Self> {
        let (is_https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let sane = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"@#\\\"<>".contains(&b));
        let slash = if path.starts_with('/') { "" } else { "/" };
        (!authority.is_empty() && sane(authority) && sane(path)).then(|| Self {
            is_https,
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
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
    fn the_url_of_a_document_keeps_its_query_and_its_last_slash() {
        for (url, path) in [
            ("https://issuer", "/"),
            ("https://issuer?p=1", "/?p=1"),
            ("https://issuer/keys/", "/keys/"),
            ("https://issuer/discovery/keys?p=policy/1", "/discovery/keys?p=policy/1"),
        ] {
            let parsed = BaseUrl::parse_document(url).unwrap();
            assert_eq!((&*parsed.authority, &*parsed.path), ("issuer", path), "{url}");
        }
        for bad in
            ["", "issuer/keys", "http://", "http:///x", "http://?q", "http://u@h/keys", "http://h/keys#f"]
        {
            assert_eq!(BaseUrl::parse_document(bad), None, "{bad}");
        }
    }

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
            "http://h?q",
            "http://h/x?",
            "http://h/#f",
            "http://h /",
        ] {
            assert_eq!(BaseUrl::parse(bad), None, "{bad}");
        }
    }
}
