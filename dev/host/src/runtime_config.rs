//! `--runtime-config-file`: limits of the host that are not part of the application.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The runtime configuration, with Spin's defaults.
#[derive(Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Whether outbound HTTP connections are kept for the next request.
    pub http_pooling: bool,
    /// The most outbound HTTP connections at a time.
    pub http_max_connections: Option<usize>,
    /// The most PostgreSQL connections that guests may hold at a time.
    pub pg_max_connections: Option<usize>,
    /// The most MQTT connections that guests may hold at a time.
    pub mqtt_max_connections: Option<usize>,
    /// The most bytes of an MQTT message's payload.
    pub mqtt_max_payload_bytes: Option<usize>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            http_pooling: true,
            http_max_connections: None,
            pg_max_connections: None,
            mqtt_max_connections: None,
            mqtt_max_payload_bytes: None,
        }
    }
}

impl RuntimeConfig {
    /// Reads the file, if there is one.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the runtime configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("invalid runtime configuration {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let raw: Raw = toml::from_str(text)?;
        ensure!(
            raw.outbound_networking.is_none() && raw.variables_provider.is_none() && raw.client_tls.is_none(),
            "[outbound_networking], [[variables_provider]] and [[client_tls]] are not supported by this host"
        );
        let mut config = Self::default();
        if let Some(http) = raw.outbound_http {
            // Against what one would expect, to write the table without this key disables pooling in Spin.
            config.http_pooling = http.connection_pooling;
            config.http_max_connections = http.max_connections;
        }
        if let Some(pg) = raw.outbound_pg {
            config.pg_max_connections = pg.max_connections;
        }
        if let Some(mqtt) = raw.outbound_mqtt {
            config.mqtt_max_connections = mqtt.max_connections;
            config.mqtt_max_payload_bytes = mqtt.max_payload_size_bytes;
        }
        Ok(config)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    outbound_http: Option<RawHttp>,
    outbound_pg: Option<RawPg>,
    outbound_mqtt: Option<RawMqtt>,
    outbound_networking: Option<toml::Value>,
    variables_provider: Option<toml::Value>,
    client_tls: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    #[serde(default)]
    connection_pooling: bool,
    max_connections: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPg {
    max_connections: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMqtt {
    max_payload_size_bytes: Option<usize>,
    max_connections: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(RuntimeConfig::parse("").expect("valid"), RuntimeConfig::default());
    }

    #[test]
    fn the_http_table_alone_disables_pooling() {
        assert!(!RuntimeConfig::parse("[outbound_http]").expect("valid").http_pooling);
        let config = RuntimeConfig::parse("[outbound_http]\nconnection_pooling = true\nmax_connections = 8");
        let config = config.expect("valid");
        assert_eq!((config.http_pooling, config.http_max_connections), (true, Some(8)));
    }

    #[test]
    fn pg_connections_can_be_limited() {
        let config = RuntimeConfig::parse("[outbound_pg]\nmax_connections = 3").expect("valid");
        assert_eq!(config.pg_max_connections, Some(3));
        assert!(config.http_pooling);
    }

    #[test]
    fn mqtt_can_be_limited() {
        let config = "[outbound_mqtt]\nmax_connections = 3\nmax_payload_size_bytes = 9";
        let config = RuntimeConfig::parse(config).expect("valid");
        assert_eq!((config.mqtt_max_connections, config.mqtt_max_payload_bytes), (Some(3), Some(9)));
    }

    #[test]
    fn unknown_and_unsupported_keys_are_errors() {
        for bad in [
            "state_dir = \".\"",
            "[outbound_http]\ncolour = 1",
            "[outbound_pg]\ncolour = 1",
            "[outbound_mqtt]\ncolour = 1",
            "[outbound_networking]\nblock_networks = [\"private\"]",
            "[[variables_provider]]\ntype = \"static\"",
        ] {
            assert!(RuntimeConfig::parse(bad).is_err(), "{bad}");
        }
    }
}
