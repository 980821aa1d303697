//! A/B comparison: the service of this tree against that of another commit, in interleaved pairs of rounds.
//!
//! `version` builds the other commit's component, `manifest` says what an application needs. Both run in the same host
//! program, each on its own database, made by its own migrations, and with its own peers; [`pairs`] compares their rounds,
//! `table` prints the result.

mod manifest;
pub mod pairs;
mod table;
mod version;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::options::Options;
use super::run::{self, Plan, Round};
use super::scenario::{PlacedOrder, Scenario};
use super::sinks::{Arrived, Setup, Sinks};
use super::summary::Medians;
use super::target::Target;
use super::testbed::Testbed;
use crate::postgres::Database;
use crate::repo_root;

pub use manifest::Manifest;
pub use pairs::Spread;
pub use table::{head, line};
pub use version::Version;

/// Minimum number of pairs for a meaningful median.
pub const PAIRS: usize = 7;
/// What is compared when nothing is said.
pub const SCENARIOS: [Scenario; 2] = [Scenario::Place, Scenario::Read];
/// Warm-up of each side before its round of a pair.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// A round is cut into parts of about this length, which alternate between the two sides, so that a machine that becomes slower or
/// faster within seconds does so for both.
const PART: Duration = Duration::from_millis(500);
/// The same where a side has sinks. Each part has a beginning that is not measured, because spans are exported and events are sent
/// from a second after the first request on; so parts are longer.
const PART_WITH_SINKS: Duration = Duration::from_millis(1_500);
/// How long that beginning is.
const LEAD: Duration = Duration::from_secs(1);
/// Settings of the server. Vacuums come between the pairs, for both databases: one that came during a round would be one
/// side's alone.
pub const SETTINGS: [(&str, &str); 1] = [("autovacuum", "off")];
/// What the present tree is called.
const THIS: &str = "this";

/// The result of a comparison.
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
    /// What came to this tree's sinks, when it was observed.
    pub observed: Option<Arrived>,
    /// The loads.
    pub rows: Vec<Row>,
}

/// The result of one load.
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

/// The rounds of one side.
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
pub async fn measure(testbed: &Testbed, other: &Version, options: &Options) -> Result<Comparison> {
    let (this, changed) = version::present(&repo_root()).await?;
    let mut sides = [
        Candidate::new(THIS, &repo_root(), testbed).await?,
        Candidate::new(other.short(), other.folder(), testbed).await?,
    ];
    if let Some(what) = options.observed {
        sides[0] = sides[0].with_sinks(Setup::observed(what));
    }
    let mut rows = Vec::new();
    let mut observed: Option<Arrived> = None;
    let plan = options.plan();
    for scenario in options.scenarios() {
        for clients in options.clients() {
            let load = load(testbed, &sides, scenario, clients, plan).await?;
            if let [Some(arrived), _] = load.arrived {
                observed = Some(observed.unwrap_or_default().and(arrived));
            }
            rows.push(load.row(scenario, clients));
        }
    }
    let Plan { rounds: pairs, time, .. } = plan;
    let other = other.commit().to_owned();
    Ok(Comparison { this, changed, other, pairs, seconds: time.as_secs_f64(), observed, rows })
}

/// What both sides did under one load.
pub struct Load {
    rounds: [Vec<Round>; 2],
    arrived: [Option<Arrived>; 2],
}

impl Load {
    /// The sides compared.
    pub fn row(self, scenario: Scenario, clients: usize) -> Row {
        let [this, other] = self.rounds;
        Row::new(scenario, clients, this, other)
    }
}

/// The rounds of both sides under one load.
///
/// Every pair has its own hosts, peers and connections. The number of connections that a host opens and keeps is random and
/// affects its speed: one host for all pairs would be a systematic error.
///
/// # Errors
/// When something does not start, an answer is wrong, or nothing comes to a side's sinks.
pub async fn load(
    testbed: &Testbed,
    sides: &[Candidate; 2],
    scenario: Scenario,
    clients: usize,
    plan: Plan,
) -> Result<Load> {
    let [this, other] = sides;
    let have_sinks = sides.iter().any(|side| side.sinks.is_some());
    let (part, lead) = if have_sinks { (PART_WITH_SINKS, LEAD) } else { (PART, Duration::ZERO) };
    let fixtures = [this.fixture(testbed, scenario).await?, other.fixture(testbed, scenario).await?];
    let mut found = [Vec::new(), Vec::new()];
    for pair in 0..plan.rounds {
        for fixture in &fixtures {
            testbed.vacuum(&fixture.database).await?;
            if fixture.sinks.is_some() {
                Sinks::forget_failures(&fixture.database).await?;
            }
        }
        let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut targets = Vec::new();
        for side in order {
            targets.push((side, fixtures[side].start(testbed).await?));
        }
        let mut contenders = Vec::new();
        for (side, target) in &targets {
            let workload = target.workload(scenario, &fixtures[*side].orders);
            contenders.push(run::Contender::new(&sides[*side].name, target, workload));
        }
        eprintln!("Pair {} of {}:", pair + 1, plan.rounds);
        let parts = plan.time.div_duration_f64(part).round().max(1.0);
        let cut = Plan { rounds: parts as usize, time: plan.time.div_f64(parts), lead, ..plan };
        let rounds = run::rounds(testbed, clients, contenders, cut).await?;
        for ((side, target), (parts, latencies)) in targets.into_iter().zip(rounds) {
            let round = Round::of_parts(&parts, &latencies);
            eprintln!("{:>8} {clients:>3} clients: {}", scenario.name(), round.shown(&sides[side].name));
            found[side].push(round);
            target.stop();
        }
    }
    let mut arrived = [None, None];
    for ((fixture, side), arrived) in fixtures.into_iter().zip(sides).zip(&mut arrived) {
        if let Some(sinks) = &fixture.sinks {
            let came = sinks.arrived(&fixture.database).await;
            let came = came.with_context(|| format!("{}, {}", side.name, scenario.name()))?;
            eprintln!("{}: {}", side.name, came.shown());
            *arrived = Some(came);
        }
        testbed.server.drop_database(&fixture.database.name).await?;
    }
    Ok(Load { rounds: found, arrived })
}

/// One of the two applications that are compared.
#[derive(Clone)]
pub struct Candidate {
    name: String,
    manifest: Manifest,
    template: String,
    sinks: Option<Setup>,
}

/// The test fixture of a candidate under one load: its database, and the orders that were placed before.
struct Fixture<'a> {
    manifest: &'a Manifest,
    database: Database,
    orders: Arc<[PlacedOrder]>,
    sinks: Option<Arc<Sinks>>,
}

impl Candidate {
    /// The application in a folder, whose components have been built. The progress output shows its name.
    ///
    /// # Errors
    /// When it has no manifest, or its migrations fail.
    pub async fn new(name: &str, folder: &Path, testbed: &Testbed) -> Result<Candidate> {
        let manifest = Manifest::read(&folder.join("spin.toml"))?;
        let template = format!("bench_template_{name}");
        testbed.make_template(&template, &folder.join("migrations")).await?;
        Ok(Candidate { name: name.to_owned(), manifest, template, sinks: None })
    }

    /// The same, but it exports spans and sends events, as far as it can.
    #[must_use]
    pub fn with_sinks(&self, sinks: Setup) -> Candidate {
        Candidate { sinks: Some(sinks), ..self.clone() }
    }

    async fn fixture(&self, testbed: &Testbed, scenario: Scenario) -> Result<Fixture<'_>> {
        let database = testbed.clone_template(&self.template).await?;
        let sinks = match self.sinks {
            Some(setup) => Some(Arc::new(Sinks::start(setup).await?)),
            None => None,
        };
        let mut fixture = Fixture { manifest: &self.manifest, database, orders: [].into(), sinks };
        if scenario.needs_orders() > 0 {
            let target = fixture.start(testbed).await?;
            fixture.orders = target.place_orders(scenario.needs_orders(), 4, None).await?;
            target.drain_sinks().await?;
            target.stop();
        }
        Ok(fixture)
    }
}

impl Fixture<'_> {
    async fn start(&self, testbed: &Testbed) -> Result<Target> {
        Target::start_service(self.manifest, testbed, self.database.clone(), self.sinks.clone()).await
    }
}

impl Row {
    /// Of the rounds of both sides, pair by pair.
    pub fn new(scenario: Scenario, clients: usize, this: Vec<Round>, other: Vec<Round>) -> Row {
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
    /// As text.
    pub fn shown(&self) -> String {
        table::shown(self)
    }
}

#[cfg(test)]
pub(super) mod tests {
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
