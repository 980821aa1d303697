//! Everything that runs: PostgreSQL, the peers, two copies of the service, and who watches them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::RngExt;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, watch};

use super::kinds::Tally;
use super::log::Log;
use super::plan::{CLOSED_EVENT, EVENT, ORDER_TTL_SECONDS, Plan};
use crate::host::Host;
use crate::migrations;
use crate::peers::{Control, Matching, Peers, SeatSpec};
use crate::postgres::{self, Database, Server};

/// What operators' endpoints ask for.
pub const TOKEN: &str = "the-campaign";
/// The tax: so that it has to be rounded.
pub const TAX_PERCENT: &str = "7.5";

/// The running service with all that it needs. One campaign uses it once.
pub struct World {
    /// What was decided beforehand.
    pub plan: Plan,
    /// What happened so far.
    pub tally: Tally,
    /// What users asked and heard.
    pub log: Log,
    /// Errands that are over.
    pub finished: AtomicUsize,
    /// Tells the peers what to do, and asks them what happened.
    pub control: Control,
    /// The orders' database.
    pub database: Database,
    /// Where the copies of the service are.
    pub urls: [String; 2],
    /// Users and operators.
    pub client: reqwest::Client,
    /// The rules of the plan's call faults, by the sandbox's numbers.
    pub rules: Vec<u64>,
    /// The copies.
    pub hosts: [Mutex<Host>; 2],
    /// PostgreSQL.
    pub server: Mutex<Server>,
    /// When it began.
    pub start: Instant,
    /// By how many milliseconds the campaign's clock is behind: it stands still while a busy machine is slow to start
    /// what was stopped, so that the service is up for as long as the plan has it.
    behind_ms: AtomicU64,
    /// True once nobody needs to wait for times to come any more.
    pub hurry: watch::Sender<bool>,
    log_dir: PathBuf,
    _sandbox: Peers,
}

impl World {
    /// Starts all of it, with the plan's faults in place. The component must have been built.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(plan: Plan) -> Result<World> {
        let options = postgres::Options { port: Some(quiet_port()?), ..postgres::Options::for_tests()? };
        let server = Server::start(options).await?;
        let database = server.create_database("orders", None).await?;
        migrations::apply(&database).await?;
        super::witness::install(&database).await?;

        let options = crate::peers::Options { remember: usize::MAX, ..crate::peers::Options::default() };
        let sandbox = Peers::start(options).await?;
        let control = sandbox.control();
        let rules = prepare(&control, &plan).await?;

        let mut variables = database.spin_variables();
        variables.extend(sandbox.spin_variables());
        let own = [
            ("tax_percent", TAX_PERCENT),
            ("order_ttl_seconds", &ORDER_TTL_SECONDS.to_string()),
            ("catalog_cache_seconds", "1"),
            ("internal_token", TOKEN),
            ("log_level", "info"),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let log_dir = fresh_log_dir();
        let start_host = async |copy: u32| {
            let log_dir = log_dir.join(format!("copy-{copy}"));
            Host::start(&variables, &log_dir, Some(quiet_port()?)).await
        };
        let hosts = [start_host(1).await?, start_host(2).await?];
        let urls = [hosts[0].base_url.clone(), hosts[1].base_url.clone()];
        let callbacks = urls.clone().map(|url| format!("{url}/v1/payments/callback"));
        control.set_callback_urls(&callbacks).await?;

        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?;
        Ok(World {
            plan,
            tally: Tally::default(),
            log: Log::default(),
            finished: AtomicUsize::new(0),
            control,
            database,
            urls,
            client,
            rules,
            hosts: hosts.map(Mutex::new),
            server: Mutex::new(server),
            start: Instant::now(),
            behind_ms: AtomicU64::new(0),
            hurry: watch::channel(false).0,
            log_dir,
            _sandbox: sandbox,
        })
    }

    /// Waits until this long after the start by the campaign's clock, or until nobody needs to wait any more.
    pub async fn wait_until(&self, after_start: Duration) {
        loop {
            let due = after_start + Duration::from_millis(self.behind_ms.load(Ordering::Relaxed));
            let left = due.saturating_sub(self.start.elapsed());
            if left.is_zero() || self.is_hurried() {
                return;
            }
            self.wait(left).await;
        }
    }

    /// Puts the campaign's clock back.
    pub fn fall_behind(&self, by: Duration) {
        self.behind_ms.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Waits, but not when nobody needs to any more.
    pub async fn wait(&self, time: Duration) {
        let mut hurry = self.hurry.subscribe();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = hurry.wait_for(|hurry| *hurry) => {}
        }
    }

    /// Whether nobody needs to wait any more.
    pub fn is_hurried(&self) -> bool {
        *self.hurry.borrow()
    }

    /// All rows of a query, each read from its JSON object.
    ///
    /// # Errors
    /// When the database does not answer, or a row is not what was expected.
    pub async fn rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>> {
        rows(&self.database, sql).await
    }

    /// Runs statements for their effect.
    ///
    /// # Errors
    /// When the database does not take them.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.database.connect().await?.batch_execute(sql).await.with_context(|| sql.to_owned())
    }

    /// Where the hosts' logs are.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Ends everything and deletes the logs, or leaves them, with PostgreSQL's, when they are worth a look.
    pub fn take_down(self, keep_logs: bool) {
        let World { hosts, server, log_dir, .. } = self;
        drop(hosts);
        let server = server.into_inner();
        let place = server.data_dir().to_path_buf();
        if keep_logs {
            let _ = std::fs::copy(server.log_file(), log_dir.join("postgres.log"));
        }
        drop(server);
        let _ = postgres::remove(&place);
        if !keep_logs {
            let _ = std::fs::remove_dir_all(log_dir);
        }
    }
}

/// All rows of a query, each read from its JSON object.
pub(super) async fn rows<T: DeserializeOwned>(database: &Database, sql: &str) -> Result<Vec<T>> {
    let text = format!("SELECT to_jsonb(r)::text FROM ({sql}) r");
    let rows = database.connect().await?.query(&text, &[]).await.with_context(|| sql.to_owned())?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
}

/// Fills the sandbox with the plan's seats, payments and faults; the numbers of the fault rules.
async fn prepare(control: &Control, plan: &Plan) -> Result<Vec<u64>> {
    control.put_event(EVENT, "ON_SALE").await?;
    control.put_event(CLOSED_EVENT, "SOLD_OUT").await?;
    let seats: Vec<SeatSpec> = plan.seats.iter().map(|(id, price)| SeatSpec::priced(*id, price)).collect();
    control.put_seats(EVENT, &seats).await?;
    for buyer in &plan.buyers {
        let only = Matching { user_id: Some(buyer.user_id), ..Matching::default() };
        control.payment_mode_for(only, buyer.mode).await?;
    }
    for (_, rule) in &plan.callback_faults {
        control.add_callback_fault(rule).await?;
    }
    let mut rules = Vec::with_capacity(plan.call_faults.len());
    for (_, rule) in &plan.call_faults {
        rules.push(control.add_fault(rule.clone()).await?);
    }
    Ok(rules)
}

/// A free port outside of the range from which the system takes ports for outgoing connections: nobody takes it while
/// the process that listens there is down for a moment.
fn quiet_port() -> Result<u16> {
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
