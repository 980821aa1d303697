//! The service of this tree beside that of another commit, in interleaved pairs.
//!
//! [`version`] builds the other commit's component, [`manifest`] says what an application needs. Both run in the same host
//! program, each on its own database, made by its own migrations, and with its own peers; [`pairs`] compares their rounds,
//! [`table`] tells what came of it.

mod manifest;
pub mod pairs;
mod table;
mod version;

use std::path::Path;

use anyhow::{Context, Result};

use super::options::Options;
use super::run::{Measured, Plan, Round, measure_targets};
use super::scenario::Scenario;
use super::summary::Medians;
use super::target::Target;
use super::world::World;
use crate::repo_root;

pub use manifest::Manifest;
pub use pairs::Spread;
pub use version::Version;

/// So many pairs are needed to judge by their median.
pub const PAIRS: usize = 7;
/// What is compared when nothing is said.
pub const SCENARIOS: [Scenario; 2] = [Scenario::Place, Scenario::Read];
/// Settings of the server. Vacuums come between the pairs, for both databases: one that came during a round would be one
/// side's alone.
pub const SETTINGS: [(&str, &str); 1] = [("autovacuum", "off")];
/// What the present tree is called.
const THIS: &str = "this";

/// What was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Comparison {
    /// The commit of this tree, if git knows it.
    pub this: Option<String>,
    /// Whether this tree differs from its commit.
    pub changed: bool,
    /// The commit that it is compared with.
    pub other: String,
    /// How many pairs of rounds each load has.
    pub pairs: usize,
    /// For how many seconds each round lasted.
    pub seconds: f64,
    /// The loads.
    pub rows: Vec<Row>,
}

/// What the pairs of one load say.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// What clients asked for.
    pub scenario: Scenario,
    /// How many clients.
    pub clients: usize,
    /// This tree.
    pub this: Side,
    /// The other commit.
    pub other: Side,
    /// This tree's throughput divided by the other's, pair by pair.
    pub throughput: Spread,
    /// The same of the host's CPU time for a request.
    pub host_cpu: Spread,
    /// The same of PostgreSQL's.
    pub postgres_cpu: Spread,
}

/// What the rounds of one side say.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Side {
    /// Their medians.
    #[serde(flatten)]
    pub medians: Medians,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// Measures the present tree, whose component must have been built, beside another commit's.
///
/// # Errors
/// When something does not start, or an answer is wrong.
pub async fn measure(world: &World, other: &Version, options: &Options) -> Result<Comparison> {
    let (this, changed) = version::present(&repo_root()).await?;
    let sides = [
        Contestant::new(THIS, &repo_root(), world).await?,
        Contestant::new(other.short(), other.folder(), world).await?,
    ];
    let mut rows = Vec::new();
    let plan = options.plan();
    for scenario in options.scenarios() {
        for clients in options.clients() {
            let mut targets = Vec::new();
            for side in &sides {
                targets.push((side.name.as_str(), side.start(world).await?));
            }
            let measured = measure_targets(world, scenario, clients, targets, plan).await?;
            let [this, other] = <[Measured; 2]>::try_from(measured).ok().context("there are two sides")?;
            rows.push(Row::new(scenario, clients, this.rounds, other.rounds));
        }
    }
    let Plan { rounds: pairs, time, .. } = plan;
    let other = other.commit().to_owned();
    Ok(Comparison { this, changed, other, pairs, seconds: time.as_secs_f64(), rows })
}

/// One of the two applications that are compared.
struct Contestant {
    name: String,
    manifest: Manifest,
    template: String,
}

impl Contestant {
    async fn new(name: &str, folder: &Path, world: &World) -> Result<Contestant> {
        let manifest = Manifest::read(&folder.join("spin.toml"))?;
        let template = format!("bench_template_{name}");
        world.make_template(&template, &folder.join("migrations")).await?;
        Ok(Contestant { name: name.to_owned(), manifest, template })
    }

    async fn start(&self, world: &World) -> Result<Target> {
        Target::start_service(&self.manifest, world, world.copy_of(&self.template).await?).await
    }
}

impl Row {
    fn new(scenario: Scenario, clients: usize, this: Vec<Round>, other: Vec<Round>) -> Row {
        let ratios = |number: fn(&Round) -> f64| {
            Spread::of_ratios(this.iter().map(number).zip(other.iter().map(number)))
        };
        let throughput = ratios(|round| round.throughput);
        let host_cpu = ratios(|round| round.cpu_ms.host);
        let postgres_cpu = ratios(|round| round.cpu_ms.postgres);
        let side = |rounds: Vec<Round>| Side { medians: Medians::of(&rounds), rounds };
        let (this, other) = (side(this), side(other));
        Row { scenario, clients, this, other, throughput, host_cpu, postgres_cpu }
    }
}

impl Comparison {
    /// For people.
    pub fn shown(&self) -> String {
        table::shown(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run::CpuMs;

    pub fn round(throughput: f64, host: f64) -> Round {
        let cpu_ms = CpuMs { host, postgres: 1.0, ..CpuMs::default() };
        Round { requests: 1, throughput, p50_ms: 1.0, p99_ms: 2.0, cpu_ms, wal_bytes: 0.0 }
    }

    #[test]
    fn rounds_are_compared_pair_by_pair_before_the_median_is_taken() {
        // The machine became slower by half; each pair says the same.
        let this = vec![round(110.0, 1.0), round(55.0, 2.0), round(52.0, 2.0)];
        let other = vec![round(100.0, 2.0), round(50.0, 4.0), round(50.0, 2.0)];
        let row = Row::new(Scenario::Place, 16, this, other);
        assert_eq!(row.throughput.each, [1.1, 1.1, 1.04]);
        assert_eq!((row.throughput.median, row.host_cpu.median), (1.1, 0.5));
        assert_eq!(row.postgres_cpu.each, [1.0; 3]);
        assert_eq!((row.this.medians.throughput, row.other.medians.throughput), (55.0, 50.0));
    }
}
