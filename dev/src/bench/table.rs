//! What is printed for people.

use std::fmt::Write as _;

use super::summary::{Ratio, Row};
use super::target::Kind;

/// The rows as a table.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "                              requests     p50      p99    CPU ms a request of            WAL\n\
         scenario clients target             /s      ms       ms    host  postgr.   peers    load  bytes  errors\n",
    );
    for row in rows {
        let cpu = row.cpu_ms;
        let _ = writeln!(
            text,
            "{:<8} {:>7} {:<8} {:>12.0} {:>7.2} {:>8.2} {:>7.3} {:>8.3} {:>7.3} {:>7.3} {:>6.0} {:>7}",
            row.scenario.name(),
            row.clients,
            row.target.name(),
            row.throughput,
            row.p50_ms,
            row.p99_ms,
            cpu.host,
            cpu.postgres,
            cpu.peers,
            cpu.load,
            row.wal_bytes,
            row.errors,
        );
    }
    text
}

/// The service's part of each floor's throughput, one line a load.
pub fn ratios(ratios: &[Ratio]) -> String {
    let mut text = String::new();
    let mut last = None;
    for ratio in ratios {
        let load = (ratio.scenario, ratio.clients);
        if last != Some(load) {
            let _ = write!(text, "\n{:<8} {:>7} clients:", ratio.scenario.name(), ratio.clients);
            last = Some(load);
        }
        let _ = write!(text, "   ÷({}) {:.2}", ratio.floor.name(), ratio.ratio);
    }
    text.trim_start().to_owned()
}

/// The most memory that a host of the service had in use in any run.
pub fn peak_memory(rows: &[Row]) -> Option<String> {
    let ours = rows.iter().filter(|row| row.target == Kind::Service);
    let peak = ours.map(|row| row.peak_memory_bytes).max()?;
    Some(format!("The service's host had at most {:.0} MB in use.", peak as f64 / 1e6))
}
