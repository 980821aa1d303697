//! The Spin variables, as strings.

use super::base_url::BaseUrl;
use anyhow::{Context, Error, Result, anyhow};
use spin_sdk::variables;

/// Every variable of `spin.toml` that the component reads.
const NAMES: &[&str] = &[
    "database_host",
    "database_port",
    "database_username",
    "database_password",
    "database_name",
    "database_sslmode",
    "catalog_url",
    "seating_url",
    "payment_url",
    "notification_url",
    "peers_http",
    "peers_https",
    "tax_percent",
    "currency",
    "order_ttl_seconds",
    "max_seats_per_order",
    "catalog_cache_seconds",
    "internal_token",
    "payment_webhook_secret",
    "auth_jwt_secret",
    "auth_public_key",
    "auth_jwks_url",
    "auth_issuer",
    "auth_audience",
    "auth_user_claim",
    "auth_roles_claim",
    "user_url",
    "max_open_orders_per_user",
    "cors_allowed_origins",
    "events_url",
    "events_webhook_secret",
    "events_mqtt_url",
    "events_mqtt_topic",
    "events_kafka_rest_url",
    "events_kafka_topic",
    "events_source",
    "log_level",
    "otel_exporter_otlp_endpoint",
    "otel_exporter_otlp_headers",
    "otel_service_name",
    "otel_traces_sampler_arg",
];

/// What a base URL must be.
const BASE_URL: &str = "an http:// or https:// URL without query or fragment";

/// The values, in the order of [`NAMES`].
pub struct Variables(Vec<String>);

impl Variables {
    /// Reads all variables concurrently.
    ///
    /// # Errors
    /// When the host does not give one of them.
    pub async fn read() -> Result<Self> {
        // join_all and not try_join_all: all are awaited, because dropping a host call would cancel it.
        let texts = futures::future::join_all(NAMES.iter().map(|name| text(name))).await;
        Ok(Self(texts.into_iter().collect::<Result<_>>()?))
    }

    /// These values, and empty ones for all others.
    #[cfg(test)]
    pub fn for_tests(values: &[(&str, &str)]) -> Self {
        let value =
            |name: &&str| values.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        Self(NAMES.iter().map(|name| value(name).to_owned()).collect())
    }

    /// The value as it is.
    pub fn text(&self, name: &str) -> &str {
        let index = NAMES.iter().position(|known| *known == name);
        &self.0[index.expect("a variable is read before it is used")]
    }

    /// The value as a number.
    ///
    /// # Errors
    /// When it is not a whole number from `least` to `most`.
    pub fn number(&self, name: &str, least: u32, most: u32) -> Result<u32> {
        let number = self.text(name).parse().ok().filter(|n| (least..=most).contains(n));
        number.ok_or_else(|| wrong(name, &format!("a whole number from {least} to {most}")))
    }

    /// The value without whitespace around it; `None` when it is empty.
    pub fn optional_text(&self, name: &str) -> Option<&str> {
        // Trimmed: what comes from a file often ends with a line break.
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// The value as a base URL; `None` when it is empty.
    ///
    /// # Errors
    /// As [`Self::base_url`].
    pub fn optional_base_url(&self, name: &str) -> Result<Option<BaseUrl>> {
        let parse = |url| BaseUrl::parse(url).ok_or_else(|| wrong(name, BASE_URL));
        self.optional_text(name).map(parse).transpose()
    }

    /// The value as the URL of a document, none when it is empty.
    ///
    /// # Errors
    /// When it is not an `http` or `https` URL without fragment.
    pub fn optional_document_url(&self, name: &str) -> Result<Option<BaseUrl>> {
        let parse = |url| {
            BaseUrl::parse_document(url).ok_or_else(|| wrong(name, "an http or https URL without fragment"))
        };
        self.optional_text(name).map(parse).transpose()
    }

    /// The value as a base URL.
    ///
    /// # Errors
    /// When it is not an `http` or `https` URL without query or fragment.
    pub fn base_url(&self, name: &str) -> Result<BaseUrl> {
        BaseUrl::parse(self.text(name)).ok_or_else(|| wrong(name, BASE_URL))
    }
}

async fn text(name: &str) -> Result<String> {
    variables::get(name).await.with_context(|| format!("The variable {name} cannot be read."))
}

/// The error for an invalid variable. Never shows the value: it may be a secret.
pub fn wrong(name: &str, expected: &str) -> Error {
    anyhow!("The variable {name} is wrong: it must be {expected}.")
}
