//! Bulk load of synthetic data: fills a database with the orders of a year or more.
//!
//! The statements are in `fill/`: one makes the plan of the orders' lives, one the orders, and every other table is made of
//! the orders. Constraints are checked as usual, but for foreign keys, whose triggers would cost more than the rows. Indexes
//! are switched off first and built anew at the end, so that what they are stands in the migrations only.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::future::try_join;
use tokio_postgres::Client;

use crate::postgres::Database;

/// The tables that get as many rows as there are orders, or nearly; the first are the orders.
const TABLES: [(&str, &str); 6] = [
    ("orders", include_str!("fill/orders.sql")),
    ("order_events", include_str!("fill/order_events.sql")),
    ("tickets", include_str!("fill/tickets.sql")),
    ("order_items", include_str!("fill/order_items.sql")),
    ("seat_claims", include_str!("fill/seat_claims.sql")),
    ("refunds", include_str!("fill/refunds.sql")),
];
/// The summaries.
const COUNTS: [(&str, &str); 2] = [
    ("order_counts", include_str!("fill/order_counts.sql")),
    ("failure_counts", include_str!("fill/failure_counts.sql")),
];

/// What every connection of the fill sets. `replica`: no triggers, so no foreign keys.
const SESSION: &str = "SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off;
    SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'; SET max_parallel_workers_per_gather = 0";

/// Settings of the server while it is filled: few checkpoints, no copies of whole pages in the log, and nobody else at work.
const SERVER: [(&str, &str); 4] = [
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "1h"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
];

/// How many seats [`event`] leaves free, or one more.
pub const FREE_SEATS: u32 = 8;

/// How many orders.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// All of them.
    pub orders: u64,
    /// Those of them that wait for their payment; due in a month, or when [`make_due`] says so.
    pub unfinished: u64,
    /// Whether each step is told on standard error.
    pub progress: bool,
}

/// One step of the fill.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
}

/// Fills a migrated database without orders. It takes two cores, and the server should have nothing else to do.
pub async fn fill(database: &Database, options: Options) -> Result<Vec<Step>> {
    let client = database.connect().await?;
    let placed: i64 = client.query_one("SELECT count(*) FROM orders", &[]).await?.get(0);
    ensure!(placed == 0, "database {} has orders already", database.name);
    for (name, value) in SERVER {
        client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await?;
    }
    client.batch_execute("SELECT pg_reload_conf()").await?;
    let result = BulkLoad::new(options).run(database).await;
    for (name, _) in SERVER {
        client.batch_execute(&format!("ALTER SYSTEM RESET {name}")).await?;
    }
    client.batch_execute("SELECT pg_reload_conf()").await?;
    let steps = result?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(steps)
}

/// Statements that belong together, and what they are called.
type Job = (String, Vec<String>);

struct BulkLoad {
    options: Options,
    steps: Mutex<Vec<Step>>,
}

impl BulkLoad {
    fn new(options: Options) -> BulkLoad {
        BulkLoad { options, steps: Mutex::default() }
    }

    async fn run(self, database: &Database) -> Result<Vec<Step>> {
        let connections = try_join(session(database), session(database)).await?;
        let plan = include_str!("fill/plan_year.sql")
            .replace("{orders}", &self.options.orders.to_string())
            .replace("{unfinished}", &self.options.unfinished.to_string());
        let prepare = vec![include_str!("fill/helpers.sql").into(), plan, disable_indexes()];
        let vacuum = |table: &str| format!("VACUUM (FREEZE, ANALYZE) {table}");
        let (orders, others) = TABLES.split_first().context("no tables")?;

        self.job(&connections.0, ("preparations".into(), prepare)).await?;
        self.job(&connections.0, (orders.0.into(), vec![orders.1.into()])).await?;
        let mut jobs: VecDeque<Job> = others
            .iter()
            .map(|(table, rows)| ((*table).into(), vec![(*rows).into(), vacuum(table)]))
            .collect();
        jobs.push_back(("orders: vacuum".into(), vec![vacuum(orders.0)]));
        jobs.push_back(("counts".into(), COUNTS.iter().map(|(_, rows)| (*rows).into()).collect()));
        self.jobs(&connections, jobs).await?;
        // Whoever reads a table waits while its indexes are built, so that comes last.
        let build =
            |(table, _): &(&str, &str)| (format!("{table}: indexes"), vec![format!("REINDEX TABLE {table}")]);
        self.jobs(&connections, TABLES.iter().map(build).collect()).await?;
        let clean =
            vec!["DROP SCHEMA bench CASCADE".into(), "VACUUM (ANALYZE) order_counts, failure_counts".into()];
        self.job(&connections.0, ("clean-up".into(), clean)).await?;
        self.steps.into_inner().context("a step panicked")
    }

    /// Does the jobs on both connections at once: two cores are busy.
    async fn jobs(&self, connections: &(Client, Client), jobs: VecDeque<Job>) -> Result<()> {
        let jobs = Mutex::new(jobs);
        let next = || jobs.lock().ok().and_then(|mut jobs| jobs.pop_front());
        let work = async |client: &Client| {
            while let Some(job) = next() {
                self.job(client, job).await?;
            }
            anyhow::Ok(())
        };
        try_join(work(&connections.0), work(&connections.1)).await?;
        Ok(())
    }

    async fn job(&self, client: &Client, (name, statements): Job) -> Result<()> {
        let begun = Instant::now();
        for statement in statements {
            client.batch_execute(&statement).await.with_context(|| format!("filling: {name}"))?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        if self.options.progress {
            eprintln!("{name}: {seconds:.1} s");
        }
        self.steps.lock().expect("no step panics").push(Step { name, seconds });
        Ok(())
    }
}

async fn session(database: &Database) -> Result<Client> {
    let client = database.connect().await?;
    client.batch_execute(SESSION).await?;
    Ok(client)
}

/// An index that is not ready gets no entries, and REINDEX makes it ready and valid again. Dropping them and making them
/// again from their definitions would do the same, but primary keys would take the foreign keys with them.
fn disable_indexes() -> String {
    let tables = TABLES.map(|(table, _)| format!("'{table}'::regclass")).join(", ");
    format!("UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid IN ({tables})")
}

/// Sells an event of so many seats, all but [`FREE_SEATS`] of them, to orders of two seats. The event must have no orders.
pub async fn event(database: &Database, event_id: i32, seats: u32) -> Result<()> {
    let mut client = database.connect().await?;
    let plan = include_str!("fill/plan_event.sql")
        .replace("{event}", &event_id.to_string())
        .replace("{seats}", &seats.to_string())
        .replace("{free}", &FREE_SEATS.to_string());
    let transaction = client.transaction().await?;
    transaction.batch_execute(include_str!("fill/helpers.sql")).await?;
    transaction.batch_execute(&plan).await?;
    for (table, rows) in TABLES.iter().chain(&COUNTS) {
        transaction
            .batch_execute(rows)
            .await
            .with_context(|| format!("selling event {event_id}: {table}"))?;
    }
    transaction.batch_execute("DROP SCHEMA bench CASCADE").await?;
    transaction.commit().await?;
    analyze(&client).await
}

/// Makes `n` of the orders that wait for their payment due: over the last ten minutes, one after the other.
pub async fn make_due(database: &Database, n: u64) -> Result<()> {
    let client = database.connect().await?;
    let made = client.execute(include_str!("fill/make_due.sql"), &[&(n as i64)]).await?;
    ensure!(made == n, "only {made} orders wait for their payment, not {n}");
    analyze(&client).await
}

async fn analyze(client: &Client) -> Result<()> {
    let tables = TABLES.map(|(table, _)| table).join(", ");
    Ok(client.batch_execute(&format!("ANALYZE {tables}")).await?)
}

#[cfg(test)]
mod tests;
