//! Settings from environment variables, with the names of the service that this one replaces: `DATABASE_HOST`, `PORT`, ….

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use order_dev::peers::Peers;
use order_dev::postgres::Database;
use order_dev::repo_root;

/// What `cargo dev up` charges as tax when nothing else is said, so that the walk in the README shows one.
const TAX_PERCENT: &str = "5";
/// Bearer token of `/internal/…` when nothing else is said: without one most of it would be switched off.
const INTERNAL_TOKEN: &str = "dev";
const PEER_URLS: [&str; 4] = ["catalog_url", "seating_url", "payment_url", "notification_url"];

/// The variables of `spin.toml` that the environment sets, by their names there.
pub struct Settings {
    given: BTreeMap<String, String>,
    /// The names of those that are set for Spin itself (`SPIN_VARIABLE_…`). They count as well, and must not be overridden.
    of_spin: BTreeSet<String>,
    /// `PORT`.
    pub port: Option<u16>,
}

impl Settings {
    /// Reads the environment.
    pub fn read() -> Result<Settings> {
        let manifest = std::fs::read_to_string(repo_root().join("spin.toml")).context("reading spin.toml")?;
        let manifest: toml::Table = manifest.parse().context("reading spin.toml")?;
        let variables = manifest["variables"].as_table().context("spin.toml has no [variables]")?;
        Settings::from(variables.keys(), |name| std::env::var(name).ok())
    }

    fn from<'a>(
        names: impl Iterator<Item = &'a String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings> {
        let (mut given, mut of_spin) = (BTreeMap::new(), BTreeSet::new());
        for name in names {
            given.extend(environment(&name.to_uppercase()).map(|value| (name.clone(), value)));
            of_spin
                .extend(environment(&format!("SPIN_VARIABLE_{}", name.to_uppercase())).map(|_| name.clone()));
        }
        let mut settings = Settings { given, of_spin, port: None };
        let port =
            environment("PORT").map(|text| text.parse().with_context(|| format!("PORT is no port: {text}")));
        settings.port = port.transpose()?;
        if let Some(text) = settings.given.get("database_port") {
            text.parse::<u16>().with_context(|| format!("DATABASE_PORT is no port: {text}"))?;
        }
        if !settings.of_spin.contains("tax_percent") {
            settings.given.entry("tax_percent".into()).or_insert_with(|| TAX_PERCENT.into());
        }
        Ok(settings)
    }

    /// Whether an existing PostgreSQL is to be used.
    pub fn names_a_database_server(&self) -> bool {
        let names = ["database_host", "database_port", "database_username", "database_password"];
        names.iter().any(|name| self.given.contains_key(*name))
    }

    /// Whether every peer is an existing one, so that the sandbox is not needed.
    pub fn names_all_peers(&self) -> bool {
        PEER_URLS.iter().all(|name| self.given.contains_key(*name))
    }

    /// The name of the database.
    pub fn database_name(&self) -> &str {
        self.get("database_name", "order_db")
    }

    /// The existing database; what is not given is as in `spin.toml`.
    pub fn database(&self) -> Database {
        Database {
            host: self.get("database_host", "127.0.0.1").into(),
            port: self.get("database_port", "5432").parse().unwrap_or(5432),
            user: self.get("database_username", "postgres").into(),
            password: self.get("database_password", "").into(),
            name: self.database_name().into(),
        }
    }

    /// All Spin variables for the host: those of the parts that we run, overridden by those that are given.
    pub fn spin_variables(&self, database: &Database, peers: Option<&Peers>) -> Vec<(String, String)> {
        let mut variables: BTreeMap<String, String> = database.spin_variables().into_iter().collect();
        if self.names_a_database_server() && !is_loopback(&database.host) {
            // Leaves it to the default, which uses TLS where the server has it.
            variables.remove("database_sslmode");
        }
        variables.extend(peers.map(Peers::spin_variables).unwrap_or_default());
        variables.extend(peers.map(|peers| self.watched_by(peers)).unwrap_or_default());
        if PEER_URLS.iter().any(|name| self.given.contains_key(*name)) {
            // The sandbox's own would allow nobody else to be called.
            variables.remove("peers_http");
            variables.remove("peers_https");
        }
        variables.extend(self.given.clone());
        variables.entry("internal_token".to_owned()).or_insert_with(|| INTERNAL_TOKEN.to_owned());
        variables.into_iter().collect()
    }

    /// The variables by which the sandbox hears of events and gets the spans; those of whoever has set a sink or a collector stay as they are.
    fn watched_by(&self, peers: &Peers) -> Vec<(String, String)> {
        let is_set = |name: &str| self.given.contains_key(name) || self.of_spin.contains(name);
        let mut variables = Vec::new();
        if !is_set("events_url") {
            variables.push(("events_url".to_owned(), peers.events_url()));
        }
        if !is_set("otel_exporter_otlp_endpoint") {
            variables.push(("otel_exporter_otlp_endpoint".to_owned(), peers.url()));
            if !is_set("otel_traces_sampler_arg") {
                variables.push(("otel_traces_sampler_arg".to_owned(), "1".to_owned()));
            }
        }
        variables
    }

    /// What is asked of callers of `/internal/…`, as an option of curl.
    pub fn curl_authorization(&self) -> String {
        match self.get("internal_token", INTERNAL_TOKEN).trim() {
            "" => String::new(),
            token => format!(" -H 'Authorization: Bearer {token}'"),
        }
    }

    /// What is asked of callers of `/v1/orders`, as an option of curl with a variable for the token; nothing while authentication is off.
    pub fn curl_token(&self) -> &'static str {
        let is_given = |name: &&str| !self.get(name, "").trim().is_empty();
        match ["auth_jwt_secret", "auth_public_key", "auth_jwks_url"].iter().any(is_given) {
            true => " -H \"Authorization: Bearer $TOKEN\"",
            false => "",
        }
    }

    fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.given.get(name).map_or(default, String::as_str)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Result<Settings> {
        let names: Vec<String> = [
            "database_host",
            "database_port",
            "database_name",
            "catalog_url",
            "tax_percent",
            "peers_http",
            "auth_jwt_secret",
            "events_url",
            "otel_exporter_otlp_endpoint",
            "otel_traces_sampler_arg",
        ]
        .map(String::from)
        .to_vec();
        let find =
            |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string());
        Settings::from(names.iter(), find)
    }

    #[test]
    fn the_original_names_are_taken() {
        let settings =
            settings(&[("PORT", "9000"), ("DATABASE_HOST", "db"), ("DATABASE_PORT", "6543")]).unwrap();
        assert!(settings.names_a_database_server() && settings.port == Some(9000));
        let database = settings.database();
        assert_eq!((database.host.as_str(), database.port, database.name.as_str()), ("db", 6543, "order_db"));
        let variables: BTreeMap<_, _> = settings.spin_variables(&database, None).into_iter().collect();
        assert_eq!((variables["tax_percent"].as_str(), variables["internal_token"].as_str()), ("5", "dev"));
        assert_eq!(settings.curl_authorization(), " -H 'Authorization: Bearer dev'");
        assert_eq!(settings.curl_token(), "");
        assert!(!variables.contains_key("database_sslmode"));
    }

    #[test]
    fn callers_of_orders_need_a_token_when_there_is_a_key() {
        let with = |secret| settings(&[("AUTH_JWT_SECRET", secret)]).unwrap().curl_token();
        assert_eq!((with(""), with("secret")), ("", " -H \"Authorization: Bearer $TOKEN\""));
    }

    #[tokio::test]
    async fn a_given_peer_takes_the_place_of_the_sandboxs() {
        let settings = settings(&[("CATALOG_URL", "http://catalog:1"), ("TAX_PERCENT", "7.5")]).unwrap();
        assert!(!settings.names_a_database_server() && !settings.names_all_peers());
        let peers = Peers::start(Default::default()).await.unwrap();
        let variables: BTreeMap<_, _> =
            settings.spin_variables(&settings.database(), Some(&peers)).into_iter().collect();
        assert_eq!(
            (variables["catalog_url"].as_str(), variables["tax_percent"].as_str()),
            ("http://catalog:1", "7.5")
        );
        assert_eq!(variables["seating_url"], format!("{}/seating", peers.url()));
        assert!(!variables.contains_key("peers_http"));
        assert_eq!(variables["database_sslmode"], "disable");
    }

    #[tokio::test]
    async fn the_sandbox_hears_of_events_and_gets_the_spans_unless_somebody_else_does() {
        let peers = Peers::start(Default::default()).await.unwrap();
        let (sink, collector, all) = ("events_url", "otel_exporter_otlp_endpoint", "otel_traces_sampler_arg");
        let (hook, url) = (peers.events_url(), peers.url());
        for (environment, expected) in [
            (vec![], [Some(&*hook), Some(&*url), Some("1")]),
            (vec![("EVENTS_URL", "http://a/hook")], [Some("http://a/hook"), Some(&*url), Some("1")]),
            (vec![("OTEL_TRACES_SAMPLER_ARG", "0.1")], [Some(&*hook), Some(&*url), Some("0.1")]),
            (
                vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318")],
                [Some(&*hook), Some("http://b:4318"), None],
            ),
            (
                vec![
                    ("SPIN_VARIABLE_EVENTS_URL", "http://a/hook"),
                    ("SPIN_VARIABLE_OTEL_EXPORTER_OTLP_ENDPOINT", ""),
                ],
                [None, None, None],
            ),
        ] {
            let settings = settings(&environment).unwrap();
            let variables: BTreeMap<_, _> =
                settings.spin_variables(&settings.database(), Some(&peers)).into_iter().collect();
            let set = [sink, collector, all].map(|name| variables.get(name).map(String::as_str));
            assert_eq!(set, expected, "{environment:?}");
        }
    }

    #[test]
    fn a_bad_port_is_named() {
        let error = settings(&[("DATABASE_PORT", "no")]).err().unwrap().to_string();
        assert_eq!(error, "DATABASE_PORT is no port: no");
    }
}
