//! Builder of the test fixture [`App`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use order_dev::host::{self, Host};
use order_dev::peers::{Mode, Options as PeerOptions, Peers};
use order_dev::pgbouncer::PgBouncer;
use order_dev::postgres::{Database, Options, Server};
use order_dev::{component, migrations};

use super::app::App;
use super::black_hole::BlackHole;
use super::database::Store;
use super::shared;

/// The service as it comes: one host, payments that succeed, 5 % tax.
pub async fn spawn() -> App {
    Spawn::new().start().await
}

/// The service in other ways.
pub struct Spawn {
    manifest: &'static str,
    variables: BTreeMap<String, String>,
    mode: Mode,
    replicas: usize,
    own_postgres: bool,
    inherited: Option<String>,
    encoding: Option<&'static str>,
    sandbox_port: u16,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    black_hole: bool,
    has_standby: bool,
    pg_max_connections: Option<usize>,
    pgbouncer: Option<Pooler>,
    /// The variables with what events and spans are sent to, and its URL below the sandbox's.
    sinks: Vec<(&'static str, &'static str)>,
}

/// A PgBouncer before the database.
struct Pooler {
    session_settings: String,
    settings: Vec<(String, String)>,
}

impl Spawn {
    /// As [`spawn`] does it.
    pub fn new() -> Spawn {
        let tax = ("tax_percent".to_owned(), "5".to_owned());
        Spawn {
            manifest: "spin.toml",
            variables: BTreeMap::from([tax]),
            mode: Mode::Succeed,
            replicas: 1,
            own_postgres: false,
            inherited: None,
            encoding: None,
            sandbox_port: 0,
            environment: Vec::new(),
            arguments: Vec::new(),
            black_hole: false,
            has_standby: false,
            pg_max_connections: None,
            pgbouncer: None,
            sinks: Vec::new(),
        }
    }

    /// Another manifest of the repository.
    pub fn manifest(self, manifest: &'static str) -> Spawn {
        Spawn { manifest, ..self }
    }

    /// Sets a Spin variable.
    pub fn variable(mut self, name: &str, value: &str) -> Spawn {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Events are sent to the sandbox, each by POST.
    pub fn event_endpoint(mut self) -> Spawn {
        self.sinks.push(("events_url", "/events/hook"));
        self
    }

    /// Events are sent to the sandbox's Kafka REST proxy.
    pub fn kafka_rest_proxy(mut self) -> Spawn {
        self.sinks.push(("events_kafka_rest_url", "/events"));
        self
    }

    /// Spans are exported to the sandbox.
    pub fn spans_to_sandbox(mut self) -> Spawn {
        self.sinks.push(("otel_exporter_otlp_endpoint", ""));
        self
    }

    /// Sets the outcome of charges.
    pub fn payment_mode(self, mode: Mode) -> Spawn {
        Spawn { mode, ..self }
    }

    /// So many hosts on one database. Payment calls the last one back.
    pub fn replicas(self, replicas: usize) -> Spawn {
        Spawn { replicas, ..self }
    }

    /// A PostgreSQL server for this test alone, which it may stop.
    pub fn own_postgres(self) -> Spawn {
        Spawn { own_postgres: true, ..self }
    }

    /// The hosts reach the database through a proxy that can swallow everything.
    pub fn behind_black_hole(self) -> Spawn {
        Spawn { black_hole: true, ..self }
    }

    /// A PostgreSQL server for this test alone with a streaming standby, at an address that [`App::fail_over`] moves.
    pub fn standby(self) -> Spawn {
        Spawn { own_postgres: true, black_hole: true, has_standby: true, ..self }
    }

    /// Each host has so many connections to PostgreSQL at most (`[outbound_pg]` of the runtime configuration).
    pub fn pg_max_connections(self, pg_max_connections: usize) -> Spawn {
        Spawn { pg_max_connections: Some(pg_max_connections), ..self }
    }

    /// A PostgreSQL server for this test alone, which the hosts reach as `appuser` through a PgBouncer. The SQL is run before anybody
    /// connects; `settings` override those of `deploy/pgbouncer/pgbouncer.ini`.
    pub fn pgbouncer(self, session_settings: &str, settings: &[(&str, &str)]) -> Spawn {
        let session_settings = session_settings.to_owned();
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Spawn { own_postgres: true, pgbouncer: Some(Pooler { session_settings, settings }), ..self }
    }

    /// A database that this SQL has filled before the migrations were applied.
    pub fn inherited(self, sql: &str) -> Spawn {
        Spawn { inherited: Some(sql.to_owned()), ..self }
    }

    /// A database in this encoding, such as `LATIN1`.
    pub fn encoding(self, encoding: &'static str) -> Spawn {
        Spawn { encoding: Some(encoding), ..self }
    }

    /// Sets an environment variable of the hosts, such as `SPIN_MAX_INSTANCE_COUNT`.
    pub fn environment(mut self, name: &str, value: &str) -> Spawn {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets an option of the hosts' command line, such as `--max-instance-reuse-count`.
    pub fn option(mut self, name: &str, value: &str) -> Spawn {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// The sandbox peers listen on this port.
    pub fn sandbox_port(self, sandbox_port: u16) -> Spawn {
        Spawn { sandbox_port, ..self }
    }

    /// Starts all of it.
    pub async fn start(self) -> App {
        shared::build();
        let (server, database) = self.database().await;
        let peer_options =
            PeerOptions { listen: ([127, 0, 0, 1], self.sandbox_port).into(), ..PeerOptions::default() };
        let sandbox = Peers::start(peer_options).await.expect("sandbox peers");
        let peers = sandbox.control();
        peers.payment_mode(self.mode).await.expect("a payment mode");

        let mut variables: BTreeMap<String, String> = database.spin_variables().into_iter().collect();
        let black_hole = if self.black_hole { Some(BlackHole::before(database.port).await) } else { None };
        if let Some(black_hole) = &black_hole {
            variables.insert("database_port".to_owned(), black_hole.port.to_string());
        }
        let pgbouncer = match &self.pgbouncer {
            Some(pooler) => Some(PgBouncer::start(&database, &pooler.settings).await.expect("PgBouncer")),
            None => None,
        };
        if let Some(pgbouncer) = &pgbouncer {
            variables.insert("database_port".to_owned(), pgbouncer.port().to_string());
        }
        variables.extend(sandbox.spin_variables());
        for (name, path) in &self.sinks {
            variables.insert((*name).to_owned(), format!("{}{path}", sandbox.url()));
        }
        variables.extend(self.variables);
        let token = variables.get("internal_token").map(|token| token.trim().to_owned());
        let token = token.filter(|token| !token.is_empty());
        let variables: Vec<(String, String)> = variables.into_iter().collect();

        let standby = match (&server, self.has_standby) {
            (Some(server), true) => {
                let options = Options::for_tests().expect("a data directory");
                Some(server.start_standby(options).await.expect("a standby"))
            }
            _ => None,
        };
        let log_dir = fresh_log_dir();
        let mut arguments = runtime_config(self.pg_max_connections, &log_dir);
        arguments.extend(self.arguments);
        let mut hosts = Vec::new();
        for replica in 1..=self.replicas {
            let log_dir = log_dir.join(format!("copy-{replica}"));
            let options = host::Options {
                program: component::host_program().await.expect("a host program"),
                manifest: order_dev::repo_root().join(self.manifest),
                variables: variables.clone(),
                arguments: arguments.clone(),
                environment: self.environment.clone(),
                log_dir,
                port: None,
            };
            hosts.push(Host::start_with(options).await.expect("a host"));
        }
        let last = hosts.last().expect("at least one copy");
        let callback_url = format!("{}/v1/payments/callback", last.base_url);
        peers.set_callback_url(Some(&callback_url)).await.expect("a callback URL");

        App {
            hosts,
            peers,
            store: Store::new(database),
            client: client(),
            token,
            sandbox: Some(sandbox),
            server,
            standby,
            black_hole,
            pgbouncer,
            log_dir,
            dead_letters: 0,
            may_log_errors: false,
            finished: false,
        }
    }

    async fn database(&self) -> (Option<Server>, Database) {
        if self.own_postgres {
            let options = Options::for_tests().expect("a data directory");
            let server = Server::start(options).await.expect("PostgreSQL");
            if let Some(pooler) = &self.pgbouncer {
                let administrator = Store::new(server.database("postgres"));
                administrator.run("CREATE ROLE appuser LOGIN PASSWORD 'correct horse'").await;
                administrator.run("CREATE DATABASE order_db OWNER appuser").await;
                let (user, password) = ("appuser".to_owned(), "correct horse".to_owned());
                let database = Database { user, password, ..server.database("order_db") };
                administrator.run(&pooler.session_settings).await;
                migrations::apply(&database).await.expect("the migrations, by the service's own role");
                return (Some(server), database);
            }
            let database = server.create_database("orders", None).await.expect("a database");
            migrations::apply(&database).await.expect("the migrations");
            return (Some(server), database);
        }
        if let Some(encoding) = self.encoding {
            let database = shared::empty_database_in(encoding).await;
            migrations::apply(&database).await.expect("the migrations");
            return (None, database);
        }
        let Some(sql) = &self.inherited else {
            return (None, shared::migrated_database().await);
        };
        let database = shared::empty_database().await;
        Store::new(database.clone()).run(sql).await;
        migrations::apply(&database).await.expect("the migrations");
        (None, database)
    }
}

/// One that waits for longer than the service ever takes, and keeps connections for all that a test sends at once.
pub(super) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy();
    let builder = builder.redirect(reqwest::redirect::Policy::none());
    builder.build().expect("an HTTP client")
}

/// The arguments of a host that give it its runtime configuration.
fn runtime_config(pg_max_connections: Option<usize>, log_dir: &Path) -> Vec<String> {
    let Some(max_connections) = pg_max_connections else {
        return Vec::new();
    };
    let file = log_dir.join("runtime-config.toml");
    std::fs::create_dir_all(log_dir).expect("a folder");
    std::fs::write(&file, format!("[outbound_pg]\nmax_connections = {max_connections}\n")).expect("written");
    vec!["--runtime-config-file".to_owned(), file.to_string_lossy().into_owned()]
}

pub(super) fn fresh_log_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("order-service-test-logs-{}-{count}", std::process::id()))
}
