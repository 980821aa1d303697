//! The failure campaign: the real component on two hosts and a real PostgreSQL, with everything around them failing,
//! and afterwards a judge who compares the order database with what the peers recorded.
//!
//! In reading order: [`plan`] draws what will happen from a seed; [`world`] starts the processes; [`users`] and [`bank`]
//! use the service while [`disturb`] breaks what it stands on; [`rest`] lets the sweeps do what is left; [`evidence`] is
//! collected, [`checker`] judges it, [`report`] says what came of it, with the [`history`] of whatever went wrong.

pub mod bank;
pub mod checker;
pub mod disturb;
pub mod evidence;
pub mod history;
pub mod kinds;
pub mod log;
pub mod plan;
pub mod report;
pub mod rest;
pub mod users;
pub mod witness;
pub mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use bank::Bank;
use evidence::Evidence;
use kinds::Kind;
use plan::Plan;
use report::Report;
use world::World;

/// What campaign to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many orders are placed, at least one.
    pub orders: usize,
    /// What the plan is drawn from.
    pub seed: u64,
    /// Whether to tell on standard error how it gets on.
    pub progress: bool,
}

/// Runs a campaign. The component must have been built.
///
/// # Errors
/// When a process does not start, or the service does not come to rest. Violations are no error: see
/// [`Report::violations`].
pub async fn run(options: Options) -> Result<Report> {
    let plan = Plan::draw(options.orders.max(1), options.seed);
    say(options, || {
        format!("Starting PostgreSQL, the peers and two copies of the service (seed {}) …", options.seed)
    });
    let world = Arc::new(World::start(plan).await?);
    let result = campaign(&world, options).await;
    let failed = result.as_ref().map_or(true, |report| report.violations() > 0);
    let logs = world.log_dir().to_path_buf();
    // The tasks that shared it have ended, or end in a moment.
    for _ in 0..100 {
        if Arc::strong_count(&world) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Ok(world) = Arc::try_unwrap(world) {
        world.take_down(failed);
    }
    result.with_context(|| format!("seed {}; the logs of the hosts are in {}", options.seed, logs.display()))
}

async fn campaign(world: &Arc<World>, options: Options) -> Result<Report> {
    let bank = Bank::open(world);
    let closing = Arc::new(AtomicBool::new(false));
    let banking = tokio::spawn(bank.clone().work(closing.clone()));
    let sweeping = Aborted(tokio::spawn(rest::sweep_now_and_then(world.clone())));
    let progress = Aborted(tokio::spawn(tell_progress(world.clone(), options)));
    let begun = Instant::now();
    let (disturbed, ()) = tokio::join!(disturb::disturb(world), users::run_all(world));
    disturbed?;
    let disturbed_calls = count_disturbed_calls(world).await?;
    let faults_took = begun.elapsed();
    drop((progress, sweeping));

    say(options, || "The faults are over; the sweeps do what is left …".into());
    let begun = Instant::now();
    world.control.clear_faults().await?;
    world.hurry.send_replace(true);
    closing.store(true, Ordering::SeqCst);
    banking.await.map_err(|error| anyhow!(error))??;
    // Charges that the sweeps repeat from now on are new to nobody: the bank has closed.
    rest::come_to_rest(world, &bank).await?;
    let rest_took = begun.elapsed();

    let mut evidence = Evidence::of(world).await?;
    evidence.prices = world.plan.prices_in_cents();
    let checks = checker::check(&evidence);
    let mut report = Report::new(options.orders, options.seed, &world.tally, &evidence, checks);
    (report.faults_took, report.rest_took, report.disturbed_calls) =
        (faults_took, rest_took, disturbed_calls);
    report.log_dir = world.log_dir().to_path_buf();
    Ok(report)
}

/// Which of the plan's call faults were used: the sandbox has counted.
async fn count_disturbed_calls(world: &World) -> Result<BTreeMap<String, u64>> {
    let mut calls = BTreeMap::new();
    let hits: BTreeMap<u64, u64> =
        world.control.fault_list().await?.into_iter().map(|rule| (rule.id, rule.hits)).collect();
    for (id, (kind, rule)) in world.rules.iter().zip(&world.plan.call_faults) {
        let times = hits.get(id).copied().unwrap_or(0);
        world.tally.add_many(*kind, times);
        let name = rule.call.map_or("any".to_owned(), |call| format!("{call:?}"));
        *calls.entry(name).or_default() += times;
    }
    let used = world.control.used_callback_faults().await?;
    for (kind, rule) in &world.plan.callback_faults {
        world.tally.add_many(*kind, u64::from(used.contains(rule)));
    }
    Ok(calls)
}

/// A line now and then.
async fn tell_progress(world: Arc<World>, options: Options) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        say(options, || {
            let finished = world.finished.load(Ordering::Relaxed);
            let killed = world.tally.count(Kind::HostKilled);
            let database =
                world.tally.count(Kind::DatabaseCrashed) + world.tally.count(Kind::DatabaseRestarted);
            format!(
                "{:>4} s: {finished} of {} orders are through; hosts killed {killed} times, PostgreSQL stopped {database} times, {} disturbances in all beside those of calls",
                world.start.elapsed().as_secs(),
                options.orders,
                world.tally.total(),
            )
        });
    }
}

fn say(options: Options, line: impl FnOnce() -> String) {
    if options.progress {
        eprintln!("{}", line());
    }
}

/// A task that ends with its handle.
struct Aborted(tokio::task::JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}
