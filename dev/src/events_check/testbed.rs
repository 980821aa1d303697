//! What the runs share: a service with orders, and the waits, each with a bound.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::arrivals::Expected;
use super::feed::Operator;
use super::workload::{self, Workload};
use crate::api_check::service::{Authentication, Service};
use crate::manifests::report::Report;
use crate::peers::Peers;

/// How long it may take until all orders are settled and all events were taken. A sink that took nothing is left alone for a minute at most;
/// an event that it did not take twice, while it took others, waits for five.
const SETTLE_LIMIT: Duration = Duration::from_secs(420);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// The most problems of a kind that are printed.
const SHOWN: usize = 10;

/// What is not settled: orders, deliveries that are due, and those that are dead letters.
const UNSETTLED: &str = "SELECT
    (SELECT count(*) FROM orders WHERE phase <> 'done'),
    (SELECT count(*) FROM event_deliveries WHERE due_at IS NOT NULL),
    (SELECT count(*) FROM event_deliveries WHERE dead_at IS NOT NULL)";

/// Starts the service with variables of the sink; they may need its peers.
///
/// # Errors
/// When something does not start.
pub async fn start(
    logs: &Path,
    variables: impl AsyncFnOnce(&Peers) -> Result<Vec<(&'static str, String)>>,
) -> Result<Service> {
    if logs.exists() {
        std::fs::remove_dir_all(logs)?;
    }
    Service::start_with(Authentication::Off, logs, variables).await
}

/// Waits until nothing is left to do.
///
/// # Errors
/// When it takes too long: the error tells what is left.
pub async fn settle(service: &Service) -> Result<()> {
    let client = service.database().connect().await?;
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let row = client.query_one(UNSETTLED, &[]).await?;
        let [orders, deliveries, dead]: [i64; 3] = std::array::from_fn(|column| row.get(column));
        if orders + deliveries + dead == 0 {
            return Ok(());
        }
        if dead > 0 || Instant::now() > deadline {
            let tried = "SELECT coalesce(string_agg(t, '; '), '') FROM (SELECT format('%s %s next %s due %s attempts %s: %s', sink, order_id, next, due_at, attempts, tried) AS t
                FROM event_deliveries WHERE due_at IS NOT NULL OR dead_at IS NOT NULL ORDER BY due_at LIMIT 5) x";
            let tried: String = client.query_one(tried, &[]).await?.get(0);
            bail!(
                "{orders} orders are not settled, the events of {deliveries} wait, those of {dead} are dead letters: {tried}"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until something is true; false when it is not within the limit.
///
/// # Errors
/// When it cannot be found out.
pub async fn wait_for(limit: Duration, is_so: impl AsyncFn() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + limit;
    while !is_so().await? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(true)
}

/// Does the work while the service sweeps, as a deployment's cron job has it do.
///
/// # Errors
/// When the work or a sweep fails.
pub async fn while_sweeping<T>(operator: &Operator, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        ended = operator.sweep_now_and_then() => {
            ended?;
            bail!("the sweeps have ended")
        }
    }
}

/// The events that there are; checks that each order has those that it should have.
///
/// # Errors
/// When the database does not answer.
pub async fn journal(
    name: &str,
    service: &Service,
    workload: &Workload<'_>,
    report: &mut Report,
) -> Result<Expected> {
    let (expected, mut problems) = workload::journal(service).await?;
    let orders = expected.keys().filter(|(_, sequence)| *sequence == 1).count();
    if orders != workload.count() {
        problems.push(format!("{} orders were placed, and {orders} have events", workload.count()));
    }
    let what = format!("{name}: the journal has all {} events of {orders} orders", expected.len());
    report.check(&what, few(problems));
    Ok(expected)
}

/// The first of them, and how many more there are.
pub fn few(mut problems: Vec<String>) -> Vec<String> {
    if problems.len() > SHOWN {
        let more = problems.len() - SHOWN;
        problems.truncate(SHOWN);
        problems.push(format!("and {more} more"));
    }
    problems
}
