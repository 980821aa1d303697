//! A closed loop: so many clients, each with one connection and one request at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::http::Connection;
use super::scenario::Workload;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// No request is begun after so long.
    Time(Duration),
    /// So many requests are made.
    Requests(u64),
}

/// What came of a load.
pub struct Outcome {
    /// How long each request took, in microseconds.
    pub latencies: Histogram<u64>,
    /// How many answers were not as they should be, or did not come.
    pub errors: u64,
    /// What was wrong with the first of them.
    pub first_error: Option<String>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Outcome {
    /// How many requests were answered, rightly or wrongly.
    pub fn requests(&self) -> u64 {
        self.latencies.len()
    }

    /// Requests a second.
    pub fn throughput(&self) -> f64 {
        self.requests() as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile of the latencies, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// An empty histogram of microseconds: up to a minute, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are allowed")
}

/// Puts the load on a server. All clients share one thread of their own, which costs the least.
///
/// # Errors
/// When the thread does not start. Errors of requests are counted.
pub async fn run(
    address: SocketAddr,
    clients: usize,
    limit: Limit,
    workload: Arc<Workload>,
) -> Result<Outcome> {
    let (answer, outcome) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("load".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let _ = answer.send(runtime.map(|runtime| runtime.block_on(all(address, clients, limit, workload))));
    })?;
    Ok(outcome.await.context("the load's thread ended")??)
}

async fn all(address: SocketAddr, clients: usize, limit: Limit, workload: Arc<Workload>) -> Outcome {
    let start = Instant::now();
    let left = Arc::new(AtomicU64::new(match limit {
        Limit::Time(_) => u64::MAX,
        Limit::Requests(count) => count,
    }));
    let end = match limit {
        Limit::Time(time) => Some(start + time),
        Limit::Requests(_) => None,
    };
    let client = || tokio::spawn(client(Connection::to(address), end, left.clone(), workload.clone()));
    let clients: Vec<_> = (0..clients).map(|_| client()).collect();
    let mut all = Outcome { latencies: histogram(), errors: 0, first_error: None, elapsed: Duration::ZERO };
    for client in clients {
        let one = client.await.unwrap_or_else(|error| Client::failed(error.to_string()));
        all.latencies.add(&one.latencies).expect("all histograms have the same bounds");
        all.errors += one.errors;
        all.first_error = all.first_error.or(one.first_error);
    }
    all.elapsed = start.elapsed();
    all
}

struct Client {
    latencies: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Client {
    fn failed(error: String) -> Client {
        Client { latencies: histogram(), errors: 1, first_error: Some(error) }
    }
}

async fn client(
    mut connection: Connection,
    end: Option<Instant>,
    left: Arc<AtomicU64>,
    workload: Arc<Workload>,
) -> Client {
    let mut client = Client { latencies: histogram(), errors: 0, first_error: None };
    loop {
        let begun = Instant::now();
        let is_over = end.is_some_and(|end| begun >= end);
        let take = |left: u64| left.checked_sub(1);
        if is_over || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return client;
        }
        let complaint = match connection.ask(workload.request()).await {
            Ok(answer) => {
                client.latencies.saturating_record(begun.elapsed().as_micros() as u64);
                workload.complaint(&answer)
            }
            Err(error) => Some(format!("no answer: {error:#}")),
        };
        if let Some(complaint) = complaint {
            client.errors += 1;
            client.first_error.get_or_insert(complaint);
            // A server that is gone must not be asked as fast as it goes.
            if client.errors > 100 {
                return client;
            }
        }
    }
}
