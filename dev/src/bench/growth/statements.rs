//! What single statements take, asked of PostgreSQL directly, when there are many orders and much is due.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::lists::{self, List};
use crate::bench::fill;
use crate::postgres::Database;

/// As many orders as the sweep claims at once: `src/commands/sweep.rs`.
const BATCH: usize = 16;
/// Milliseconds of the leases under which it claims: `src/domain/retry.rs`.
const LEASES: &str = r#"{"reserving": 10000, "charging": 12000, "awaiting_payment": 12000, "allocating": 13000,
    "refunding": 28000, "releasing": 13000, "done": 12000, "in_flight": 10000}"#;
/// What a scrape of the metrics asks.
const METRICS: &str = "SELECT read_metrics()";
/// A median above this is slow, and its plan is kept.
const SLOW_MS: f64 = 10.0;

fn claim(leases: &str) -> String {
    format!("SELECT state FROM claim_due_orders({BATCH}, '{leases}') AS state")
}

/// How a statement did when it was repeated.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Timing {
    /// How often it ran.
    pub runs: usize,
    /// Half of the runs took at most so many milliseconds.
    pub median_ms: f64,
    /// The slowest run.
    pub max_ms: f64,
    /// Rows of each run.
    pub rows: usize,
    /// `EXPLAIN (ANALYZE, BUFFERS)` of all that it did inside, when it is slow.
    pub plan: Option<String>,
}

/// The statements while so many orders are due.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Backlog {
    /// Orders that are due.
    pub due: u64,
    /// A claim of sixteen of them.
    pub claim: Timing,
    /// A scrape's summary.
    pub metrics: Timing,
}

/// The figures of one database.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Statements {
    /// All orders.
    pub orders: u64,
    /// Bytes of the database.
    pub bytes: u64,
    /// Pages of lists.
    pub lists: Vec<List>,
    /// By rising number of due orders.
    pub backlogs: Vec<Backlog>,
    /// What became of the last backlog.
    pub drained: Drained,
}

/// All that was due, claimed: what a claim leaves behind must not slow the next one down.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Drained {
    /// How many claims it took.
    pub claims: usize,
    /// The first hundred of them.
    pub first: Timing,
    /// The last hundred.
    pub last: Timing,
}

/// Makes more and more of a filled database's waiting orders due (`backlogs`: how many, rising), and times the statements at
/// each number. In the end all that is due is claimed.
pub async fn measure(database: &Database, backlogs: &[u64], runs: usize) -> Result<Statements> {
    let client = database.connect().await?;
    let size =
        client.query_one("SELECT count(*), pg_database_size(current_database()) FROM orders", &[]).await?;
    let lists = lists::measure(database, runs).await?;
    let mut measured = Vec::new();
    for &wanted in backlogs {
        let count = "SELECT count(*) FROM orders WHERE due_at <= timezone('utc', now())";
        let due = client.query_one(count, &[]).await?.get::<_, i64>(0) as u64;
        fill::make_due(database, wanted.saturating_sub(due)).await?;
        let claim = time(database, &claim(LEASES), runs).await?;
        let metrics = time(database, METRICS, runs).await?;
        measured.push(Backlog { due: wanted, claim, metrics });
    }
    Ok(Statements {
        orders: size.get::<_, i64>(0) as u64,
        bytes: size.get::<_, i64>(1) as u64,
        lists,
        backlogs: measured,
        drained: drain(database).await?,
    })
}

/// Runs a statement again and again, each time in a transaction that is rolled back.
pub async fn time(database: &Database, statement: &str, runs: usize) -> Result<Timing> {
    let mut client = database.connect().await?;
    let mut took = Vec::with_capacity(runs);
    let mut rows = 0;
    for _ in 0..runs.max(1) {
        let transaction = client.transaction().await?;
        let begun = Instant::now();
        // As the component has them: prepared anew each time.
        rows = transaction.query(statement, &[]).await?.len();
        took.push(begun.elapsed());
        transaction.rollback().await?;
    }
    let mut timing = Timing::of(&took, rows);
    if timing.median_ms > SLOW_MS {
        timing.plan = Some(explain(database, statement).await?);
    }
    Ok(timing)
}

/// Claims all that is due.
pub async fn drain(database: &Database) -> Result<Drained> {
    let client = database.connect().await?;
    // A commit's wait for the disk is not what is measured.
    client.batch_execute("SET synchronous_commit = off").await?;
    // A hundred times as long: nothing comes back meanwhile.
    let claim = claim(&LEASES.replace("000", "00000"));
    let mut took = Vec::new();
    let mut rows = BATCH;
    while rows == BATCH {
        let begun = Instant::now();
        rows = client.query(&claim, &[]).await?.len();
        took.push(begun.elapsed());
    }
    let few = took.len().min(100);
    let (first, last) = (&took[..few], &took[took.len() - few..]);
    Ok(Drained { claims: took.len(), first: Timing::of(first, BATCH), last: Timing::of(last, BATCH) })
}

impl Timing {
    /// What these runs took.
    pub fn of(took: &[Duration], rows: usize) -> Timing {
        let mut sorted: Vec<f64> = took.iter().map(|duration| duration.as_secs_f64() * 1000.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (median_ms, max_ms) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
        Timing { runs: sorted.len(), median_ms, max_ms, rows, plan: None }
    }
}

/// The plans of a statement and of those inside the functions that it calls, with times and buffers. `auto_explain` tells them
/// as notices.
pub async fn explain(database: &Database, statement: &str) -> Result<String> {
    let mut config = tokio_postgres::Config::new();
    config.host(&database.host).port(database.port).user(&database.user);
    config.dbname(&database.name).password(&database.password);
    let (client, mut connection) = config.connect(NoTls).await.context("connecting to explain")?;
    let listening = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notice(notice) = message {
                told.push(notice.message().to_owned());
            }
        }
        told.join("\n")
    });
    let result = explained(&client, statement).await;
    drop(client);
    let plan = listening.await?;
    result.map(|()| plan)
}

async fn explained(client: &Client, statement: &str) -> Result<()> {
    client
        .batch_execute(
            "LOAD 'auto_explain'; SET client_min_messages = log; SET auto_explain.log_min_duration = 0;
             SET auto_explain.log_analyze = on; SET auto_explain.log_buffers = on;
             SET auto_explain.log_nested_statements = on",
        )
        .await
        .context("auto_explain is not there: it comes with PostgreSQL's contrib modules")?;
    client.batch_execute(&format!("BEGIN; {statement}; ROLLBACK")).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;
    use crate::postgres::{Options, Server, remove};

    #[tokio::test]
    async fn claims_are_timed_and_taken_back_and_their_plans_can_be_read() -> Result<()> {
        let server = Server::start(Options::for_tests()?).await?;
        let database = server.create_database("grown", None).await?;
        migrations::apply(&database).await?;
        fill::fill(&database, fill::Options { orders: 2_000, unfinished: 220, progress: false }).await?;
        let growth = measure(&database, &[20, 200], 3).await?;
        assert_eq!(growth.orders, 2_000);
        let orders = |name: &str| growth.lists.iter().find(|list| list.name == name).map(|list| list.orders);
        for page in ["first page", "page in the middle", "changes, from 1970", "changes, middle"] {
            assert_eq!(orders(page), Some(50), "{page}");
        }
        assert!(
            orders("of a user") >= Some(1)
                && orders("of a seat") >= Some(1)
                && orders("of an event") > Some(1)
        );
        assert_eq!((orders("of no status"), orders("a user's changes")), (Some(0), orders("of a user")));
        for (backlog, due) in growth.backlogs.iter().zip([20, 200]) {
            assert_eq!((backlog.due, backlog.claim.rows, backlog.metrics.rows), (due, BATCH, 1));
        }
        assert_eq!(growth.drained.claims, 13);
        // A claim that finds nothing ends early.
        fill::make_due(&database, 20).await?;
        let plan = explain(&database, &claim(LEASES)).await?;
        assert!(plan.contains("Update on orders") && plan.contains("orders_due"), "{plan}");
        let data_dir = server.data_dir().to_path_buf();
        server.stop().await;
        remove(&data_dir)
    }
}
