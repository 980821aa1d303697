//! Chaos testing: the real component on three hosts and a real PostgreSQL under load and fault injection, followed by an
//! invariant check that compares the order database with the peers' records.
//!
//! In reading order: [`plan`] generates workload and faults from a seed; [`testbed`] starts the processes; [`virtual_users`]
//! and [`payment_provider`] generate the load, with money for a [`cancelled_event`], while [`fault_injector`] injects faults, among
//! them [`failover`] and [`long_snapshot`], counted by [`injection`], and the collector of [`tracing`] fails, too; the [`operator`] looks after the event sink; [`quiesce`] sweeps until no work is pending; [`snapshot`] collects all state, with what [`transition_recorder`] and [`request_log`]
//! recorded; [`checker`] checks the invariants; [`report`] prints the result, with the [`order_history`] of violations;
//! [`summary`] sums the campaigns of several seeds.

pub mod cancelled_event;
pub mod checker;
pub mod failover;
pub mod fault_injector;
pub mod injection;
pub mod long_snapshot;
pub mod operator;
pub mod order_history;
pub mod payment_provider;
pub mod plan;
pub mod quiesce;
pub mod report;
pub mod request_log;
pub mod slow_body;
pub mod snapshot;
pub mod summary;
pub mod testbed;
pub mod tracing;
pub mod transition_recorder;
pub mod virtual_users;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::bench::against::Version;
use injection::Injection;
use payment_provider::PaymentProvider;
use plan::Plan;
use report::Report;
use snapshot::Snapshot;
use testbed::Testbed;

/// Options of a campaign.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of orders, at least one.
    pub orders: usize,
    /// Seed of the plan.
    pub seed: u64,
    /// Whether to print progress on standard error.
    pub progress: bool,
    /// Another version, as in the middle of an upgrade: the first copy runs its component, and with even seeds the third one, too. The
    /// database is migrated by the present tree.
    pub beside: Option<Arc<Version>>,
}

impl Options {
    /// The version of a copy (from 0); `None`: the present tree's.
    fn version_of(&self, copy: usize) -> Option<&Version> {
        let is_other = copy == 0 || copy == 2 && self.seed.is_multiple_of(2);
        self.beside.as_deref().filter(|_| is_other)
    }
}

/// Runs a campaign. The component must have been built.
///
/// # Errors
/// When a process does not start, or the service does not quiesce. Violations are no error: see
/// [`Report::violations`].
pub async fn run(options: Options) -> Result<Report> {
    let plan = Plan::generate(options.orders.max(1), options.seed);
    log_progress(&options, || {
        format!("Starting PostgreSQL, the peers and three copies of the service (seed {}) …", options.seed)
    });
    let testbed = Arc::new(Testbed::start(plan, &options).await?);
    let result = campaign(&testbed, &options).await;
    let failed = result.as_ref().map_or(true, |report| report.violations() > 0);
    let logs = testbed.log_dir().to_path_buf();
    // The tasks that shared it have ended, or end in a moment.
    for _ in 0..100 {
        if Arc::strong_count(&testbed) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Ok(testbed) = Arc::try_unwrap(testbed) {
        testbed.shut_down(failed);
    }
    result.with_context(|| format!("seed {}; the logs of the hosts are in {}", options.seed, logs.display()))
}

async fn campaign(testbed: &Arc<Testbed>, options: &Options) -> Result<Report> {
    let provider = PaymentProvider::new(testbed);
    let shutdown = Arc::new(AtomicBool::new(false));
    let settling = tokio::spawn(provider.clone().run(shutdown.clone()));
    let sweeping = AbortOnDrop(tokio::spawn(quiesce::sweep_periodically(testbed.clone())));
    let operator = AbortOnDrop(tokio::spawn(operator::look_after_sinks(testbed.clone())));
    let tracing = AbortOnDrop(tokio::spawn(tracing::break_collector(testbed.clone())));
    let progress = AbortOnDrop(tokio::spawn(report_progress(testbed.clone(), options.clone())));
    let begun = Instant::now();
    let (faults, ()) = tokio::join!(fault_injector::run(testbed), virtual_users::run_all(testbed));
    faults?;
    let faulted_calls = count_faulted_calls(testbed).await?;
    let faults_took = begun.elapsed();
    drop((progress, sweeping, operator, tracing));

    log_progress(options, || "The faults are over; the sweeps do what is left …".into());
    let begun = Instant::now();
    testbed.control.clear_faults().await?;
    testbed.skip_waits.send_replace(true);
    shutdown.store(true, Ordering::SeqCst);
    settling.await.map_err(|error| anyhow!(error))??;
    // The provider has ended: it does not settle charges that the sweeps retry from here on.
    quiesce::quiesce(testbed, &provider).await?;
    let quiesce_took = begun.elapsed();

    let mut snapshot = Snapshot::take(testbed).await?;
    snapshot.prices = testbed.plan.prices_in_cents();
    let free = snapshot.orders.iter().filter(|order| order.is_free()).count();
    testbed.injections.add_many(Injection::OrderFree, free as u64);
    let checks = checker::check(&snapshot);
    let mut report = Report::new(options.orders, options.seed, &testbed.injections, &snapshot, checks);
    (report.faults_took, report.quiesce_took, report.faulted_calls) =
        (faults_took, quiesce_took, faulted_calls);
    report.log_dir = testbed.log_dir().to_path_buf();
    report.copies = (0..testbed.hosts.len())
        .map(|copy| options.version_of(copy).map_or("this tree", Version::short).to_owned())
        .collect();
    Ok(report)
}

/// Adds the hits of the plan's fault rules, which the sandbox counts, to the injection counts; returns them by call.
async fn count_faulted_calls(testbed: &Testbed) -> Result<BTreeMap<String, u64>> {
    let mut calls = BTreeMap::new();
    let hits: BTreeMap<u64, u64> =
        testbed.control.fault_list().await?.into_iter().map(|rule| (rule.id, rule.hits)).collect();
    for (id, (kind, rule)) in testbed.call_fault_ids.iter().zip(&testbed.plan.call_faults) {
        let times = hits.get(id).copied().unwrap_or(0);
        testbed.injections.add_many(*kind, times);
        let name = rule.call.map_or("any".to_owned(), |call| format!("{call:?}"));
        *calls.entry(name).or_default() += times;
    }
    let failures = testbed.control.state().await?.serialization_failures;
    testbed.injections.add_many(Injection::SerializationFailed, failures);
    let used = testbed.control.used_callback_faults().await?;
    for (kind, rule) in &testbed.plan.callback_faults {
        testbed.injections.add_many(*kind, u64::from(used.contains(rule)));
    }
    let failed = testbed.collector.received().iter().filter(|received| received.status != 200).count();
    testbed.injections.add_many(Injection::CollectorFailed, failed as u64);
    Ok(calls)
}

/// Prints a line of progress every five seconds.
async fn report_progress(testbed: Arc<Testbed>, options: Options) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        log_progress(&options, || {
            let finished = testbed.finished.load(Ordering::Relaxed);
            let killed = testbed.injections.count(Injection::HostKilled);
            let database = testbed.injections.count(Injection::DatabaseCrashed)
                + testbed.injections.count(Injection::DatabaseRestarted);
            format!(
                "{:>4} s: {finished} of {} orders are through; hosts killed {killed} times, PostgreSQL stopped {database} times, {} disturbances in all beside those of calls",
                testbed.start.elapsed().as_secs(),
                options.orders,
                testbed.injections.total(),
            )
        });
    }
}

fn log_progress(options: &Options, line: impl FnOnce() -> String) {
    if options.progress {
        eprintln!("{}", line());
    }
}

/// Aborts the task when the handle is dropped.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
