//! A closed-loop load generator: each client has one connection and one request at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::http::Connection;
use super::scenario::Workload;

/// When the load ends.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After a duration: no request starts later.
    Time(Duration),
    /// After a number of requests.
    Requests(u64),
}

/// Latencies and errors of a load.
pub struct Outcome {
    /// Latency of each request, in microseconds.
    pub latencies: Histogram<u64>,
    /// Number of failed requests and wrong responses.
    pub errors: u64,
    /// The first error.
    pub first_error: Option<String>,
    /// Time from the first request to the last response.
    pub elapsed: Duration,
}

impl Outcome {
    /// Number of requests with a response, right or wrong.
    pub fn requests(&self) -> u64 {
        self.latencies.len()
    }

    /// Requests per second.
    pub fn throughput(&self) -> f64 {
        self.requests() as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile of the latencies, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        quantile_ms(&self.latencies, quantile)
    }
}

/// A quantile of latencies in microseconds, in milliseconds.
pub fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1_000.0
}

/// An empty histogram of microseconds: up to a minute, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are allowed")
}

/// Runs a load against a server. All clients share one dedicated thread, to keep the overhead small.
///
/// # Errors
/// When the thread does not start. Errors of requests are counted in the outcome.
pub async fn run(
    address: SocketAddr,
    clients: usize,
    limit: Limit,
    workload: Arc<Workload>,
) -> Result<Outcome> {
    let (answer, outcome) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("load".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let _ = answer
            .send(runtime.map(|runtime| runtime.block_on(run_clients(address, clients, limit, workload))));
    })?;
    Ok(outcome.await.context("the load's thread ended")??)
}

async fn run_clients(address: SocketAddr, clients: usize, limit: Limit, workload: Arc<Workload>) -> Outcome {
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
    let mut run_clients =
        Outcome { latencies: histogram(), errors: 0, first_error: None, elapsed: Duration::ZERO };
    for client in clients {
        let one = client.await.unwrap_or_else(|error| Client::failed(error.to_string()));
        run_clients.latencies.add(&one.latencies).expect("all histograms have the same bounds");
        run_clients.errors += one.errors;
        run_clients.first_error = run_clients.first_error.or(one.first_error);
    }
    run_clients.elapsed = start.elapsed();
    run_clients
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
        let error = match connection.ask(workload.request()).await {
            Ok(answer) => {
                client.latencies.saturating_record(begun.elapsed().as_micros() as u64);
                workload.error_in(&answer)
            }
            Err(error) => Some(format!("no answer: {error:#}")),
        };
        if let Some(error) = error {
            client.errors += 1;
            client.first_error.get_or_insert(error);
            // No busy loop against a server that is down.
            if client.errors > 100 {
                return client;
            }
        }
    }
}
