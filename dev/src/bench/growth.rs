//! What single statements take, asked of PostgreSQL directly, when there are many orders and much is due.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::fill;
use crate::postgres::Database;

/// The sweep's claim, as `src/commands/sweep.rs` makes it. Milliseconds of leases as in `src/domain/retry.rs`.
const CLAIM: &str = r#"SELECT state FROM order_claim_due(16, '{"reserving": 10000, "charging": 12000,
    "awaiting_payment": 12000, "allocating": 13000, "refunding": 28000, "releasing": 13000, "done": 12000,
    "in_flight": 10000}') AS state"#;
/// What a scrape of the metrics asks.
const METRICS: &str = "SELECT metrics_summary()";
/// A median above this is slow, and its plan is kept.
const SLOW: Duration = Duration::from_millis(10);

/// How a statement did when it was repeated.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Backlog {
    /// Orders that are due.
    pub due: u64,
    /// A claim of sixteen of them.
    pub claim: Timing,
    /// A scrape's summary.
    pub metrics: Timing,
}

/// The figures of one database.
#[derive(Clone, Debug)]
pub struct Growth {
    /// All orders.
    pub orders: u64,
    /// Bytes of the database.
    pub bytes: u64,
    /// By rising number of due orders.
    pub backlogs: Vec<Backlog>,
}

/// Makes more and more of a filled database's waiting orders due (`backlogs`: how many, rising), and times the statements at
/// each number.
pub async fn measure(database: &Database, backlogs: &[u64], runs: usize) -> Result<Growth> {
    let client = database.connect().await?;
    let size =
        client.query_one("SELECT count(*), pg_database_size(current_database()) FROM orders", &[]).await?;
    let mut growth = Growth {
        orders: size.get::<_, i64>(0) as u64,
        bytes: size.get::<_, i64>(1) as u64,
        backlogs: Vec::new(),
    };
    for &wanted in backlogs {
        let count = "SELECT count(*) FROM orders WHERE due_at <= timezone('utc', now())";
        let due = client.query_one(count, &[]).await?.get::<_, i64>(0) as u64;
        fill::make_due(database, wanted.saturating_sub(due)).await?;
        let claim = time(database, CLAIM, runs).await?;
        let metrics = time(database, METRICS, runs).await?;
        growth.backlogs.push(Backlog { due: wanted, claim, metrics });
    }
    Ok(growth)
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
    took.sort_unstable();
    let (median, max) = (took[took.len() / 2], took[took.len() - 1]);
    let plan = if median > SLOW { Some(explain(database, statement).await?) } else { None };
    Ok(Timing { runs: took.len(), median_ms: ms(median), max_ms: ms(max), rows, plan })
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

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
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
        fill::fill(&database, fill::Options { orders: 2_000, unfinished: 200, progress: false }).await?;
        let growth = measure(&database, &[20, 200], 3).await?;
        assert_eq!(growth.orders, 2_000);
        for (backlog, due) in growth.backlogs.iter().zip([20, 200]) {
            assert_eq!((backlog.due, backlog.claim.rows, backlog.metrics.rows), (due, 16, 1));
        }
        let plan = explain(&database, CLAIM).await?;
        assert!(plan.contains("Update on orders") && plan.contains("orders_due"), "{plan}");
        let data_dir = server.data_dir().to_path_buf();
        server.stop().await;
        remove(&data_dir)
    }
}
