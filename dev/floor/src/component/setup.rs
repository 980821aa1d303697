//! What the variables say, read once per instance.

use crate::templates;
use spin_sdk::variables;

/// Where everybody is.
pub struct Setup {
    /// Connection string for PostgreSQL, with the options of the service's.
    pub database: String,
    /// Seating.
    pub seating: Base,
    /// Payment.
    pub payment: Base,
    /// Whether the service's statements are made; otherwise each is `SELECT 1`.
    pub real: bool,
}

/// A peer's base URL, which must be `http`.
pub struct Base {
    /// Host and port.
    pub authority: String,
    /// What paths begin with, without a slash at the end.
    pub path: String,
}

impl Setup {
    /// Reads the variables.
    pub async fn read() -> Result<Self, String> {
        let mut database = String::new();
        for (key, name) in [
            ("host", "database_host"),
            ("port", "database_port"),
            ("user", "database_username"),
            ("password", "database_password"),
            ("dbname", "database_name"),
            ("sslmode", "database_sslmode"),
        ] {
            let value = variable(name).await?.replace('\\', "\\\\").replace('\'', "\\'");
            if !value.is_empty() {
                database += &format!("{key}='{value}' ");
            }
        }
        database += &format!(
            "application_name='order-floor' connect_timeout='3' options='{}'",
            templates::SESSION_OPTIONS
        );
        let real = match &*variable("statements").await? {
            "real" => true,
            "select1" => false,
            other => return Err(format!("statements is {other}, not real or select1")),
        };
        let (seating, payment) = (base("seating_url").await?, base("payment_url").await?);
        Ok(Self { database, seating, payment, real })
    }
}

async fn variable(name: &str) -> Result<String, String> {
    variables::get(name).await.map_err(|error| format!("{name}: {error}"))
}

async fn base(name: &str) -> Result<Base, String> {
    let url = variable(name).await?;
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{name} is no http:// URL"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Ok(Base { authority: authority.to_owned(), path: path.trim_end_matches('/').to_owned() })
}
