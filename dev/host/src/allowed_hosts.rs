//! `allowed_outbound_hosts`: the allow list of the component's outbound connections.

use std::net::IpAddr;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};

use crate::chaining;
use crate::template::Template;

/// The entries of a component, with all templates filled.
#[derive(Debug)]
pub struct AllowedHosts(Result<Vec<Entry>>);

impl AllowedHosts {
    /// Checks the entries as Spin does when it loads an application: an entry that is wrong as it stands, or with the
    /// variables' defaults, is an error now.
    pub fn check<'v>(entries: &[String], default: impl Fn(&str) -> Option<&'v str>) -> Result<()> {
        for text in entries {
            let template: Template = text.parse()?;
            // Without a default there is nothing to check yet.
            if let Some(filled) = template.fill(&default) {
                parse_filled(&template, &filled)?;
            }
        }
        Ok(())
    }

    /// Fills the templates with the variables' values. As in Spin, one bad entry makes all of them count for nothing;
    /// it is an error for each call and not for the start.
    pub fn resolve<'v>(entries: &[String], value: impl Fn(&str) -> Option<&'v str>) -> Self {
        let parse = |text: &String| -> Result<Option<Entry>> {
            let template: Template = text.parse()?;
            let filled =
                template.fill(&value).with_context(|| format!("{text:?} uses an undeclared variable"))?;
            parse_filled(&template, &filled)
        };
        Self(entries.iter().filter_map(|text| parse(text).transpose()).collect())
    }

    /// As in Spin, `*.spin.internal` stands for the components that there are, and for no other name.
    pub fn with_components(self, ids: &[String]) -> Self {
        Self(self.0.map(|entries| entries.into_iter().flat_map(|entry| entry.by_component(ids)).collect()))
    }

    /// Whether the component may call this host. The error says that the list itself is bad.
    pub fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> Result<bool, String> {
        let host = host.to_ascii_lowercase();
        match &self.0 {
            Ok(entries) => Ok(entries.iter().any(|entry| entry.allows(scheme, &host, port))),
            Err(error) => {
                Err(format!("all outbound calls are denied, allowed_outbound_hosts is invalid: {error:#}"))
            }
        }
    }
}

/// A template may come out empty, to say "none"; a literal may not.
fn parse_filled(template: &Template, filled: &str) -> Result<Option<Entry>> {
    if !template.is_literal() && matches!(filled, "" | "http://" | "https://") {
        return Ok(None);
    }
    Entry::parse(filled).map(Some)
}

/// One `scheme://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// `None` is `*`.
    scheme: Option<String>,
    host: HostPattern,
    port: PortPattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// Everything that ends with this; it starts with a dot.
    Subdomains(String),
    /// The application itself, by relative URLs, which this host does not have: matches nothing.
    Itself,
    Exact(String),
    Network(IpAddr, u8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PortPattern {
    Any,
    /// The end is not part of it, as in Spin.
    Range(Range<u32>),
}

impl Entry {
    fn parse(text: &str) -> Result<Self> {
        Self::parse_parts(text.trim()).with_context(|| format!("{text:?} is not an allowed outbound host"))
    }

    fn parse_parts(text: &str) -> Result<Self> {
        let (scheme, rest) =
            text.split_once("://").context("expected scheme://host[:port]; to allow everything, *://*:*")?;
        ensure!(
            scheme == "*" || scheme.chars().all(char::is_alphabetic),
            "the scheme may have letters only, or be `*`"
        );
        let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
        let port = match port.split_once('/') {
            Some((port, path)) => {
                ensure!(path.is_empty(), "a path is not allowed");
                port
            }
            None => port,
        };
        Ok(Self {
            scheme: (scheme != "*").then(|| scheme.to_owned()),
            host: HostPattern::parse(host)?,
            port: PortPattern::parse(port, scheme)?,
        })
    }

    /// An entry for each component, if this one is for all of them.
    fn by_component(self, ids: &[String]) -> Vec<Self> {
        match &self.host {
            HostPattern::Subdomains(suffix) if suffix.strip_prefix('.') == Some(chaining::DOMAIN) => {
                let host = |id: &String| HostPattern::Exact(format!("{id}{suffix}"));
                ids.iter().map(|id| Self { host: host(id), ..self.clone() }).collect()
            }
            _ => vec![self],
        }
    }

    fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.scheme.as_deref().is_none_or(|allowed| allowed == scheme)
            && self.host.allows(host)
            && self.port.allows(port.or_else(|| well_known_port(scheme)))
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self> {
        ensure!(!host.contains('@'), "user information is not allowed");
        match host {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Itself),
            _ => {}
        }
        if let Some(network) = parse_network(host) {
            return Ok(network);
        }
        let host = host.trim_end_matches('/');
        ensure!(!host.contains('/'), "a path is not allowed");
        ensure!(!host.is_empty(), "the host is missing");
        if let Some(domain) = host.strip_prefix("*.") {
            ensure!(!domain.contains('*'), "only one `*`, and only at the start of the host");
            return Ok(Self::Subdomains(format!(".{domain}")));
        }
        ensure!(!host.contains('*'), "`*` may stand for the whole host or for its first part");
        Ok(Self::Exact(host.to_owned()))
    }

    fn allows(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Subdomains(suffix) => host.ends_with(suffix.as_str()),
            Self::Itself => false,
            Self::Exact(allowed) => allowed == host,
            Self::Network(network, bits) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                host.parse().is_ok_and(|address| same_network(*network, address, *bits))
            }
        }
    }
}

impl PortPattern {
    fn parse(port: &str, scheme: &str) -> Result<Self> {
        let number = |text: &str| -> Result<u32> {
            let number: u16 = text.parse().with_context(|| format!("{text:?} is not a port"))?;
            Ok(number.into())
        };
        if port == "*" {
            return Ok(Self::Any);
        }
        if let Some((start, end)) = port.split_once("..") {
            return Ok(Self::Range(number(start)?..number(end)?));
        }
        let port = match port {
            "" => match well_known_port(scheme) {
                Some(port) => port.into(),
                None => bail!("the scheme {scheme:?} has no well-known port, so a port is needed"),
            },
            port => number(port)?,
        };
        Ok(Self::Range(port..port + 1))
    }

    fn allows(&self, port: Option<u16>) -> bool {
        match self {
            Self::Any => true,
            Self::Range(range) => port.is_some_and(|port| range.contains(&port.into())),
        }
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        _ => None,
    }
}

fn parse_network(text: &str) -> Option<HostPattern> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    (bits <= width).then_some(HostPattern::Network(address, bits))
}

fn same_network(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    // Shifted by its full width a number would stay as it is, and the answer is known anyway.
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => bits == 0 || (a.to_bits() ^ b.to_bits()) >> (32 - bits) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => bits == 0 || (a.to_bits() ^ b.to_bits()) >> (128 - bits) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<&'static str> {
        match name {
            "empty" => Some(""),
            "host" => Some("db.example"),
            "path" => Some("example.com/path"),
            _ => None,
        }
    }

    fn resolve(entries: &[&str]) -> AllowedHosts {
        let entries: Vec<_> = entries.iter().map(|&e| e.to_owned()).collect();
        AllowedHosts::resolve(&entries, variable)
    }

    fn allows(entry: &str, scheme: &str, host: &str, port: Option<u16>) -> bool {
        resolve(&[entry]).allows(scheme, host, port).expect("a good list")
    }

    #[test]
    fn each_part_must_match() {
        for (entry, scheme, host, port, expected) in [
            ("http://a.example", "http", "a.example", None, true),
            ("http://a.example/", "http", "a.example", None, true),
            ("http://a.example:80/", "http", "A.Example", Some(80), true),
            ("http://a.example", "http", "a.example", Some(81), false),
            ("http://a.example", "https", "a.example", None, false),
            ("http://a.example", "http", "b.a.example", None, false),
            ("http://*:*", "http", "anything", Some(9), true),
            ("http://*:*", "https", "anything", None, false),
            ("http://*", "http", "anything", Some(9), false),
            ("*://a.example:443", "https", "a.example", None, true),
            ("*://*:*", "postgres", "a", None, true),
            ("https://*.a.example", "https", "b.a.example", None, true),
            ("https://*.a.example", "https", "c.b.a.example", None, true),
            ("https://*.a.example", "https", "a.example", None, false),
            ("http://a:8000..9000", "http", "a", Some(8000), true),
            ("http://a:8000..9000", "http", "a", Some(8999), true),
            ("http://a:8000..9000", "http", "a", Some(9000), false),
            ("http://10.0.0.0/8:*", "http", "10.255.0.1", None, true),
            ("http://10.0.0.0/8:*", "http", "11.0.0.1", None, false),
            ("http://127.0.0.1:65535", "http", "127.0.0.1", Some(65535), true),
            ("http://0.0.0.0/0:*", "http", "8.8.8.8", None, true),
            ("http://self", "http", "self", None, false),
            ("postgres://{{ host }}:5432", "postgres", "db.example", None, true),
        ] {
            assert_eq!(allows(entry, scheme, host, port), expected, "{entry} {scheme}://{host}:{port:?}");
        }
    }

    #[test]
    fn bad_entries_are_refused() {
        for bad in [
            "",
            "*",
            "a.example",
            "insecure:allow-all",
            "http://",
            "http://a.example/path",
            "http://a.example:80/path",
            "http://user:pass@a.example",
            "http://a.*.example",
            "http://*.*.example",
            "http://a:port",
            "http://a:1..x",
            "http://a:65536",
            "h2c://a",
            "gopher://a",
            "*://a",
        ] {
            assert!(AllowedHosts::check(&[bad.to_owned()], variable).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_template_may_come_out_empty() {
        let hosts = resolve(&["{{ empty }}", "http://{{ empty }}", "https://{{ empty }}", "http://a"]);
        assert_eq!(hosts.allows("http", "a", None), Ok(true));
        assert_eq!(hosts.allows("http", "b", None), Ok(false));
    }

    #[test]
    fn all_components_are_those_that_there_are() {
        let hosts = resolve(&["http://*.spin.internal", "https://*.example"]);
        let hosts = hosts.with_components(&["shop".to_owned(), "till".to_owned()]);
        for (scheme, host, expected) in [
            ("http", "shop.spin.internal", true),
            ("http", "till.spin.internal", true),
            ("http", "ship.spin.internal", false),
            ("https", "till.spin.internal", false),
            ("https", "a.example", true),
        ] {
            assert_eq!(hosts.allows(scheme, host, None), Ok(expected), "{scheme}://{host}");
        }
    }

    #[test]
    fn one_bad_entry_denies_all() {
        for bad in ["http://{{ path }}", "http://{{ unknown }}", "redis://{{ empty }}"] {
            let error = resolve(&["http://a", bad]).allows("http", "a", None).expect_err("a bad list");
            assert!(error.contains("all outbound calls are denied"), "{error}");
        }
    }

    #[test]
    fn templates_without_all_defaults_are_not_checked_at_load() {
        AllowedHosts::check(&["http://{{ required }}/path".to_owned()], variable).expect("not known yet");
        AllowedHosts::check(&["http://{{ path }}".to_owned()], variable).expect_err("wrong already");
    }
}
