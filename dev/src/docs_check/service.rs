//! The service that the tests talk to, with a database and peers of its own.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::host::Host;
use crate::peers::{self, Peers};
use crate::postgres::{self, Server};
use crate::{component, migrations};

/// Bearer token of lists and of `/internal/…`.
const TOKEN: &str = "docs-test";

/// What runs, in the order in which it stops.
pub struct Service {
    host: Host,
    peers: Peers,
    server: Server,
    log_dir: PathBuf,
}

impl Service {
    /// Builds the component and starts all of it.
    ///
    /// # Errors
    /// When something does not build or start.
    pub async fn start() -> Result<Service> {
        eprintln!("Building the component and its host …");
        component::build().await?;
        let program = component::host_program().await?;
        let server = Server::start(postgres::Options::for_tests()?).await?;
        let database = server.create_database("orders", None).await?;
        migrations::apply(&database).await?;
        let peers = Peers::start(peers::Options::default()).await?;
        let mut variables = database.spin_variables();
        variables.extend(peers.spin_variables());
        let own = [("tax_percent", "5"), ("internal_token", TOKEN), ("catalog_cache_seconds", "0")];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let log_dir = std::env::temp_dir().join(format!("order-service-docs-test-{}", std::process::id()));
        let host = Host::start(program, &variables, &log_dir, None).await?;
        let callback = format!("{}/v1/payments/callback", host.base_url);
        peers.control().set_callback_urls(&[callback]).await?;
        Ok(Service { host, peers, server, log_dir })
    }

    /// Tells a test where everything is.
    pub fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("BASE", &self.host.base_url).env("SANDBOX", self.peers.url()).env("TOKEN", TOKEN)
    }

    /// Stops all of it.
    ///
    /// # Errors
    /// When the peers cannot be stopped, or the logs not be deleted.
    pub async fn stop(self) -> Result<()> {
        self.host.stop();
        self.peers.stop()?;
        self.server.stop().await;
        std::fs::remove_dir_all(&self.log_dir).context("deleting the logs")
    }
}
