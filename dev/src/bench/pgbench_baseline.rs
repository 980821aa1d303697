//! The pgbench baseline: PostgreSQL's CPU time per placed order, compared with that of the bare row changes.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::pgbench::{self, PgbenchResult};
use super::scenario::Scenario;
use super::summary::Row;
use super::target::Kind;
use super::testbed::Testbed;

/// Number of clients at which the service is compared, if that was measured.
const CLIENTS: usize = 16;
/// Connections of `pgbench`.
const CONNECTIONS: u32 = 8;

/// The service's statements compared with the bare row changes that they make.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PgbenchBaseline {
    /// With how many clients the service was measured.
    pub clients: usize,
    /// Milliseconds of PostgreSQL's CPU time for an order that the service places.
    pub service_ms: f64,
    /// Bytes of the log for it.
    pub service_wal_bytes: f64,
    /// The same row changes by `pgbench`, sent one by one and transaction by transaction.
    #[serde(rename = "bare")]
    pub runs: Vec<Compared>,
}

/// One run of `pgbench`.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Compared {
    /// The result.
    #[serde(flatten)]
    pub result: PgbenchResult,
    /// The service's CPU time in PostgreSQL divided by this one's.
    pub ratio: f64,
}

/// Runs `pgbench` twice and compares it with the service's row, if there is one.
///
/// # Errors
/// When `pgbench` fails, or did not do what placing an order does.
pub async fn measure(testbed: &Testbed, rows: &[Row], time: Duration) -> Result<Option<PgbenchBaseline>> {
    let Some(row) = service_row(rows) else {
        return Ok(None);
    };
    let mut results = Vec::new();
    for pipelined in [false, true] {
        eprintln!(
            "The row changes of a placed order by pgbench{} …",
            if pipelined { ", pipelined" } else { "" }
        );
        let database = testbed.migrated_database().await?;
        let seconds = (time.as_secs_f64().ceil() as u32).max(1);
        let options = pgbench::Options { clients: CONNECTIONS, seconds, pipelined };
        results.push(pgbench::place(&testbed.server, &database, options).await?);
        testbed.server.drop_database(&database.name).await?;
    }
    Ok(Some(PgbenchBaseline::new(row, &results)))
}

/// The row that is compared.
fn service_row(rows: &[Row]) -> Option<&Row> {
    let mut ours = rows.iter().filter(|row| row.target == Kind::Service && row.scenario == Scenario::Place);
    ours.clone().find(|row| row.clients == CLIENTS).or_else(|| ours.next_back())
}

impl PgbenchBaseline {
    fn new(row: &Row, results: &[PgbenchResult]) -> PgbenchBaseline {
        let service_ms = row.medians.cpu_ms.postgres;
        let compare =
            |result: &PgbenchResult| Compared { result: *result, ratio: service_ms / result.cpu_ms };
        let runs = results.iter().map(compare).collect();
        PgbenchBaseline { clients: row.clients, service_ms, service_wal_bytes: row.medians.wal_bytes, runs }
    }

    /// As text.
    pub fn shown(&self) -> String {
        let mut text = format!(
            "PostgreSQL's CPU per placed order beside a bare pgbench of the same row changes:\n\
             {:<28} {:>7.3} ms {:>7.0} bytes of WAL",
            format!("service, {} clients", self.clients),
            self.service_ms,
            self.service_wal_bytes
        );
        for Compared { result, ratio } in &self.runs {
            let name = if result.pipelined { "pgbench, pipelined" } else { "pgbench, one by one" };
            let _ = write!(
                text,
                "\n{name:<28} {:>7.3} ms {:>7.0} bytes of WAL, {:>6.0} orders/s: the service takes {ratio:.2} times that",
                result.cpu_ms, result.wal_bytes, result.tps
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::summary::tests::row;

    #[test]
    fn the_service_is_compared_at_sixteen_clients_or_the_most() {
        let rows = [
            row(Scenario::Place, 1, Kind::Service, 1.0),
            row(Scenario::Place, 16, Kind::A, 1.0),
            row(Scenario::Place, 16, Kind::Service, 1.0),
            row(Scenario::Place, 64, Kind::Service, 1.0),
            row(Scenario::Read, 64, Kind::Service, 1.0),
        ];
        let clients = |rows: &[Row]| service_row(rows).map(|row| row.clients);
        assert_eq!(clients(&rows), Some(16));
        assert_eq!(clients(&rows[3..]), Some(64));
        assert_eq!(clients(&rows[1..2]), None);
    }

    #[test]
    fn the_ratio_says_how_many_times_as_much_the_service_takes() {
        let mut row = row(Scenario::Place, 16, Kind::Service, 1.0);
        row.medians.cpu_ms.postgres = 1.5;
        let bare = PgbenchResult { pipelined: true, orders: 1, tps: 1.0, cpu_ms: 0.5, wal_bytes: 1.0 };
        let baseline = PgbenchBaseline::new(&row, &[bare]);
        assert_eq!(baseline.runs[0].ratio, 3.0);
        assert!(baseline.shown().ends_with("3.00 times that"), "{}", baseline.shown());
    }
}
