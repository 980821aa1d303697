//! Runs the measurements: warm-up, then interleaved rounds of a load on each target.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use hdrhistogram::Histogram;

use super::load_generator::{self, Limit, Outcome, histogram, quantile_ms};
use super::process_usage::Processes;
use super::scenario::{Scenario, Workload};
use super::target::{Kind, Target, wait_for_messages};
use super::testbed::Testbed;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often each target is measured.
    pub rounds: usize,
    /// For how long each time.
    pub time: Duration,
    /// For how long each target is under the load before that.
    pub warm_up: Duration,
    /// For how long each round is under the load before it is measured.
    pub lead: Duration,
}

/// CPU milliseconds that a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct CpuMs {
    /// Of the host process.
    pub host: f64,
    /// Of PostgreSQL, all of it.
    pub postgres: f64,
    /// Of the peers.
    pub peers: f64,
    /// Of the load generator.
    pub load: f64,
}

impl CpuMs {
    /// Each member is what `of` makes of the function that reads it.
    pub fn of(of: impl Fn(fn(&CpuMs) -> f64) -> f64) -> CpuMs {
        CpuMs {
            host: of(|cpu| cpu.host),
            postgres: of(|cpu| cpu.postgres),
            peers: of(|cpu| cpu.peers),
            load: of(|cpu| cpu.load),
        }
    }
}

/// The result of one round.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Round {
    /// Requests answered.
    pub requests: u64,
    /// Requests a second.
    pub throughput: f64,
    /// Half of the answers came within so many milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 answers did.
    pub p99_ms: f64,
    /// CPU time for each request.
    pub cpu_ms: CpuMs,
    /// Bytes of PostgreSQL's log for each request.
    pub wal_bytes: f64,
}

impl Round {
    /// One round of all these parts, whose latencies are in microseconds.
    pub fn of_parts(parts: &[Round], latencies: &Histogram<u64>) -> Round {
        let requests: u64 = parts.iter().map(|part| part.requests).sum();
        let seconds: f64 = parts.iter().map(|part| part.requests as f64 / part.throughput).sum();
        let each = |number: &dyn Fn(&Round) -> f64| {
            let sum: f64 = parts.iter().map(|part| number(part) * part.requests as f64).sum();
            sum / requests.max(1) as f64
        };
        Round {
            requests,
            throughput: requests as f64 / seconds,
            p50_ms: quantile_ms(latencies, 0.5),
            p99_ms: quantile_ms(latencies, 0.99),
            cpu_ms: CpuMs::of(|number| each(&|part| number(&part.cpu_ms))),
            wal_bytes: each(&|part| part.wal_bytes),
        }
    }

    /// A line for the progress output.
    pub fn shown(&self, name: &str) -> String {
        let Round { throughput, p50_ms, p99_ms, .. } = self;
        format!("{name:<7} {throughput:>8.0} requests/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms")
    }
}

/// The results of one target, with one scenario and number of clients.
pub struct Measured {
    /// The target.
    pub target: Kind,
    /// One after the other.
    pub rounds: Vec<Round>,
    /// The latencies of all rounds, in microseconds.
    pub latencies: Histogram<u64>,
    /// The most memory that the host had in use.
    pub peak_memory_bytes: u64,
}

/// Measures a scenario on several targets, each fresh, with so many clients.
///
/// # Errors
/// When something does not start, or an answer is wrong.
pub async fn measure(
    testbed: &Testbed,
    scenario: Scenario,
    clients: usize,
    kinds: &[Kind],
    plan: Plan,
) -> Result<Vec<Measured>> {
    let mut targets = Vec::new();
    for kind in kinds {
        targets.push(Target::start(*kind, testbed, testbed.migrated_database().await?, &[]).await?);
    }
    let mut contenders = Vec::new();
    for target in &targets {
        let orders = target.place_orders(scenario.needs_orders(), 4, None).await?;
        contenders.push(Contender::new(target.kind.name(), target, target.workload(scenario, &orders)));
    }
    let found = rounds(testbed, clients, contenders, plan).await?;
    let processes = Processes::now()?;
    let mut all = Vec::new();
    for (target, (rounds, latencies)) in targets.into_iter().zip(found) {
        let peak_memory_bytes = processes.peak_memory_bytes(target.pid());
        all.push(Measured { target: target.kind, rounds, latencies, peak_memory_bytes });
        target.end(testbed).await?;
    }
    Ok(all)
}

/// The rounds of a contender, and the latencies of all of them, in microseconds.
pub type Found = (Vec<Round>, Histogram<u64>);

/// Measures all contenders. The rounds are interleaved and rotated, so that a change of the machine's speed affects all of
/// them.
///
/// # Errors
/// When an answer is wrong.
pub async fn rounds(
    testbed: &Testbed,
    clients: usize,
    mut contenders: Vec<Contender<'_>>,
    plan: Plan,
) -> Result<Vec<Found>> {
    for contender in &contenders {
        contender.load(clients, Limit::Time(plan.warm_up)).await?;
        contender.target.drain_sinks().await?;
    }
    testbed.checkpoint().await?;
    for round in 0..plan.rounds {
        for place in rotated_order(round, contenders.len()) {
            contenders[place].round(testbed, clients, plan, round + 1).await?;
        }
    }
    Ok(contenders.into_iter().map(|contender| contender.found).collect())
}

/// The order of the targets in this round: rotated by one each time.
fn rotated_order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + round) % count)
}

/// A target under a load, with the results so far.
pub struct Contender<'a> {
    name: String,
    target: &'a Target,
    workload: Arc<Workload>,
    found: Found,
}

impl<'a> Contender<'a> {
    /// `name` is shown in the progress output.
    pub fn new(name: impl Into<String>, target: &'a Target, workload: Arc<Workload>) -> Contender<'a> {
        Contender { name: name.into(), target, workload, found: (Vec::new(), histogram()) }
    }

    async fn round(&mut self, testbed: &Testbed, clients: usize, plan: Plan, number: usize) -> Result<()> {
        // Background tasks of the load before.
        tokio::time::sleep(Duration::from_millis(300)).await;
        if !plan.lead.is_zero() {
            self.load(clients, Limit::Time(plan.lead)).await?;
        }
        let before = ResourceUsage::now(testbed, self.target).await?;
        let outcome = self.load(clients, Limit::Time(plan.time)).await?;
        let spent = ResourceUsage::now(testbed, self.target).await?;
        let round = spent.since(&before, &outcome);
        let scenario = self.workload.scenario().name();
        eprintln!("{scenario:>8} {clients:>3} clients, round {number}: {}", round.shown(&self.name));
        self.found.1.add(&outcome.latencies)?;
        self.found.0.push(round);
        self.target.drain_sinks().await
    }

    /// Runs a load on the target, and waits for the messages that it causes.
    async fn load(&self, clients: usize, limit: Limit) -> Result<Outcome> {
        let peers = &self.target.peers;
        let messages = peers.notifications().await?;
        peers.call_back(self.target.address).await?;
        let outcome = load_generator::run(self.target.address, clients, limit, self.workload.clone()).await?;
        if let Some(error) = &outcome.first_error {
            bail!(
                "{}: {} requests failed or were answered wrongly, the first: {error}\n{}",
                self.name,
                outcome.errors,
                self.target.errors()
            );
        }
        if self.workload.scenario() == Scenario::Life {
            wait_for_messages(peers, messages, outcome.requests()).await?;
        }
        Ok(outcome)
    }
}

/// Resource usage so far.
struct ResourceUsage {
    cpu_seconds: CpuMs,
    wal_bytes: f64,
}

impl ResourceUsage {
    async fn now(testbed: &Testbed, target: &Target) -> Result<ResourceUsage> {
        let wal = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
        let wal_bytes = testbed.admin.query_one(wal, &[]).await?.get(0);
        let processes = Processes::now()?;
        let cpu_seconds = CpuMs {
            host: processes.tree_seconds(target.pid()),
            postgres: processes.tree_seconds(testbed.server.pid().unwrap_or(0)),
            peers: processes.tree_seconds(target.peers.pid()),
            load: processes.own_seconds(),
        };
        Ok(ResourceUsage { cpu_seconds, wal_bytes })
    }

    fn since(&self, before: &ResourceUsage, outcome: &Outcome) -> Round {
        let requests = outcome.requests().max(1) as f64;
        let (now, then) = (self.cpu_seconds, before.cpu_seconds);
        let each = |now: f64, then: f64| (now - then) * 1_000.0 / requests;
        Round {
            requests: outcome.requests(),
            throughput: outcome.throughput(),
            p50_ms: outcome.quantile_ms(0.5),
            p99_ms: outcome.quantile_ms(0.99),
            cpu_ms: CpuMs::of(|number| each(number(&now), number(&then))),
            wal_bytes: (self.wal_bytes - before.wal_bytes) / requests,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_weigh_by_their_requests_and_their_time() {
        let part = |requests, throughput, host| Round {
            requests,
            throughput,
            p50_ms: 0.0,
            p99_ms: 0.0,
            cpu_ms: CpuMs { host, ..CpuMs::default() },
            wal_bytes: 10.0,
        };
        let mut latencies = histogram();
        latencies.record_n(2_000, 99).unwrap();
        latencies.record(9_000).unwrap();
        // 300 requests in 1 s + 2 s.
        let round = Round::of_parts(&[part(100, 100.0, 4.0), part(200, 100.0, 1.0)], &latencies);
        assert_eq!((round.requests, round.throughput), (300, 100.0));
        assert_eq!((round.cpu_ms.host, round.wal_bytes), (2.0, 10.0));
        assert_eq!((round.p50_ms, round.p99_ms), (2.0, 2.0));
    }

    #[test]
    fn every_round_begins_with_another_target_and_has_all() {
        let turns: Vec<Vec<usize>> = (0..4).map(|round| rotated_order(round, 3).collect()).collect();
        assert_eq!(turns, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }
}
