//! The service's configuration: Spin variables, parsed once per instance into one typed struct.

mod allowed_host;
mod authentication;
mod base_url;
pub mod events;
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
mod origin;
mod secret;
mod tracing;
mod variables;

use crate::domain::money::{self, TaxRate};
use crate::telemetry::log::{self, Level, Log};
use crate::telemetry::tracing::current;
use anyhow::Result;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;

pub use authentication::Authentication;
pub use base_url::BaseUrl;
pub use events::Events;
pub use secret::Secret;
use secret::webhook_keys;
pub use tracing::Tracing;
use variables::{Variables, wrong};

/// Everything that is configurable. See README.md for the variables and their defaults.
#[derive(Debug)]
pub struct Config {
    /// Connection string for PostgreSQL. Holds the password.
    pub database: Secret<String>,
    /// The same for a session that waits for locks for as long as a statement may take. Another connection string is another pool
    /// of the host.
    pub database_patient: Secret<String>,
    /// Host of PostgreSQL, for spans.
    pub database_host: String,
    /// Port of PostgreSQL, for spans.
    pub database_port: u16,
    /// Name of the database, for spans.
    pub database_name: String,
    /// Base URL of Catalog.
    pub catalog: BaseUrl,
    /// Base URL of Seating.
    pub seating: BaseUrl,
    /// Base URL of Payment.
    pub payment: BaseUrl,
    /// Base URL of Notification.
    pub notification: BaseUrl,
    /// Tax rate of every order.
    pub tax: TaxRate,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// Seconds that a buyer has to pay; shorter than the hold window at Seating ([`crate::domain::retry::HOLD_WINDOW_SECONDS`]).
    pub order_ttl_seconds: u32,
    /// The most seats of one order.
    pub max_seats_per_order: usize,
    /// Seconds for which an event's status is cached in the instance; 0 switches the cache off.
    pub catalog_cache_seconds: u32,
    /// Bearer token for `/internal/…`; `None` when the variable is empty.
    pub internal_token: Option<Secret<String>>,
    /// Keys of the callbacks' signature (Standard Webhooks), decoded; several while the key is rotated, and any of them verifies.
    /// None: callbacks are not signed, and Payment is asked.
    pub webhook_keys: Vec<Secret<Vec<u8>>>,
    /// How callers are authenticated; `None`: everybody may do everything that does not need the internal token.
    pub authentication: Option<Authentication>,
    /// How many unpaid orders a user may have; `None`: any number. Only while authentication is on, because anybody could use up
    /// another's else.
    pub max_open_orders: Option<u32>,
    /// Origins of web pages that may read the answers (CORS), as browsers send them.
    pub cors_allowed_origins: Vec<String>,
    /// Where events for other systems are sent.
    pub events: Events,
    /// The lowest level that is logged.
    pub log_level: Level,
    /// Who gets the spans; `None`: nobody, and there are none.
    pub tracing: Option<Tracing>,
}

thread_local! {
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

/// The configuration, read and parsed at the instance's first request, then cached.
///
/// # Errors
/// One sentence that names the invalid variable, with its cause.
pub async fn get() -> Result<Rc<Config>> {
    if let Some(config) = CONFIG.with_borrow(Clone::clone) {
        return Ok(config);
    }
    let config = Rc::new(parse(&Variables::read().await?)?);
    if let Some(tracing) = &config.tracing {
        current::switch_on(tracing.sampler);
    }
    if CONFIG.replace(Some(config.clone())).is_none() && config.authentication.is_none() {
        log::set_level(config.log_level);
        Log::default().warn(
            "authentication is off: whoever reaches the service may read and cancel every order",
            json!({}),
        );
    }
    Ok(config)
}

fn parse(variables: &Variables) -> Result<Config> {
    let database_port = variables.text("database_port").parse();
    let database_port = database_port.map_err(|_| wrong("database_port", "a port number"))?;
    if !matches!(variables.text("database_sslmode"), "disable" | "prefer" | "require") {
        return Err(wrong("database_sslmode", "disable, prefer or require"));
    }
    for name in ["peers_http", "peers_https"] {
        if !allowed_host::is_entry(variables.text(name)) {
            return Err(wrong(name, "empty, or one pattern such as https://*.internal:443, without a path"));
        }
    }
    let tax = TaxRate::parse(variables.text("tax_percent"))
        .ok_or_else(|| wrong("tax_percent", "a decimal number from 0 to 1000"))?;
    let currency = variables.text("currency");
    if money::decimals(currency).is_none() {
        return Err(wrong("currency", "the code of a currency (ISO 4217) in capital letters, as INR"));
    }
    let webhook_keys = webhook_keys(variables.text("payment_webhook_secret")).ok_or_else(|| {
        wrong(
            "payment_webhook_secret",
            "whsec_ followed by the base64 of 24 to 64 bytes, or several of that with blanks between them",
        )
    })?;
    let cors_allowed_origins =
        origin::parse_list(variables.text("cors_allowed_origins")).ok_or_else(|| {
            wrong(
                "cors_allowed_origins",
                "empty, or exact origins such as https://shop.example with blanks between them",
            )
        })?;
    let log_level = variables.text("log_level");
    let log_level = log_level.parse().map_err(|()| wrong("log_level", "debug, info, warn or error"))?;
    let authentication = authentication::parse(variables)?;
    let max_open_orders = variables.number("max_open_orders_per_user", 0, 1_000)?;

    Ok(Config {
        database: Secret::new(database_address(variables, SESSION_OPTIONS)),
        database_patient: Secret::new(database_address(variables, &format!("{SESSION_OPTIONS} {PATIENT}"))),
        database_host: variables.text("database_host").to_owned(),
        database_port,
        database_name: variables.text("database_name").to_owned(),
        catalog: variables.base_url("catalog_url")?,
        seating: variables.base_url("seating_url")?,
        payment: variables.base_url("payment_url")?,
        notification: variables.base_url("notification_url")?,
        tax,
        currency: currency.to_owned(),
        order_ttl_seconds: variables.number("order_ttl_seconds", 1, 860)?,
        max_seats_per_order: variables.number("max_seats_per_order", 1, 100)? as usize,
        catalog_cache_seconds: variables.number("catalog_cache_seconds", 0, 3_600)?,
        internal_token: variables.optional_text("internal_token").map(|token| Secret::new(token.to_owned())),
        webhook_keys: webhook_keys.into_iter().map(Secret::new).collect(),
        max_open_orders: (max_open_orders > 0 && authentication.is_some()).then_some(max_open_orders),
        authentication,
        cors_allowed_origins,
        events: events::parse(variables)?,
        log_level,
        tracing: tracing::parse(variables)?,
    })
}

/// Start-up options of a session; they survive the pool's reset of a connection.
///
/// - `lock_timeout`: the session is shared, and a statement that waits for a lock holds up all others.
/// - `idle_in_transaction_session_timeout`: an open transaction, which no statement makes, would otherwise hold its locks for ever.
/// - `search_path`: that of the role does not matter; temporary objects cannot stand before the schema's.
/// - Planner options: every statement is answered by an index, and plans are cached, so that none may depend on how full a table
///   was when the plan was made.
const SESSION_OPTIONS: &str = include_str!("session_options.txt");
/// For a session of its own: no limit for locks but `statement_timeout`. Of two values of an option the last one counts.
const PATIENT: &str = "-c lock_timeout=0";

/// The connection string for PostgreSQL, with timeouts for a server or a network that does not answer. The server's own limit is
/// the session's `statement_timeout`; data that is not acknowledged within `tcp_user_timeout` ends the connection.
fn database_address(variables: &Variables, options: &str) -> String {
    connection_string(&[
        ("host", variables.text("database_host")),
        ("port", variables.text("database_port")),
        ("user", variables.text("database_username")),
        ("password", variables.text("database_password")),
        ("dbname", variables.text("database_name")),
        ("sslmode", variables.text("database_sslmode")),
        ("application_name", "order-service"),
        // In seconds, all of them.
        ("connect_timeout", "3"),
        ("tcp_user_timeout", "5"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "2"),
        ("keepalives_retries", "3"),
        ("options", options),
    ])
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
    fn a_database_that_does_not_answer_any_more_is_given_up_by_limits_of_the_connection() {
        let variables = Variables::for_tests(&[("database_host", "db"), ("database_password", "p")]);
        let address = database_address(&variables, SESSION_OPTIONS);
        for part in [
            "host='db'",
            "connect_timeout='3'",
            "tcp_user_timeout='5'",
            "keepalives_idle='5'",
            "statement_timeout=3s",
        ] {
            assert!(address.contains(part), "{part} in {address}");
        }
    }

    #[test]
    fn a_password_cannot_break_out_of_the_connection_string() {
        let string = connection_string(&[("user", "u"), ("password", r"a' host='evil\"), ("dbname", "")]);
        assert_eq!(string, r"user='u' password='a\' host=\'evil\\'");
    }

    #[test]
    fn webhook_secrets_are_separated_and_surrounded_by_whitespace() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for (text, expected) in [
            ("".to_owned(), Some(0)),
            (" \n".to_owned(), Some(0)),
            (format!("{secret}\n"), Some(1)),
            (format!(" {secret}\t{secret} \r\n{secret}"), Some(3)),
            (format!("{secret} other"), None),
            (format!("{secret},{secret}"), None),
        ] {
            assert_eq!(webhook_keys(&text).map(|keys| keys.len()), expected, "{text:?}");
        }
    }
}
