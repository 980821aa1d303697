//! The same loads on databases, or events, of several sizes.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::SOLD_TO;
use crate::bench::http::host_of;
use crate::bench::run::{Contender, Found, Plan, Round, rounds};
use crate::bench::scenario::{PlacedOrder, Sale, Scenario, Workload};
use crate::bench::summary::Medians;
use crate::bench::target::Target;
use crate::bench::testbed::Testbed;

/// Events with this number and the next ones have seats to sell; their payments stay pending.
pub const FIRST_EVENT: u32 = 201;
/// How many orders are read, from all over the table.
const READ: i64 = 20_000;
/// What is asked of each database, by how many clients. Orders are placed last: none may fall due before the end.
const LOADS: [(Scenario, &[usize]); 5] = [
    (Scenario::Sweep, &[1]),
    (Scenario::Metrics, &[1]),
    (Scenario::Stored, &[1, 16]),
    (Scenario::Read, &[1, 16]),
    (Scenario::Place, PLACE_CLIENTS),
];
const PLACE_CLIENTS: &[usize] = &[1, 16];

/// The dimension that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Orders that were there before.
    Orders,
    /// Seats of the event that were sold before.
    Seats,
}

impl Dimension {
    /// Name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Orders => "orders",
            Dimension::Seats => "seats",
        }
    }
}

/// What the rounds of one load at one size say.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// What clients asked for.
    pub scenario: Scenario,
    /// How many clients.
    pub clients: usize,
    /// What differs from row to row.
    pub of: Dimension,
    /// How many of it.
    pub size: u64,
    /// The throughput as a part of that at the first size.
    pub ratio: f64,
    /// The medians of the rounds.
    #[serde(flatten)]
    pub medians: Medians,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// Measures databases with so many orders, each of a target of its own.
///
/// # Errors
/// When an answer is wrong.
pub async fn by_orders(testbed: &Testbed, targets: &[(u64, Target)], plan: Plan) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    for (scenario, clients) in LOADS {
        // An event of every filled database, and seats that it does not have there.
        let sale = Sale { event: 101, sold_to: u64::from(SOLD_TO) };
        let mut samples: Vec<Arc<[PlacedOrder]>> = Vec::new();
        for (orders, target) in targets {
            samples.push(match scenario {
                Scenario::Stored => sample(testbed, target, *orders).await?,
                _ => target.place_orders(scenario.needs_orders(), 4, Some(sale)).await?,
            });
        }
        for clients in clients {
            let contenders = targets.iter().zip(&samples).map(|((orders, target), sample)| {
                Contender::new(
                    named(*orders, Dimension::Orders),
                    target,
                    workload(scenario, target, sample, sale),
                )
            });
            let found = rounds(testbed, *clients, contenders.collect(), plan).await?;
            let sizes = targets.iter().map(|(orders, _)| *orders);
            all.extend(rows(scenario, *clients, Dimension::Orders, sizes, found));
        }
    }
    Ok(all)
}

/// Measures events, given with how many of their seats are sold, all of them of the same target.
///
/// # Errors
/// When an answer is wrong.
pub async fn by_seats(
    testbed: &Testbed,
    target: &Target,
    events: &[(u32, u32)],
    plan: Plan,
) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    for clients in PLACE_CLIENTS {
        let contenders = events.iter().map(|(sold, event)| {
            let sale = Sale { event: *event, sold_to: u64::from(SOLD_TO) };
            let workload = workload(Scenario::Place, target, &[].into(), sale);
            Contender::new(named(u64::from(*sold), Dimension::Seats), target, workload)
        });
        let found = rounds(testbed, *clients, contenders.collect(), plan).await?;
        let sizes = events.iter().map(|(sold, _)| u64::from(*sold));
        all.extend(rows(Scenario::Place, *clients, Dimension::Seats, sizes, found));
    }
    Ok(all)
}

fn named(size: u64, of: Dimension) -> String {
    format!("{size} {}", of.name())
}

fn workload(scenario: Scenario, target: &Target, orders: &Arc<[PlacedOrder]>, sale: Sale) -> Arc<Workload> {
    Arc::new(Workload::new(scenario, host_of(target.address), orders.clone()).at(sale))
}

/// Orders from all over the table. Where there are none, some are placed.
async fn sample(testbed: &Testbed, target: &Target, orders: u64) -> Result<Arc<[PlacedOrder]>> {
    if orders == 0 {
        target.peers.call_back(target.address).await?;
        target.place_orders(Scenario::Read.needs_orders(), 4, None).await?;
        testbed.vacuum(&target.database).await?;
    }
    let client = target.database.connect().await?;
    // Some more than are needed, because how many it takes is a matter of chance.
    let percent = (READ as f64 * 120.0 / orders.max(1) as f64).clamp(0.01, 100.0) as f32;
    let ids = "SELECT id::text FROM orders TABLESAMPLE BERNOULLI ($1) ORDER BY random() LIMIT $2";
    let rows = client.query(ids, &[&percent, &READ]).await?;
    ensure!(!rows.is_empty(), "there is no order to read in {}", target.database.name);
    Ok(rows.iter().map(|row| PlacedOrder::stored(row.get(0))).collect())
}

/// The rows of one load, by size.
fn rows(
    scenario: Scenario,
    clients: usize,
    of: Dimension,
    sizes: impl Iterator<Item = u64>,
    found: Vec<Found>,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (size, (rounds, _)) in sizes.zip(found) {
        let medians = Medians::of(&rounds);
        let ratio = medians.ratio(rows.first().map(|first| &first.medians));
        rows.push(Row { scenario, clients, of, size, ratio, medians, rounds });
    }
    rows
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::load_generator::histogram;
    use crate::bench::run::CpuMs;

    /// What rounds of such throughputs found.
    pub fn found(throughputs: &[f64]) -> Found {
        let round = |throughput: &f64| Round {
            requests: 1,
            throughput: *throughput,
            p50_ms: 1_000.0 / throughput,
            p99_ms: 2_000.0 / throughput,
            cpu_ms: CpuMs::default(),
            wal_bytes: 0.0,
        };
        (throughputs.iter().map(round).collect(), histogram())
    }

    #[test]
    fn every_size_is_compared_with_the_first_by_medians() {
        let found = vec![found(&[100.0, 90.0, 200.0]), found(&[50.0, 80.0, 70.0]), found(&[110.0])];
        let rows = rows(Scenario::Place, 16, Dimension::Seats, [50, 5_000, 50_000].into_iter(), found);
        let ratios: Vec<(u64, f64)> = rows.iter().map(|row| (row.size, row.ratio)).collect();
        assert_eq!(ratios, [(50, 1.0), (5_000, 0.7), (50_000, 1.1)]);
        assert_eq!(rows[0].medians.p50_ms, 10.0);
    }
}
