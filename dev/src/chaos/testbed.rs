//! The testbed: PostgreSQL, the sandbox peers, the replicas of the service, and the recorders.

use std::cell::Cell;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::RngExt;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, watch};

use super::injection::InjectionCounts;
use super::plan::{CLOSED_EVENT, ORDER_TTL_SECONDS, Plan};
use super::request_log::RequestLog;
use super::{Options, failover};
use crate::bench::against::Manifest;
use crate::collector::Collector;
use crate::host::{self, Host};
use crate::peers::{Control, Matching, Peers, SeatSpec};
use crate::postgres::{self, Database, MovableAddress, Server};
use crate::{component, migrations};

/// Bearer token of the internal endpoints.
pub const TOKEN: &str = "the-campaign";
/// The tax rate: one whose amounts have to be rounded.
pub const TAX_PERCENT: &str = "7.5";
/// What events are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Index of the replica that is not killed: the others live for three seconds, which is less than slow requests take.
pub const STEADY: usize = 2;

/// Index of a replica that runs the present tree's component in any case.
pub const PRESENT: usize = 1;

/// How long Seating's reserves take: long enough for some to overlap.
const RESERVE_TIME: Duration = Duration::from_millis(40);

/// The running testbed of one campaign.
pub struct Testbed {
    /// Workload and fault schedule.
    pub plan: Plan,
    /// Counts of the injections so far.
    pub injections: InjectionCounts,
    /// Requests and responses of the virtual users.
    pub request_log: RequestLog,
    /// Number of finished scenarios.
    pub finished: AtomicUsize,
    /// Control API of the sandbox peers.
    pub control: Control,
    /// The orders' database.
    pub database: Database,
    /// Base URLs of the replicas.
    pub urls: [String; 3],
    /// HTTP client of users and operators.
    pub client: reqwest::Client,
    /// The sandbox's ids of the plan's call faults, in the plan's order.
    pub call_fault_ids: Vec<u64>,
    /// The hosts of the replicas.
    pub hosts: [Mutex<Host>; 3],
    /// PostgreSQL: the primary.
    pub server: Mutex<Server>,
    /// Its synchronous standby, until the failover.
    pub standby: Mutex<Option<Server>>,
    /// Where the service and everybody else finds the primary.
    pub address: MovableAddress,
    /// Primaries from before a failover: alive and read-only.
    pub retired: Mutex<Vec<Server>>,
    /// Start of the campaign.
    pub start: Instant,
    /// Delay of the plan's clock, in milliseconds: the clock stops while a busy machine is slow to restart a process, so
    /// that the uptime is that of the plan.
    clock_delay_ms: AtomicU64,
    /// True once waits for a time are skipped, when the faults are over.
    pub skip_waits: watch::Sender<bool>,
    /// Takes spans, or not.
    pub collector: Collector,
    /// Whether every copy makes events: versions from before them do not.
    pub all_send_events: bool,
    log_dir: PathBuf,
    _sandbox: Peers,
}

impl Testbed {
    /// Starts all processes and sets up the plan's peer faults. The component must have been built.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(plan: Plan, options: &Options) -> Result<Testbed> {
        let server = Server::start(failover::primary()?).await?;
        let address = MovableAddress::of(server.port()).await?;
        let database = server.create_database("orders", None).await?;
        let database = Database { port: address.port(), ..database };
        migrations::apply(&database).await?;
        super::transition_recorder::install(&database).await?;
        let standby = failover::add_standby(&server).await?;

        let peers = crate::peers::Options { remember: usize::MAX, ..crate::peers::Options::default() };
        let sandbox = Peers::start(peers).await?;
        let control = sandbox.control();
        let call_fault_ids = set_up_peers(&control, &plan).await?;

        let collector = Collector::start().await?;

        let mut variables = database.spin_variables();
        variables.extend(sandbox.spin_variables());
        let own = [
            ("tax_percent", TAX_PERCENT),
            ("order_ttl_seconds", &ORDER_TTL_SECONDS.to_string()),
            ("catalog_cache_seconds", "1"),
            ("internal_token", TOKEN),
            ("log_level", "info"),
            ("events_url", &sandbox.events_url()),
            ("events_webhook_secret", WEBHOOK_SECRET),
            ("otel_exporter_otlp_endpoint", &collector.url()),
            // Of what has no caller; whose requests are sampled is the users' choice.
            ("otel_traces_sampler_arg", "0.1"),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let log_dir = fresh_log_dir();
        let program = component::host_program().await?;
        let some_send_no_events = Cell::new(false);
        let start_host = async |copy: usize| {
            let log_dir = log_dir.join(format!("copy-{}", copy + 1));
            let port = Some(non_ephemeral_port()?);
            let Some(version) = options.version_of(copy) else {
                return Host::start(program.clone(), &variables, &log_dir, port).await;
            };
            let manifest = Manifest::read(&version.folder().join("spin.toml"))?;
            if !manifest.has_variable("events_url") {
                some_send_no_events.set(true);
            }
            let known = variables.iter().filter(|(name, _)| manifest.has_variable(name));
            Host::start_with(host::Options {
                program: program.clone(),
                manifest: manifest.file().to_path_buf(),
                variables: known.cloned().collect(),
                arguments: Vec::new(),
                environment: Vec::new(),
                log_dir,
                port,
            })
            .await
        };
        let hosts = [start_host(0).await?, start_host(1).await?, start_host(2).await?];
        let urls = hosts.each_ref().map(|host| host.base_url.clone());
        let callbacks = [&urls[0], &urls[1]].map(|url| format!("{url}/v1/payments/callback"));
        control.set_callback_urls(&callbacks).await?;

        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?;
        Ok(Testbed {
            plan,
            injections: InjectionCounts::default(),
            request_log: RequestLog::default(),
            finished: AtomicUsize::new(0),
            control,
            database,
            urls,
            client,
            call_fault_ids,
            hosts: hosts.map(Mutex::new),
            server: Mutex::new(server),
            standby: Mutex::new(Some(standby)),
            address,
            retired: Mutex::default(),
            start: Instant::now(),
            clock_delay_ms: AtomicU64::new(0),
            skip_waits: watch::channel(false).0,
            collector,
            all_send_events: !some_send_no_events.get(),
            log_dir,
            _sandbox: sandbox,
        })
    }

    /// Waits until a time of the plan's clock, or until waits are skipped.
    pub async fn wait_until(&self, after_start: Duration) {
        loop {
            let due = after_start + Duration::from_millis(self.clock_delay_ms.load(Ordering::Relaxed));
            let left = due.saturating_sub(self.start.elapsed());
            if left.is_zero() || self.skips_waits() {
                return;
            }
            self.wait(left).await;
        }
    }

    /// Delays the plan's clock.
    pub fn delay_clock(&self, by: Duration) {
        self.clock_delay_ms.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Sleeps, or returns early when waits are skipped.
    pub async fn wait(&self, time: Duration) {
        let mut skip_waits = self.skip_waits.subscribe();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = skip_waits.wait_for(|skip_waits| *skip_waits) => {}
        }
    }

    /// Whether waits are skipped.
    pub fn skips_waits(&self) -> bool {
        *self.skip_waits.borrow()
    }

    /// All rows of a query, each deserialized from JSON.
    ///
    /// # Errors
    /// When the query fails, or a row does not deserialize.
    pub async fn rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>> {
        rows(&self.database, sql).await
    }

    /// Executes statements.
    ///
    /// # Errors
    /// When one fails.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.database.connect().await?.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// Directory of the hosts' logs.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Stops all processes. Keeps the logs, with PostgreSQL's, or deletes them.
    pub fn shut_down(self, keep_logs: bool) {
        let Testbed { hosts, server, standby, retired, log_dir, .. } = self;
        drop(hosts);
        let servers = [server.into_inner()].into_iter().chain(retired.into_inner());
        for (n, server) in servers.chain(standby.into_inner()).enumerate() {
            let place = server.data_dir().to_path_buf();
            if keep_logs {
                let _ = std::fs::copy(server.log_file(), log_dir.join(format!("postgres-{n}.log")));
            }
            drop(server);
            let _ = postgres::remove(&place);
        }
        if !keep_logs {
            let _ = std::fs::remove_dir_all(log_dir);
        }
    }
}

/// All rows of a query, each deserialized from JSON.
pub(super) async fn rows<T: DeserializeOwned>(database: &Database, sql: &str) -> Result<Vec<T>> {
    let text = format!("SELECT to_jsonb(r)::text FROM ({sql}) r");
    let rows = database.connect().await?.query(&text, &[]).await.with_context(|| sql.to_owned())?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
}

/// Sets up seats, payment modes and faults at the sandbox; returns the ids of the call faults.
async fn set_up_peers(control: &Control, plan: &Plan) -> Result<Vec<u64>> {
    control.set_reserve_time(RESERVE_TIME).await?;
    control.put_event(CLOSED_EVENT, "SOLD_OUT").await?;
    for event_id in plan.events() {
        control.put_event(event_id, "ON_SALE").await?;
        let seats = plan.seats.iter().filter(|seat| seat.event_id == event_id);
        let seats: Vec<SeatSpec> = seats.map(|seat| SeatSpec::priced(seat.id, seat.price)).collect();
        control.put_seats(event_id, &seats).await?;
    }
    for buyer in &plan.buyers {
        let only = Matching { user_id: Some(buyer.user_id), ..Matching::default() };
        control.payment_mode_for(only, buyer.mode).await?;
    }
    for (_, rule) in &plan.callback_faults {
        control.add_callback_fault(rule).await?;
    }
    let mut call_fault_ids = Vec::with_capacity(plan.call_faults.len());
    for (_, rule) in &plan.call_faults {
        call_fault_ids.push(control.add_fault(rule.clone()).await?);
    }
    Ok(call_fault_ids)
}

/// A free port outside of the ephemeral port range, so that no outgoing connection takes it while its process is down.
pub(crate) fn non_ephemeral_port() -> Result<u16> {
    for _ in 0..1_000 {
        let port = rand::rng().random_range(15_000..31_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port between 15000 and 31000 is free")
}

fn fresh_log_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("order-service-chaos-logs-{}-{count}", std::process::id()))
}
