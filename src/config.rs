//! The service's configuration: Spin variables, parsed once per instance into one typed struct.

use crate::domain::money::TaxRate;
use crate::peers::BaseUrl;
use spin_sdk::variables;
use std::cell::RefCell;
use std::rc::Rc;

/// Everything that is configurable. See README.md for the variables and their defaults.
#[derive(Debug)]
pub struct Config {
    /// Connection string for PostgreSQL. Holds the password: never logged.
    pub database: String,
    /// Base URL of Catalog.
    pub catalog: BaseUrl,
    /// Base URL of Seating.
    pub seating: BaseUrl,
    /// Base URL of Payment.
    pub payment: BaseUrl,
    /// Base URL of Notification.
    pub notification: BaseUrl,
    /// Tax on every order.
    pub tax: TaxRate,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// Seconds that a buyer has to pay; within our hold window at Seating ([`crate::domain::retry::HOLD_WINDOW_SECONDS`]).
    pub order_ttl_seconds: u32,
    /// Seats that one order may have.
    pub max_seats_per_order: usize,
    /// Seconds for which an event's status is kept in the instance.
    pub catalog_cache_seconds: u32,
    /// Bearer token for `/internal/…`; unset when empty.
    pub internal_token: Option<String>,
    /// Key of the callback's signature, decoded; callbacks are checked with Payment when unset.
    pub webhook_key: Option<Vec<u8>>,
    /// Least level that is logged.
    pub log_level: crate::telemetry::log::Level,
}

thread_local! {
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

/// The configuration, read at the instance's first request.
///
/// # Errors
/// One sentence that names the variable that is wrong.
pub async fn get() -> Result<Rc<Config>, String> {
    if let Some(config) = CONFIG.with_borrow(Clone::clone) {
        return Ok(config);
    }
    let config = Rc::new(read().await?);
    CONFIG.set(Some(config.clone()));
    Ok(config)
}

async fn read() -> Result<Config, String> {
    let (database_host, database_port, database_username, database_password, database_name, database_sslmode) =
        futures::try_join!(
            text("database_host"),
            text("database_port"),
            text("database_username"),
            text("database_password"),
            text("database_name"),
            text("database_sslmode"),
        )?;
    let (catalog, seating, payment, notification) = futures::try_join!(
        base_url("catalog_url"),
        base_url("seating_url"),
        base_url("payment_url"),
        base_url("notification_url"),
    )?;
    let (tax, currency, ttl, max_seats, cache, token, webhook, level) = futures::try_join!(
        text("tax_percent"),
        text("currency"),
        number("order_ttl_seconds", 1, 860),
        number("max_seats_per_order", 1, 100),
        number("catalog_cache_seconds", 0, 3_600),
        text("internal_token"),
        text("payment_webhook_secret"),
        text("log_level"),
    )?;

    if database_port.parse::<u16>().is_err() {
        return Err(wrong("database_port", "a port number"));
    }
    if !matches!(database_sslmode.as_str(), "disable" | "prefer" | "require") {
        return Err(wrong("database_sslmode", "disable, prefer or require"));
    }
    let tax = TaxRate::parse(&tax).ok_or_else(|| wrong("tax_percent", "a decimal number from 0 to 1000"))?;
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(wrong("currency", "three capital letters, as INR"));
    }
    let webhook_key = match webhook.as_str() {
        "" => None,
        secret => Some(webhook_key(secret).ok_or_else(|| {
            wrong("payment_webhook_secret", "whsec_ followed by the base64 of 24 to 64 bytes")
        })?),
    };
    let log_level = level.parse().map_err(|()| wrong("log_level", "debug, info, warn or error"))?;

    Ok(Config {
        database: connection_string(&[
            ("host", &database_host),
            ("port", &database_port),
            ("user", &database_username),
            ("password", &database_password),
            ("dbname", &database_name),
            ("sslmode", &database_sslmode),
            ("application_name", "order-service"),
            ("connect_timeout", "3"),
            // Start-up options outlive the pool's clean-up between borrowers. An open transaction, which no statement
            // of ours makes, could otherwise hold its locks for ever. All that we ask is found by an index, and plans are
            // kept: none may depend on how full a table was when it was made.
            ("options", include_str!("db/session_options.txt")),
        ]),
        catalog,
        seating,
        payment,
        notification,
        tax,
        currency,
        order_ttl_seconds: ttl,
        max_seats_per_order: max_seats as usize,
        catalog_cache_seconds: cache,
        internal_token: (!token.is_empty()).then_some(token),
        webhook_key,
        log_level,
    })
}

async fn text(name: &'static str) -> Result<String, String> {
    variables::get(name).await.map_err(|error| format!("The variable {name} cannot be read: {error}."))
}

async fn number(name: &'static str, least: u32, most: u32) -> Result<u32, String> {
    let text = text(name).await?;
    text.parse()
        .ok()
        .filter(|n| (least..=most).contains(n))
        .ok_or_else(|| wrong(name, &format!("a whole number from {least} to {most}")))
}

async fn base_url(name: &'static str) -> Result<BaseUrl, String> {
    let text = text(name).await?;
    BaseUrl::parse(&text).ok_or_else(|| wrong(name, "an http:// or https:// URL without query or fragment"))
}

/// Never shows the value: it may be a secret.
fn wrong(name: &str, expected: &str) -> String {
    format!("The variable {name} is wrong: it must be {expected}.")
}

/// A Standard Webhooks secret: `whsec_` and base64.
fn webhook_key(secret: &str) -> Option<Vec<u8>> {
    use base64::prelude::*;
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

/// `key='value'` pairs with the quoting of libpq; empty values are left out.
fn connection_string(pairs: &[(&str, &str)]) -> String {
    let quoted = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_cannot_break_out_of_the_connection_string() {
        let string = connection_string(&[("user", "u"), ("password", r"a' host='evil\"), ("dbname", "")]);
        assert_eq!(string, r"user='u' password='a\' host=\'evil\\'");
    }

    #[test]
    fn a_webhook_secret_is_prefixed_base64_of_24_to_64_bytes() {
        assert_eq!(webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").map(|key| key.len()), Some(24));
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!"] {
            assert_eq!(webhook_key(bad), None, "{bad}");
        }
    }
}
