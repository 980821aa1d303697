//! How the service does while an old snapshot of the database is open, as a dump or a report keeps one: nothing that died since can
//! be removed.
//!
//! Two databases have the same orders behind them, which `pgbench` drove through the service's functions; in one of them a
//! snapshot has been open since before. The same loads go to both in turn, and then some statements alone.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::growth::statements::time;
use super::pgbench::{self, SESSION_OPTIONS};
use super::run::{Contender, Plan, rounds};
use super::scenario::Scenario;
use super::summary::Medians;
use super::target::{Kind, Target};
use super::testbed::Testbed;
use crate::postgres::Database;

const CHURN: &str = include_str!("churn.sql");
/// Connections of `pgbench`.
const CONNECTIONS: u32 = 8;
const LOADS: [Scenario; 2] = [Scenario::Read, Scenario::Place];
const CLIENTS: usize = 16;
/// Each is timed alone, when the second has passed after which a scan is due again.
const STATEMENTS: [(&str, &str); 3] = [
    (
        "flush and scan",
        "SELECT flush_counters(gen_random_uuid(), '[{\"name\": \"requests\", \"label\": \"\", \"value\": 1}]')",
    ),
    ("claim", "SELECT claim_due_orders(4, '{\"reserving\": 10000}')"),
    ("metrics", "SELECT read_metrics()"),
];

/// How much happens while the snapshot is open.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// How many orders live and end
    #[arg(long, default_value_t = 200_000)]
    pub orders: u64,
}

/// What was found. The first of a pair is without the snapshot, the second with it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    /// Orders that lived and ended before.
    pub orders: u64,
    /// The loads.
    pub loads: Vec<(Scenario, [Medians; 2])>,
    /// Statements alone, with their medians in milliseconds.
    pub statements: Vec<(&'static str, [f64; 2])>,
}

impl Snapshot {
    /// As text.
    pub fn shown(&self) -> String {
        let mut text = format!(
            "{} orders after a snapshot was taken, {CLIENTS} clients\n{:<16}{:>12}{:>12}{:>8}",
            self.orders, "", "without", "with", "ratio"
        );
        for (scenario, [without, with]) in &self.loads {
            line(&mut text, &format!("{}, a second", scenario.name()), without.throughput, with.throughput);
            line(&mut text, &format!("{}, p99 ms", scenario.name()), without.p99_ms, with.p99_ms);
        }
        for (name, [without, with]) in &self.statements {
            line(&mut text, &format!("{name}, ms"), *without, *with);
        }
        text
    }
}

fn line(text: &mut String, name: &str, without: f64, with: f64) {
    let _ = write!(text, "\n{name:<16}{without:>12.2}{with:>12.2}{:>8.2}", with / without);
}

/// Lets the orders live in both databases, and measures.
///
/// # Errors
/// When something does not start, or an answer is wrong.
pub async fn measure(testbed: &Testbed, options: &Options, plan: Plan, quick: bool) -> Result<Snapshot> {
    ensure!(options.orders > 0, "--orders: at least one");
    let databases = [testbed.migrated_database().await?, testbed.migrated_database().await?];
    let snapshot = databases[1].connect().await?;
    snapshot.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders").await?;
    for database in &databases {
        eprintln!("{} orders live and end in {} …", options.orders, database.name);
        let transactions = options.orders.div_ceil(u64::from(CONNECTIONS));
        pgbench::run_script(&testbed.server, database, CHURN, CONNECTIONS, transactions).await?;
        testbed.vacuum(database).await?;
        fold(database).await?;
    }
    let mut targets = Vec::new();
    for database in &databases {
        targets.push(Target::start(Kind::Service, testbed, database.clone(), &[]).await?);
    }
    let mut loads = Vec::new();
    for scenario in LOADS {
        let mut contenders = Vec::new();
        for (target, name) in targets.iter().zip(["without", "with"]) {
            let orders = target.place_orders(scenario.needs_orders(), 4, None).await?;
            contenders.push(Contender::new(name, target, target.workload(scenario, &Arc::clone(&orders))));
        }
        let found = rounds(testbed, CLIENTS, contenders, plan).await?;
        let medians: Vec<Medians> = found.iter().map(|(rounds, _)| Medians::of(rounds)).collect();
        loads.push((scenario, medians.try_into().ok().context("two databases")?));
    }
    for target in targets {
        target.stop();
    }
    let mut statements = Vec::new();
    for (name, statement) in STATEMENTS {
        let mut medians = [0.0; 2];
        for (database, median) in databases.iter().zip(&mut medians) {
            fold(database).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            *median = time(database, statement, if quick { 10 } else { 50 }).await?.median_ms;
        }
        statements.push((name, medians));
    }
    snapshot.batch_execute("COMMIT").await?;
    Ok(Snapshot { orders: options.orders, loads, statements })
}

/// Scans until everything that was counted is folded, as instances do all the time, once a second.
async fn fold(database: &Database) -> Result<()> {
    let client = database.connect().await?;
    for option in SESSION_OPTIONS.split("-c ").filter(|option| !option.is_empty()) {
        let (name, value) = option.trim().split_once('=').context("a start-up option")?;
        client.execute("SELECT set_config($1, $2, false)", &[&name, &value]).await?;
    }
    let scan = "UPDATE queue_scans SET scanned_at = scanned_at - interval '2 seconds';
                SELECT scan_queues(timezone('utc', clock_timestamp()))";
    let has_more = "SELECT EXISTS (SELECT FROM order_changes)";
    client.batch_execute(scan).await?;
    while client.query_one(has_more, &[]).await?.get(0) {
        client.batch_execute(scan).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;
    use crate::postgres::{Options as ServerOptions, Server, remove};

    #[tokio::test]
    async fn the_script_leaves_nothing_in_a_queue_and_the_counts_are_right() -> Result<()> {
        let server = Server::start(ServerOptions::for_tests()?).await?;
        let database = server.create_database("churn", None).await?;
        migrations::apply(&database).await?;
        pgbench::run_script(&server, &database, CHURN, 2, 10).await?;
        let client = database.connect().await?;
        let sql = "SELECT count(*) FILTER (WHERE phase = 'done' AND status = 'FAILED' AND claimed = 0),
                          (SELECT count(*) FROM outbox), (read_metrics()::jsonb->'orders'->>'failed')::int8,
                          (read_metrics()::jsonb->'orders'->>'outbox')::int8
                   FROM orders";
        let row = client.query_one(sql, &[]).await?;
        let counts: [i64; 4] = std::array::from_fn(|column| row.get(column));
        assert_eq!(counts, [20, 0, 20, 0]);
        let data_dir = server.data_dir().to_path_buf();
        server.stop().await;
        remove(&data_dir)
    }
}
