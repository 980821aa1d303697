//! The systems under test: the order service, and the baselines ("floors") that show the platform's limit.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::against::Manifest;
use super::http::{self, Connection, host_of};
use super::peers::PeersProcess;
use super::scenario::{PlacedOrder, Sale, Scenario, Workload, new_order};
use super::server_process::ServerProcess;
use super::sinks::Sinks;
use super::testbed::Testbed;
use crate::host::{self, Host};
use crate::peers::JWT_SECRET;
use crate::postgres::Database;
use crate::{component, repo_root};

/// A kind of server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The order service
    Service,
    /// Floor (a): a component that does nothing but the statements and calls of an order
    A,
    /// Floor (b): the same in a native process
    B,
    /// Floor (c): as (a), with `SELECT 1` for every statement
    C,
}

impl Kind {
    /// All of them, the service first.
    pub const ALL: [Kind; 4] = [Kind::Service, Kind::A, Kind::B, Kind::C];

    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::A => "a",
            Kind::B => "b",
            Kind::C => "c",
        }
    }

    /// Whether it has what a scenario asks for.
    pub fn serves(self, scenario: Scenario) -> bool {
        match self {
            Kind::Service => true,
            Kind::A | Kind::B | Kind::C => matches!(scenario, Scenario::Place | Scenario::Read),
        }
    }

    /// Whether its components are built from a manifest, and which.
    fn manifest(self) -> &'static str {
        match self {
            Kind::Service | Kind::B => "spin.toml",
            Kind::A | Kind::C => "dev/floor/spin.toml",
        }
    }
}

/// Builds what these kinds need.
///
/// # Errors
/// When something does not build.
pub async fn build(kinds: &[Kind]) -> Result<()> {
    if kinds.contains(&Kind::Service) {
        component::build().await?;
    }
    if kinds.contains(&Kind::A) || kinds.contains(&Kind::C) {
        component::build_floor().await?;
    }
    component::host_program().await.map(drop)
}

/// A running server with a database of its own. Dropping it kills the server; the database stays.
pub struct Target {
    /// What it is.
    pub kind: Kind,
    /// Where it serves.
    pub address: SocketAddr,
    /// Its database.
    pub database: Database,
    /// The peers that it calls, and that call it back.
    pub peers: Arc<PeersProcess>,
    /// Where its spans and events go.
    sinks: Option<Arc<Sinks>>,
    process: Process,
}

enum Process {
    Host(Host),
    Native(ServerProcess),
}

impl Target {
    /// Starts it on a database; `arguments` are the host's.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        kind: Kind,
        testbed: &Testbed,
        database: Database,
        arguments: &[&str],
    ) -> Result<Target> {
        let peers = testbed.peers.clone();
        let statements = match kind {
            Kind::A => Some("real"),
            Kind::C => Some("select1"),
            Kind::Service | Kind::B => None,
        };
        let process = match kind {
            Kind::B => Process::Native(start_native(&peers, &database).await?),
            _ => {
                let mut variables = variables(&database, &peers);
                variables.extend(statements.map(|which| ("statements".into(), which.into())));
                let manifest = repo_root().join(kind.manifest());
                Process::Host(start_host(&manifest, testbed, &database, variables, arguments).await?)
            }
        };
        Target::of(kind, database, peers, None, process)
    }

    /// Starts the service of any manifest on a database, with peers of its own, and with sinks where there are some. It gets only the
    /// variables that this manifest has.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_service(
        manifest: &Manifest,
        testbed: &Testbed,
        database: Database,
        sinks: Option<Arc<Sinks>>,
    ) -> Result<Target> {
        let peers = Arc::new(PeersProcess::start().await?);
        let mut variables = variables(&database, &peers);
        variables.extend(sinks.iter().flat_map(|sinks| sinks.variables()));
        if http::sends_token() {
            variables.push(("auth_jwt_secret".into(), JWT_SECRET.into()));
        }
        variables.retain(|(name, _)| manifest.has_variable(name));
        let host = start_host(manifest.file(), testbed, &database, variables, &[]).await?;
        Target::of(Kind::Service, database, peers, sinks, Process::Host(host))
    }

    fn of(
        kind: Kind,
        database: Database,
        peers: Arc<PeersProcess>,
        sinks: Option<Arc<Sinks>>,
        process: Process,
    ) -> Result<Target> {
        let address = match &process {
            Process::Native(process) => process.address(),
            Process::Host(host) => {
                let address = host.base_url.trim_start_matches("http://");
                address.parse().with_context(|| format!("the host's address {address}"))?
            }
        };
        Ok(Target { kind, address, database, peers, sinks, process })
    }

    /// The root of its processes.
    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Host(host) => host.pid().unwrap_or(0),
            Process::Native(process) => process.pid(),
        }
    }

    /// Waits until its sinks have what there is for them; see [`Sinks::drain`].
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn drain_sinks(&self) -> Result<()> {
        match &self.sinks {
            Some(sinks) => sinks.drain(self.address, &self.database).await,
            None => Ok(()),
        }
    }

    /// Stops the server, which closes its connections to PostgreSQL.
    pub fn stop(self) {
        match self.process {
            Process::Host(host) => host.stop(),
            Process::Native(process) => drop(process),
        }
    }

    /// Stops the server, and drops its database.
    ///
    /// # Errors
    /// When the database cannot be dropped.
    pub async fn end(self, testbed: &Testbed) -> Result<()> {
        let database = self.database.name.clone();
        self.stop();
        testbed.server.drop_database(&database).await
    }

    /// What clients of a scenario ask it for.
    pub fn workload(&self, scenario: Scenario, orders: &Arc<[PlacedOrder]>) -> Arc<Workload> {
        Arc::new(Workload::new(scenario, host_of(self.address), orders.clone()))
    }

    /// Places orders for scenarios that need some, of a sale or wherever nobody else buys.
    ///
    /// # Errors
    /// When one is not placed.
    pub async fn place_orders(
        &self,
        count: usize,
        clients: usize,
        sale: Option<Sale>,
    ) -> Result<Arc<[PlacedOrder]>> {
        let host = host_of(self.address);
        let one_client = |count: usize| {
            let host = host.clone();
            let mut connection = Connection::to(self.address);
            async move {
                let mut orders = Vec::with_capacity(count);
                for _ in 0..count {
                    let (request, placed) = new_order(&host, sale);
                    orders.push(placed(&connection.ask(request).await?)?);
                }
                anyhow::Ok(orders)
            }
        };
        let counts = (0..clients).map(|client| count / clients + usize::from(client < count % clients));
        let orders = futures::future::try_join_all(counts.map(one_client)).await;
        let mut orders = orders.with_context(|| format!("preparing {}", self.kind.name()))?.concat();
        if self.kind != Kind::Service {
            self.find(&mut orders).await?;
        }
        Ok(orders.into())
    }

    /// A floor does not tell what it has stored; the one that stores nothing answers whatever it is asked for.
    async fn find(&self, orders: &mut [PlacedOrder]) -> Result<()> {
        let count = i64::try_from(orders.len())?;
        let stored = self.database.connect().await?;
        let stored = stored.query("SELECT id::text FROM orders LIMIT $1", &[&count]).await?;
        let mut ids = stored.iter().map(|row| row.get::<_, String>(0));
        for order in orders {
            order.is_at(&ids.next().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
        }
        Ok(())
    }

    /// What the component said on standard error, when it runs in a host.
    pub fn errors(&self) -> String {
        match &self.process {
            Process::Host(host) => host.error_output(),
            Process::Native(_) => String::new(),
        }
    }
}

/// The Spin variables that lead a component to this database and these peers.
fn variables(database: &Database, peers: &PeersProcess) -> Vec<(String, String)> {
    database.spin_variables().into_iter().chain(peers.spin_variables()).collect()
}

async fn start_host(
    manifest: &Path,
    testbed: &Testbed,
    database: &Database,
    variables: Vec<(String, String)>,
    arguments: &[&str],
) -> Result<Host> {
    ensure!(manifest.is_file(), "{} is not there", manifest.display());
    let manifest = manifest.to_path_buf();
    let log_dir = testbed.folder().join(&database.name);
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Host::start_with(host::Options {
        program: component::host_program().await?,
        manifest,
        variables,
        arguments,
        environment: Vec::new(),
        log_dir,
        port: None,
    })
    .await
}

async fn start_native(peers: &PeersProcess, database: &Database) -> Result<ServerProcess> {
    let peers_url = format!("http://{}", peers.address());
    let arguments = ["native-floor", "--listen", "127.0.0.1:0", "--peers-url", &peers_url];
    let port = database.port.to_string();
    let environment = [
        ("DATABASE_HOST", database.host.as_str()),
        ("DATABASE_PORT", &port),
        ("DATABASE_USERNAME", &database.user),
        ("DATABASE_PASSWORD", &database.password),
        ("DATABASE_NAME", &database.name),
    ];
    ServerProcess::start(&arguments, &environment).await
}

/// Waits until the peers have taken so many messages more than before.
///
/// # Errors
/// When they do not come.
pub async fn wait_for_messages(peers: &PeersProcess, before: u64, more: u64) -> Result<Duration> {
    const LIMIT: Duration = Duration::from_secs(20);
    let begun = std::time::Instant::now();
    loop {
        let taken = peers.notifications().await? - before;
        if taken >= more {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > LIMIT {
            return Err(anyhow!("of {more} confirmed orders only {taken} were notified within {LIMIT:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
