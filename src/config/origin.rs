//! Origins of web pages that may read the answers (CORS).

/// Parses a list of origins with whitespace between them. `None` when one of them is not an origin as a browser sends it: scheme and host
/// in small letters, the port if it is not the scheme's own, and nothing behind it (RFC 6454, 6.2). There is no wildcard, and `null`,
/// which any sandboxed page sends, is none.
pub fn parse_list(origins: &str) -> Option<Vec<String>> {
    origins.split_whitespace().map(|origin| is_origin(origin).then(|| origin.to_owned())).collect()
}

fn is_origin(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        // An IPv6 address has colons of its own.
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let default_port = match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_port = |port: &str| {
        Some(port) != default_port
            && !port.starts_with('0')
            && port.parse::<u16>().is_ok_and(|n| n > 0)
            && port.bytes().all(|b| b.is_ascii_digit())
    };
    is_scheme && (is_name(host) || is_address) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_a_browser_sends_it() {
        for good in [
            "https://shop.example",
            "http://localhost:5173",
            "https://shop.example:8443",
            "http://[::1]:3000",
            "http://[::1]",
            "http://127.0.0.1:8080",
            "capacitor://localhost",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(parse_list(good), Some(vec![good.to_owned()]), "{good}");
        }
        for bad in [
            "*",
            "null",
            "shop.example",
            "https://",
            "https://*.shop.example",
            "https://shop.example/",
            "https://shop.example/path",
            "https://Shop.example",
            "HTTPS://shop.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:0",
            "https://shop.example:+1",
            "https://shop.example:65536",
            "https://shop.example:",
            "https://user@shop.example",
            "https://shop.example?x",
            "https://b\u{fc}cher.example",
            "http://[::1",
            "http://[shop]",
            "https://a.example,https://b.example",
        ] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn origins_have_whitespace_between_them() {
        assert_eq!(parse_list(" \n"), Some(vec![]));
        assert_eq!(parse_list("https://a.example\n https://b.example ").map(|list| list.len()), Some(2));
        assert_eq!(parse_list("https://a.example *"), None);
    }
}
