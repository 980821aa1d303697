//! PostgreSQL's counters: commits, WAL, `pg_stat_statements`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use crate::postgres::Database;

/// A snapshot of the counters: of one database, or of the server where there is no counter by database.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Transactions that were committed in the database, those that only read included.
    pub commits: f64,
    /// WAL bytes of the server.
    pub wal_bytes: f64,
    /// WAL flushes of the server.
    pub wal_syncs: f64,
}

impl Counters {
    /// Reads them. A backend flushes its statistics at intervals and when it exits: see [`wait_for_disconnects`].
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn read(admin: &Client, database: &Database) -> Result<Counters> {
        let version: i32 =
            admin.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.get(0);
        let syncs = if version >= 180_000 {
            "SELECT coalesce(sum(fsyncs), 0)::float8 FROM pg_stat_io WHERE object = 'wal'"
        } else {
            "SELECT wal_sync::float8 FROM pg_stat_wal"
        };
        let sql = format!(
            "SELECT xact_commit::float8, (SELECT wal_bytes::float8 FROM pg_stat_wal), ({syncs})
             FROM pg_stat_database WHERE datname = $1"
        );
        let row = admin.query_one(&sql, &[&database.name]).await.context("reading PostgreSQL's counters")?;
        Ok(Counters { commits: row.get(0), wal_bytes: row.get(1), wal_syncs: row.get(2) })
    }
}

/// A statement with its frequency and duration.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Statement {
    /// Its text, on one line.
    pub text: String,
    /// Calls per order.
    pub calls_per_order: f64,
    /// Mean planning and execution time, in milliseconds.
    pub mean_ms: f64,
}

/// The statements of a database by total time, descending. Needs [`track_statements`] before the clients connect.
///
/// # Errors
/// When the server does not answer.
pub async fn statements(admin: &Client, database: &Database, orders: u64) -> Result<Vec<Statement>> {
    let sql = "SELECT s.query, sum(s.calls)::float8, sum(s.total_exec_time + s.total_plan_time)::float8
               FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
               WHERE d.datname = $1 AND s.toplevel GROUP BY s.query ORDER BY 3 DESC";
    let rows = admin.query(sql, &[&database.name]).await.context("reading pg_stat_statements")?;
    let statement = |row: &tokio_postgres::Row| {
        let (text, calls, total): (String, f64, f64) = (row.get(0), row.get(1), row.get(2));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Statement { text, calls_per_order: calls / orders.max(1) as f64, mean_ms: total / calls.max(1.0) }
    };
    Ok(rows.iter().map(statement).collect())
}

/// Enables `pg_stat_statements` for new connections to the database.
///
/// # Errors
/// When the server does not take it.
pub async fn track_statements(admin: &Client, database: &Database) -> Result<()> {
    for setting in ["pg_stat_statements.track = 'top'", "pg_stat_statements.track_planning = on"] {
        admin.batch_execute(&format!("ALTER DATABASE {} SET {setting}", database.name)).await?;
    }
    Ok(())
}

/// Pauses or resumes the background flushes of the WAL writer. While it is paused, every WAL flush is one of a synchronous
/// commit.
///
/// # Errors
/// When the server does not take it.
pub async fn pause_wal_writer(admin: &Client, pause: bool) -> Result<()> {
    let change = if pause { "SET wal_writer_delay = '10s'" } else { "RESET wal_writer_delay" };
    admin.batch_execute(&format!("ALTER SYSTEM {change}")).await?;
    admin.batch_execute("SELECT pg_reload_conf()").await?;
    // The WAL writer reloads its configuration after its current sleep.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(())
}

/// Waits until no client is connected to the database: then all backends have flushed their statistics.
///
/// # Errors
/// When a connection stays open.
pub async fn wait_for_disconnects(admin: &Client, database: &Database) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(15);
    let begun = Instant::now();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
    while admin.query_one(sql, &[&database.name]).await?.get::<_, i64>(0) > 0 {
        if begun.elapsed() > LIMIT {
            bail!("somebody is still connected to {} after {LIMIT:?}", database.name);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
