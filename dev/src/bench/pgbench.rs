//! The yardstick: what PostgreSQL needs at least for the row changes of a placed order.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::cpu;
use crate::migrations;
use crate::postgres::{Database, Server};

/// The row changes of one order, as a script of `pgbench`. Where they change in `migrations/`, they change here.
const PLACE: &str = include_str!("pgbench_place.sql");
const DATABASE: &str = "bench_yardstick";

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

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Yardstick {
    /// Orders placed.
    pub orders: u64,
    /// Orders a second.
    pub tps: f64,
    /// Milliseconds of CPU that all processes of the server used for one order; `pgbench` itself is not in it.
    pub cpu_ms: f64,
}

/// Places orders by bare statements in a fresh, migrated database of `server`, which nobody else should use meanwhile.
pub async fn place(server: &Server, options: Options) -> Result<Yardstick> {
    server.drop_database(DATABASE).await?;
    let database = server.create_database(DATABASE, None).await?;
    migrations::apply(&database).await?;
    let client = database.connect().await?;
    client.batch_execute("CHECKPOINT").await?;
    drop(client);

    let before = quiet_cpu(server).await?;
    let output = run(server, &database, options).await?;
    let used = quiet_cpu(server).await? - before;

    let orders: u64 = number_after(&output, "actually processed: ")?;
    ensure!(orders > 0, "pgbench placed no order:\n{output}");
    check(&database, orders).await?;
    server.drop_database(DATABASE).await?;
    let cpu_ms = used.as_secs_f64() * 1000.0 / orders as f64;
    Ok(Yardstick { orders, tps: number_after(&output, "tps = ")?, cpu_ms })
}

/// The server's CPU time when nobody is connected any more: a connection may end a moment after its client.
async fn quiet_cpu(server: &Server) -> Result<Duration> {
    let pid = server.pid().context("the server does not run")?;
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'";
    let client = server.database("postgres").connect().await?;
    while client.query_one(others, &[&DATABASE]).await?.get::<_, i64>(0) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cpu::of_family(pid)
}

async fn run(server: &Server, database: &Database, options: Options) -> Result<String> {
    let mut command = server.program("pgbench");
    command.args(["-n", "-M", "prepared", "-D", "k=0", "-j", "1", "-f", "-"]);
    command.arg("-c").arg(options.clients.to_string()).arg("-T").arg(options.seconds.to_string());
    command.args(["-h", &database.host, "-p", &database.port.to_string(), "-U", &database.user]);
    command.arg(&database.name).env("PGPASSWORD", &database.password);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let script = if options.pipelined { pipelined(PLACE) } else { PLACE.to_owned() };
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
                    (SELECT count(*) / 3 FROM order_events), (SELECT sum(awaiting_payment)::bigint FROM order_counts)",
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
    use crate::postgres::{Options as ServerOptions, remove};

    #[tokio::test]
    async fn the_script_makes_the_row_changes_of_a_place() -> Result<()> {
        let server = Server::start(ServerOptions::for_tests()?).await?;
        for pipelined in [false, true] {
            let yardstick = place(&server, Options { clients: 2, seconds: 1, pipelined }).await?;
            assert!(yardstick.orders > 0 && yardstick.tps > 0.0 && yardstick.cpu_ms > 0.0, "{yardstick:?}");
        }
        let data_dir = server.data_dir().to_path_buf();
        server.stop().await;
        remove(&data_dir)
    }
}
