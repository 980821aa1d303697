//! How fast the service is, what it costs, and how near it comes to what the platform allows at all.
//!
//! Everything runs on this machine and shares it: compare the rows of one run with each other, not with those of another
//! machine. In reading order: [`scenario`] says what clients ask for, [`load`] asks it over [`http`]; [`target`] is what
//! they ask, and [`world`] what that stands on: PostgreSQL and the fast [`peers`]. [`run`] measures, with [`usage`];
//! [`summary`] draws the medians of it, [`table`] prints them.

pub mod child;
pub mod http;
pub mod load;
pub mod native;
pub mod peers;
pub mod run;
pub mod scenario;
pub mod summary;
pub mod table;
pub mod target;
pub mod usage;
pub mod world;

use std::time::Duration;

use anyhow::{Result, ensure};

use run::{Plan, measure};
use scenario::Scenario;
use summary::Row;
use target::Kind;
use world::World;

/// What to measure, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What clients ask for [default: all]
    #[arg(long, value_delimiter = ',')]
    pub scenario: Vec<Scenario>,
    /// How many clients ask at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    pub clients: Vec<usize>,
    /// Whom they ask: the service and the floors under it [default: all]
    #[arg(long, value_delimiter = ',')]
    pub targets: Vec<Kind>,
    /// How often each is measured; medians are shown
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// For how many seconds each time
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
}

/// Measures, and prints what came of it. Progress goes to standard error.
///
/// # Errors
/// When something does not start, or the first answer that is wrong.
pub async fn run(options: Options) -> Result<()> {
    ensure!(options.rounds > 0 && options.seconds > 0.0, "a run has rounds, and they take time");
    ensure!(!options.clients.contains(&0), "a load has clients");
    let targets = if options.targets.is_empty() { vec![Kind::Service] } else { options.targets.clone() };
    target::build(&targets).await?;
    eprintln!("Starting PostgreSQL and the peers …");
    let world = World::start().await?;
    let plan = Plan { rounds: options.rounds, time: Duration::from_secs_f64(options.seconds) };
    let mut rows = Vec::new();
    for scenario in scenarios(&options) {
        let kinds: Vec<Kind> = targets.iter().copied().filter(|kind| kind.serves(scenario)).collect();
        for clients in &options.clients {
            let measured = measure(&world, scenario, *clients, &kinds, plan).await?;
            rows.extend(measured.iter().map(|measured| Row::new(scenario, *clients, measured)));
        }
    }
    println!("{}", table::table(&rows));
    println!("{}", table::ratios(&summary::ratios(&rows)));
    if let Some(memory) = table::peak_memory(&rows) {
        println!("{memory}");
    }
    Ok(())
}

fn scenarios(options: &Options) -> Vec<Scenario> {
    if options.scenario.is_empty() { Scenario::ALL.to_vec() } else { options.scenario.clone() }
}
