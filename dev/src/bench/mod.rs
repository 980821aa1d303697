//! How fast the service is, what it costs, and how near it comes to what the platform allows at all.
//!
//! Everything runs on this machine and shares it: compare the rows of one run with each other, not with those of another
//! machine. In reading order: [`scenario`] says what clients ask for, [`load`] asks it over [`http`]; [`target`] is what
//! they ask, be it the service or a floor such as [`native`], and [`world`] what that stands on: PostgreSQL and the fast
//! [`peers`]. [`mod@run`] measures, with [`usage`]; [`counting`] counts, with [`counters`]; [`memory`] looks at one instance.
//! [`yardstick`] asks PostgreSQL itself for the row changes of an order, by [`pgbench`]; [`growth`] measures databases that
//! [`fill`] has made large, [`hosts`] hosts that are configured differently, and [`against`] compares this tree with another
//! commit. [`summary`] and [`shape`] draw from that what [`report`] tells, with [`table`] and [`plot`].

pub mod against;
pub mod child;
pub mod counters;
pub mod counting;
pub mod fill;
pub mod growth;
pub mod hosts;
pub mod http;
pub mod load;
pub mod memory;
pub mod native;
pub mod options;
pub mod peers;
pub mod pgbench;
pub mod plot;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shape;
pub mod summary;
pub mod table;
pub mod target;
pub mod usage;
pub mod world;
pub mod yardstick;

use anyhow::{Result, bail, ensure};

use against::Version;
use counting::Counted;
pub use options::Options;
use options::What;
use report::{Machine, Report};
use run::{Measured, measure};
use scenario::Scenario;
use shape::Shape;
use summary::{Row, ratios};
use target::Kind;
use world::World;

/// Measures, and prints what came of it. Progress goes to standard error.
///
/// # Errors
/// When something does not start, at the first answer that is wrong, and when an instance's memory grows.
pub async fn run(options: Options) -> Result<()> {
    options.check()?;
    let other = match &options.against {
        Some(commit) => Some(Version::of(commit).await?),
        None => None,
    };
    target::build(&options.targets()).await?;
    eprintln!("Starting PostgreSQL and the peers …");
    let world = World::start(settings(&options)).await?;
    let mut report = Report { machine: machine(&world).await?, ..Report::default() };
    match &options.what {
        None => match &other {
            Some(other) => report.comparison = Some(against::measure(&world, other, &options).await?),
            None => measure_loads(&world, &options, &mut report).await?,
        },
        Some(What::Growth(what)) => {
            report.growth = Some(growth::measure(&world, what, options.plan(), options.quick).await?);
        }
        Some(What::Hosts(what)) => report.hosts = hosts::measure(&world, what, options.plan()).await?,
        Some(What::Memory { requests }) => report.memory = Some(memory::measure(&world, *requests).await?),
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

/// Settings of PostgreSQL beside those of every world.
fn settings(options: &Options) -> &'static [(&'static str, &'static str)] {
    match options.what {
        Some(What::Growth(_)) => &growth::SETTINGS,
        None if options.against.is_some() => &against::SETTINGS,
        _ => &[],
    }
}

async fn measure_loads(world: &World, options: &Options, report: &mut Report) -> Result<()> {
    for scenario in options.scenarios() {
        let kinds: Vec<Kind> = options.targets().into_iter().filter(|kind| kind.serves(scenario)).collect();
        for clients in options.clients() {
            let measured = measure(world, scenario, clients, &kinds, options.plan()).await?;
            report.rows.extend(measured.iter().map(|measured| Row::new(scenario, clients, measured)));
            if clients == 1 {
                report.shapes.extend(measured.iter().map(|measured| shape_of(scenario, measured)));
            }
        }
        if scenario == Scenario::Place {
            report.yardstick = yardstick::measure(world, &report.rows, options.plan().time).await?;
        }
        if scenario.places_orders() {
            report.counted.extend(count(world, scenario, &kinds, options.counted_orders()).await?);
        }
    }
    report.ratios = ratios(&report.rows);
    Ok(())
}

fn shape_of(scenario: Scenario, measured: &Measured) -> Shape {
    Shape::new(scenario, measured.target, &measured.latencies)
}

async fn count(world: &World, scenario: Scenario, kinds: &[Kind], orders: u64) -> Result<Vec<Counted>> {
    let mut counted = Vec::new();
    for kind in kinds {
        counted.push(counting::count(world, scenario, *kind, orders).await?);
    }
    Ok(counted)
}

async fn machine(world: &World) -> Result<Machine> {
    let host = crate::component::host_program().await?;
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    ensure!(processors > 0, "nobody knows how many processors there are");
    Ok(Machine {
        processors,
        postgres: world.server_version().await?,
        host: host.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        began: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    })
}
