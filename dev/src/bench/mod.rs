//! The benchmark: throughput, latency and cost of the service, compared with baselines ("floors") on the same platform.
//!
//! Everything shares this machine: compare the rows of one run with each other, not with those of another machine. In
//! reading order: [`scenario`] is the workload, [`load_generator`] sends it over [`http`]; [`target`] is the system under
//! test, the service or a floor such as [`native`], in a [`server_process`]; [`testbed`] has PostgreSQL and the fast
//! [`peers`]. [`mod@run`] measures, with [`process_usage`]; [`cost_per_order`] reads [`counters`]; [`memory`] detects leaks.
//! [`pgbench_baseline`] runs the bare row changes of an order with [`pgbench`]; [`growth`] measures large databases made by
//! [`fill`], [`snapshot`] an old snapshot, [`hosts`] compares runtime configurations, [`against`] compares this tree with another commit, and [`sinks`] has
//! what hears of spans and events fail. [`summary`]
//! and [`latency_histogram`] aggregate for [`report`], [`table`] and [`plot`].

pub mod against;
pub mod cost_per_order;
pub mod counters;
pub mod fill;
pub mod growth;
pub mod hosts;
pub mod http;
pub mod latency_histogram;
pub mod load_generator;
pub mod memory;
pub mod native;
pub mod options;
pub mod peers;
pub mod pgbench;
pub mod pgbench_baseline;
pub mod plot;
pub mod process_usage;
pub mod report;
pub mod run;
pub mod scenario;
pub mod server_process;
pub mod sinks;
pub mod snapshot;
pub mod summary;
pub mod table;
pub mod target;
pub mod testbed;

use anyhow::{Result, bail, ensure};

use against::Version;
use cost_per_order::CostPerOrder;
use latency_histogram::LatencyHistogram;
pub use options::Options;
use options::What;
use report::{Machine, Report};
use run::{Measured, measure};
use scenario::Scenario;
use summary::{Row, ratios};
use target::Kind;
use testbed::Testbed;

/// Runs the benchmark and prints the report. Progress goes to standard error.
///
/// # Errors
/// When something does not start, at the first answer that is wrong, and when an instance's memory grows.
pub async fn run(options: Options) -> Result<()> {
    options.check()?;
    if options.tokens {
        http::send_token(&crate::peers::token(
            &scenario::TOKEN_USER.to_string(),
            chrono::Utc::now().timestamp(),
        ));
    }
    let other = match &options.against {
        Some(commit) => Some(Version::of("--against", commit).await?),
        None => None,
    };
    target::build(&options.targets()).await?;
    eprintln!("Starting PostgreSQL and the peers …");
    let testbed = Testbed::start(settings(&options)).await?;
    let mut report = Report { machine: machine(&testbed).await?, ..Report::default() };
    match &options.what {
        None => match &other {
            Some(other) => report.comparison = Some(against::measure(&testbed, other, &options).await?),
            None => measure_loads(&testbed, &options, &mut report).await?,
        },
        Some(What::Growth(what)) => {
            report.growth = Some(growth::measure(&testbed, what, options.plan(), options.quick).await?);
        }
        Some(What::Snapshot(what)) => {
            report.snapshot = Some(snapshot::measure(&testbed, what, options.plan(), options.quick).await?);
        }
        Some(What::Sinks(what)) => {
            report.sinks = Some(sinks::measure(&testbed, what, options.plan()).await?);
        }
        Some(What::Hosts(what)) => report.hosts = hosts::measure(&testbed, what, options.plan()).await?,
        Some(What::Memory { requests }) => report.memory = Some(memory::measure(&testbed, *requests).await?),
    }
    println!("{}", report.shown());
    if let Some(file) = &options.json {
        report.write_json(file)?;
    }
    if let Some(file) = &options.plot {
        plot::draw(&report.rows, file)?;
    }
    if let Some(memory) = report.memory.filter(|memory| memory.grown_bytes > 0) {
        bail!("the memory of an instance grew by {} bytes in its second half", memory.grown_bytes);
    }
    Ok(())
}

/// Settings of PostgreSQL beside those of every testbed.
fn settings(options: &Options) -> &'static [(&'static str, &'static str)] {
    match options.what {
        Some(What::Growth(_)) => &growth::SETTINGS,
        _ if options.has_pairs() => &against::SETTINGS,
        _ => &[],
    }
}

async fn measure_loads(testbed: &Testbed, options: &Options, report: &mut Report) -> Result<()> {
    for scenario in options.scenarios() {
        let kinds: Vec<Kind> = options.targets().into_iter().filter(|kind| kind.serves(scenario)).collect();
        for clients in options.clients() {
            let measured = measure(testbed, scenario, clients, &kinds, options.plan()).await?;
            report.rows.extend(measured.iter().map(|measured| Row::new(scenario, clients, measured)));
            if clients == 1 {
                report
                    .latency_histograms
                    .extend(measured.iter().map(|measured| latency_histogram_of(scenario, measured)));
            }
        }
        if scenario == Scenario::Place {
            report.pgbench_baseline =
                pgbench_baseline::measure(testbed, &report.rows, options.plan().time).await?;
        }
        if scenario.places_orders() {
            report.costs_per_order.extend(count(testbed, scenario, &kinds, options.counted_orders()).await?);
        }
    }
    report.ratios = ratios(&report.rows);
    Ok(())
}

fn latency_histogram_of(scenario: Scenario, measured: &Measured) -> LatencyHistogram {
    LatencyHistogram::new(scenario, measured.target, &measured.latencies)
}

async fn count(
    testbed: &Testbed,
    scenario: Scenario,
    kinds: &[Kind],
    orders: u64,
) -> Result<Vec<CostPerOrder>> {
    let mut counted = Vec::new();
    for kind in kinds {
        counted.push(cost_per_order::count(testbed, scenario, *kind, orders).await?);
    }
    Ok(counted)
}

async fn machine(testbed: &Testbed) -> Result<Machine> {
    let host = crate::component::host_program().await?;
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    ensure!(processors > 0, "nobody knows how many processors there are");
    Ok(Machine {
        processors,
        postgres: testbed.server_version().await?,
        host: host.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        began: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    })
}
