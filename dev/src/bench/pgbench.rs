//! Runs `pgbench` with the bare row changes of a placed order, as a baseline for PostgreSQL's cost.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::Client;

use super::counters;
use super::process_usage::Processes;
use crate::postgres::{Database, Server};

/// The row changes of one order, as a script of `pgbench`. Where they change in `migrations/`, they change here.
const PLACE: &str = include_str!("pgbench_place.sql");

/// The start-up options of the service's sessions.
pub const SESSION_OPTIONS: &str = include_str!("../../../src/config/session_options.txt");

/// How `pgbench` runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections.
    pub clients: u32,
    /// How long.
    pub seconds: u32,
    /// Whether the statements of a transaction are sent together, as one round trip.
    pub pipelined: bool,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct PgbenchResult {
    /// Whether the statements of a transaction were sent together.
    pub pipelined: bool,
    /// Orders placed.
    pub orders: u64,
    /// Orders a second.
    pub tps: f64,
    /// Milliseconds of CPU that all processes of the server used for one order; `pgbench` itself is not in it.
    pub cpu_ms: f64,
    /// Bytes of the log for one order.
    pub wal_bytes: f64,
}

/// Places orders by bare statements in a fresh, migrated database of `server`, which nobody else should use meanwhile.
///
/// # Errors
/// When `pgbench` fails, or did not do what placing an order does.
pub async fn place(server: &Server, database: &Database, options: Options) -> Result<PgbenchResult> {
    let client = server.database("postgres").connect().await?;
    client.batch_execute("CHECKPOINT").await?;
    let before = ResourceUsage::now(server, database, &client).await?;
    let output = run(server, database, options).await?;
    let after = ResourceUsage::now(server, database, &client).await?;

    let orders: u64 = number_after(&output, "actually processed: ")?;
    ensure!(orders > 0, "pgbench placed no order:\n{output}");
    check(database, orders).await?;
    Ok(PgbenchResult {
        pipelined: options.pipelined,
        orders,
        tps: number_after(&output, "tps = ")?,
        cpu_ms: (after.cpu_seconds - before.cpu_seconds) * 1_000.0 / orders as f64,
        wal_bytes: (after.wal_bytes - before.wal_bytes) / orders as f64,
    })
}

/// Resource usage of the server so far.
struct ResourceUsage {
    cpu_seconds: f64,
    wal_bytes: f64,
}

impl ResourceUsage {
    /// Reads it after all connections are closed, which happens a moment after their clients exit.
    async fn now(server: &Server, database: &Database, client: &Client) -> Result<ResourceUsage> {
        counters::wait_for_disconnects(client, database).await?;
        let wal = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
        let wal_bytes = client.query_one(wal, &[]).await?.get(0);
        let pid = server.pid().context("the server does not run")?;
        Ok(ResourceUsage { cpu_seconds: Processes::tree_seconds_now(pid)?, wal_bytes })
    }
}

async fn run(server: &Server, database: &Database, options: Options) -> Result<String> {
    let script = if options.pipelined { pipelined(PLACE) } else { PLACE.to_owned() };
    let seconds = ["-T".to_owned(), options.seconds.to_string()];
    run_pgbench(server.program("pgbench"), database, script, options.clients, seconds).await
}

/// Runs a script so many times for each client, in sessions like the service's.
///
/// # Errors
/// When `pgbench` fails.
pub async fn run_script(
    server: &Server,
    database: &Database,
    script: &str,
    clients: u32,
    transactions: u64,
) -> Result<()> {
    let mut command = server.program("pgbench");
    command.env("PGOPTIONS", SESSION_OPTIONS);
    let limit = ["-t".to_owned(), transactions.to_string()];
    run_pgbench(command, database, script.to_owned(), clients, limit).await.map(drop)
}

async fn run_pgbench(
    mut command: Command,
    database: &Database,
    script: String,
    clients: u32,
    limit: [String; 2],
) -> Result<String> {
    command.args(["-n", "-M", "prepared", "-D", "k=0", "-j", "1", "-f", "-"]);
    command.arg("-c").arg(clients.to_string()).args(limit);
    command.args(["-h", &database.host, "-p", &database.port.to_string(), "-U", &database.user]);
    command.arg(&database.name).env("PGPASSWORD", &database.password);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || -> Result<_> {
        let mut child = command.spawn().context("starting pgbench")?;
        child.stdin.take().context("no standard input")?.write_all(script.as_bytes())?;
        Ok(child.wait_with_output()?)
    })
    .await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "pgbench failed ({}): {}\n{text}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(text)
}

fn pipelined(script: &str) -> String {
    script.replace("BEGIN;", "\\startpipeline\nBEGIN;").replace("COMMIT;", "COMMIT;\n\\endpipeline")
}

fn number_after<T: std::str::FromStr>(text: &str, words: &str) -> Result<T> {
    let number = text.split_once(words).and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("pgbench does not say \"{words}…\":\n{text}"))
}

/// The script must leave what the service's own statements leave.
async fn check(database: &Database, orders: u64) -> Result<()> {
    let client = database.connect().await?;
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM orders WHERE phase = 'awaiting_payment' AND version = 3 AND claimed = 3),
                    (SELECT count(*) / 3 FROM order_items), (SELECT count(*) / 3 FROM seat_claims),
                    (SELECT count(*) / 3 FROM order_events), (SELECT sum(awaiting_payment) FROM order_change_counts)",
            &[],
        )
        .await?;
    for column in 0..row.len() {
        let count: i64 = row.get(column);
        // The last ones may have been cut off in the middle.
        ensure!(count as u64 >= orders, "{orders} orders, but {count} in column {column} of {row:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;
    use crate::postgres::{Options as ServerOptions, remove};

    #[tokio::test]
    async fn the_script_makes_the_row_changes_of_a_place() -> Result<()> {
        let server = Server::start(ServerOptions::for_tests()?).await?;
        for pipelined in [false, true] {
            let database = server.create_database(&format!("bare_{pipelined}"), None).await?;
            migrations::apply(&database).await?;
            let bare = place(&server, &database, Options { clients: 2, seconds: 1, pipelined }).await?;
            assert!(
                bare.orders > 0 && bare.tps > 0.0 && bare.cpu_ms > 0.0 && bare.wal_bytes > 0.0,
                "{bare:?}"
            );
        }
        let data_dir = server.data_dir().to_path_buf();
        server.stop().await;
        remove(&data_dir)
    }
}
