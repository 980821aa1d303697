//! One database, and how to reach it.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::SUPERUSER;

/// How to reach one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name.
    pub user: String,
    /// Password; empty when none is asked for.
    pub password: String,
    /// Name of the database.
    pub name: String,
}

impl Database {
    /// Opens a connection, served by a task of the current runtime until the client is dropped.
    pub async fn connect(&self) -> Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).user(&self.user).dbname(&self.name);
        config.password(&self.password).connect_timeout(Duration::from_secs(5));
        let place = || format!("connecting to database {} on {}:{}", self.name, self.host, self.port);
        let (client, connection) = config.connect(NoTls).await.with_context(place)?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Makes the database when it does not exist; true when it did not.
    pub async fn create_if_missing(&self) -> Result<bool> {
        match self.connect().await {
            Ok(_) => Ok(false),
            Err(error) if is(&error, &SqlState::INVALID_CATALOG_NAME) => {
                self.create(None).await.map(|()| true)
            }
            Err(error) => Err(error),
        }
    }

    /// The Spin variables that lead the component to this database.
    pub fn spin_variables(&self) -> Vec<(String, String)> {
        let port = self.port.to_string();
        let pairs = [
            ("database_host", &self.host),
            ("database_port", &port),
            ("database_username", &self.user),
            ("database_password", &self.password),
            ("database_name", &self.name),
            ("database_sslmode", &"disable".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// Makes the database; fails when it exists.
    pub(super) async fn create(&self, template: Option<&str>) -> Result<()> {
        let client = Database { name: SUPERUSER.into(), ..self.clone() }.connect().await?;
        let template = template.map(|name| format!(" TEMPLATE {}", quoted(name))).unwrap_or_default();
        let statement = format!("CREATE DATABASE {}{template}", quoted(&self.name));
        client.batch_execute(&statement).await.with_context(|| format!("making database {}", self.name))
    }
}

fn is(error: &anyhow::Error, state: &SqlState) -> bool {
    error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.code()) == Some(state)
}

/// As an SQL identifier.
pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
