//! Database cost per order, exactly: statements, commits, WAL flushes. One client, so that there is no group commit.

use anyhow::{Result, bail};

use super::counters::{self, Counters, Statement};
use super::load_generator::{self, Limit};
use super::scenario::Scenario;
use super::target::{Kind, Target, wait_for_messages};
use super::testbed::Testbed;

/// The database cost of one order.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CostPerOrder {
    /// The scenario.
    pub scenario: Scenario,
    /// The target.
    pub target: Kind,
    /// Number of orders that the means are of.
    pub orders: u64,
    /// Statements per order, including background tasks.
    pub statements: f64,
    /// Commits per order, including those of read-only statements.
    pub commits: f64,
    /// WAL flushes per order: synchronous commits.
    pub wal_syncs: f64,
    /// WAL bytes per order.
    pub wal_bytes: f64,
    /// Planning and execution time per order, in milliseconds.
    pub statement_ms: f64,
    /// The statements by total time, descending.
    pub each: Vec<Statement>,
}

/// Places orders one after the other, on a server and a database of their own, and reads PostgreSQL's counters.
///
/// # Errors
/// When something does not start, or an order is not placed.
pub async fn count(testbed: &Testbed, scenario: Scenario, kind: Kind, orders: u64) -> Result<CostPerOrder> {
    eprintln!("Counting what an order costs in the database: {}, {} …", scenario.name(), kind.name());
    let database = testbed.migrated_database().await?;
    counters::track_statements(&testbed.admin, &database).await?;
    let target = Target::start(kind, testbed, database.clone(), &[]).await?;
    target.peers.call_back(target.address).await?;
    testbed.checkpoint().await?;
    counters::pause_wal_writer(&testbed.admin, true).await?;
    let cost = measure(testbed, scenario, target, orders).await;
    counters::pause_wal_writer(&testbed.admin, false).await?;
    testbed.server.drop_database(&database.name).await?;
    cost
}

async fn measure(testbed: &Testbed, scenario: Scenario, target: Target, orders: u64) -> Result<CostPerOrder> {
    let (kind, database) = (target.kind, target.database.clone());
    let before = Counters::read(&testbed.admin, &database).await?;
    let messages = target.peers.notifications().await?;
    let workload = target.workload(scenario, &[].into());
    let outcome = load_generator::run(target.address, 1, Limit::Requests(orders), workload).await?;
    if let Some(error) = outcome.first_error {
        bail!("counting: {error}");
    }
    if scenario == Scenario::Life {
        wait_for_messages(&target.peers, messages, orders).await?;
    }
    target.stop();
    counters::wait_for_disconnects(&testbed.admin, &database).await?;
    let after = Counters::read(&testbed.admin, &database).await?;
    let each = counters::statements(&testbed.admin, &database, orders).await?;
    let per_order = |now: f64, then: f64| (now - then) / orders.max(1) as f64;
    Ok(CostPerOrder {
        scenario,
        target: kind,
        orders,
        statements: each.iter().map(|statement| statement.calls_per_order).sum(),
        commits: per_order(after.commits, before.commits),
        wal_syncs: per_order(after.wal_syncs, before.wal_syncs),
        wal_bytes: per_order(after.wal_bytes, before.wal_bytes),
        statement_ms: each.iter().map(|statement| statement.calls_per_order * statement.mean_ms).sum(),
        each,
    })
}
