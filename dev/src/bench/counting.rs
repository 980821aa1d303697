//! What an order costs in the database, exactly: one client, so that no two commits share a flush.

use anyhow::{Result, bail};

use super::counters::{self, Counters, Statement};
use super::load::{self, Limit};
use super::scenario::Scenario;
use super::target::{Kind, Target, wait_for_messages};
use super::world::World;

/// What an order costs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Counted {
    /// What was asked for.
    pub scenario: Scenario,
    /// Whom.
    pub target: Kind,
    /// How many orders it is the mean of.
    pub orders: u64,
    /// Statements for each order, those of the work behind the answers included.
    pub statements: f64,
    /// Commits for each order, those of statements that only read included.
    pub commits: f64,
    /// Flushes of the log for each order: commits that were waited for.
    pub wal_syncs: f64,
    /// Bytes of the log for each order.
    pub wal_bytes: f64,
    /// Milliseconds for which PostgreSQL planned and ran statements, for each order.
    pub statement_ms: f64,
    /// The statements, those that took longest first.
    pub each: Vec<Statement>,
}

/// Has so many orders placed one after the other, on a server and a database of their own, and counts.
///
/// # Errors
/// When something does not start, or an order is not placed.
pub async fn count(world: &World, scenario: Scenario, kind: Kind, orders: u64) -> Result<Counted> {
    eprintln!("Counting what an order costs in the database: {}, {} …", scenario.name(), kind.name());
    let database = world.fresh_database().await?;
    counters::count_statements(&world.admin, &database).await?;
    let target = Target::start(kind, world, database.clone(), &[]).await?;
    target.peers.call_back(target.address).await?;
    world.checkpoint().await?;
    counters::rest_log_writer(&world.admin, true).await?;
    let counted = counted(world, scenario, target, orders).await;
    counters::rest_log_writer(&world.admin, false).await?;
    world.server.drop_database(&database.name).await?;
    counted
}

async fn counted(world: &World, scenario: Scenario, target: Target, orders: u64) -> Result<Counted> {
    let (kind, database) = (target.kind, target.database.clone());
    let before = Counters::read(&world.admin, &database).await?;
    let messages = target.peers.notifications().await?;
    let workload = target.workload(scenario, &[].into());
    let outcome = load::run(target.address, 1, Limit::Requests(orders), workload).await?;
    if let Some(error) = outcome.first_error {
        bail!("counting: {error}");
    }
    if scenario == Scenario::Life {
        wait_for_messages(&target.peers, messages, orders).await?;
    }
    target.stop();
    counters::come_to_rest(&world.admin, &database).await?;
    let after = Counters::read(&world.admin, &database).await?;
    let each = counters::statements(&world.admin, &database, orders).await?;
    let per_order = |now: f64, then: f64| (now - then) / orders.max(1) as f64;
    Ok(Counted {
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
