//! Entries of Spin's `allowed_outbound_hosts`.

use std::net::IpAddr;

/// Whether Spin takes the text as an entry for HTTP: `<scheme>://<host>[:<port>]`. An empty one, or one without a host, allows nothing.
/// With an entry that it cannot read Spin denies *every* host, PostgreSQL, too, and tells nobody why.
pub fn is_entry(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let schemes = ["http://", "https://", "*://"];
    let Some(rest) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return false;
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (rest, "*"),
    };
    rest.is_empty() || is_host(host) && is_port(port)
}

/// A name, an address, a network (`10.0.0.0/8`), `*`, or `*.` before a name.
fn is_host(host: &str) -> bool {
    if let Some((address, bits)) = host.split_once('/') {
        return address.parse::<IpAddr>().is_ok() && bits.parse::<u8>().is_ok();
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.[]:".contains(&b);
    host == "*" || !name.is_empty() && name.bytes().all(is_name)
}

/// A number, `*`, or a range (`8000..9000`).
fn is_port(port: &str) -> bool {
    let is_number = |text: &str| text.parse::<u16>().is_ok();
    port == "*"
        || is_number(port)
        || port.split_once("..").is_some_and(|(from, to)| is_number(from) && is_number(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_scheme_a_host_and_a_port_and_no_path() {
        for good in [
            "",
            "http://",
            "https://",
            "http://*:*",
            "https://*.tickets.internal",
            "http://catalog:4001",
            "http://catalog:4001/",
            "http://10.0.0.0/8:*",
            "http://[::1]:8080",
            "http://[::1]",
            "http://127.0.0.1:8000..9000",
            "*://*:*",
        ] {
            assert!(is_entry(good), "{good}");
        }
        for bad in [
            "catalog",
            "catalog:4001",
            "ftp://catalog",
            "http://catalog/v1",
            "http://catalog:4001/v1/",
            "http://user:password@catalog",
            "http://cata log",
            "http://cat*log",
            "http://catalog:port",
            "http://catalog:99999",
            "http://a:1 http://b:1",
            "http://a,http://b",
        ] {
            assert!(!is_entry(bad), "{bad}");
        }
    }
}
