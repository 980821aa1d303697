//! Text tables.

use std::fmt::Write as _;

use super::cost_per_order::CostPerOrder;
use super::scenario::Scenario;
use super::summary::{Medians, Ratio, Row};
use super::target::Kind;

/// The rows as a table.
pub fn rows(rows: &[Row]) -> String {
    let mut text = String::from(
        "                             requests      p50      p99   CPU ms a request of               WAL\n\
         scenario clients target           /s       ms       ms    host postgres   peers    load   bytes",
    );
    for row in rows {
        let (medians, cpu) = (&row.medians, row.medians.cpu_ms);
        let _ = write!(
            text,
            "\n{:<8} {:>7} {:<8} {:>11.0} {:>8.2} {:>8.2} {:>7.3} {:>8.3} {:>7.3} {:>7.3} {:>7.0}",
            row.scenario.name(),
            row.clients,
            row.target.name(),
            medians.throughput,
            medians.p50_ms,
            medians.p99_ms,
            cpu.host,
            cpu.postgres,
            cpu.peers,
            cpu.load,
            medians.wal_bytes,
        );
    }
    text
}

/// One line of a table that compares: of something with this name, whose throughput is such a part of the first one's.
pub fn compared(scenario: Scenario, clients: usize, name: &str, ratio: f64, medians: &Medians) -> String {
    format!(
        "{:<8} {clients:>7} {name} {:>8.0} {ratio:>9.2} {:>7.2} {:>7.2} {:>8.3} {:>9.3}",
        scenario.name(),
        medians.throughput,
        medians.p50_ms,
        medians.p99_ms,
        medians.cpu_ms.host,
        medians.cpu_ms.postgres,
    )
}

/// A head and lines, given with the load that each belongs to; an empty line between one load and the next.
pub fn grouped<L: PartialEq>(head: &str, lines: impl Iterator<Item = (L, String)>) -> String {
    let mut text = head.to_owned();
    let mut last = None;
    for (load, line) in lines {
        if last.as_ref().is_some_and(|last| *last != load) {
            text.push('\n');
        }
        text.push('\n');
        text += &line;
        last = Some(load);
    }
    text
}

/// The service's part of each floor's throughput, one line a load.
pub fn ratios(ratios: &[Ratio]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut last = None;
    for ratio in ratios {
        let load = (ratio.scenario, ratio.clients);
        if last != Some(load) {
            lines.push(format!("{:<8} {:>3} clients:", ratio.scenario.name(), ratio.clients));
            last = Some(load);
        }
        if let Some(line) = lines.last_mut() {
            let _ = write!(line, "   ÷({}) {:.2}", ratio.floor.name(), ratio.ratio);
        }
    }
    lines.join("\n")
}

/// What an order costs in the database, and its statements.
pub fn counted(all: &[CostPerOrder]) -> String {
    let mut text =
        String::from("An order costs    statements    commits  WAL flushes  WAL bytes  ms in statements");
    for counted in all {
        let _ = write!(
            text,
            "\n{:<8} {:<8} {:>10.2} {:>10.2} {:>12.2} {:>10.0} {:>17.3}",
            counted.scenario.name(),
            counted.target.name(),
            counted.statements,
            counted.commits,
            counted.wal_syncs,
            counted.wal_bytes,
            counted.statement_ms,
        );
        for statement in &counted.each {
            let short: String = statement.text.chars().take(70).collect();
            let (calls, mean) = (statement.calls_per_order, statement.mean_ms);
            let _ = write!(text, "\n    {calls:>6.2} of {mean:>7.3} ms: {short}");
        }
    }
    text
}

/// The most memory that a host of the service had in use in any run.
pub fn peak_memory(rows: &[Row]) -> Option<String> {
    let ours = rows.iter().filter(|row| row.target == Kind::Service);
    let peak = ours.map(|row| row.peak_memory_bytes).max()?;
    Some(format!("The service's host had at most {:.0} MB in use.", peak as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_stands_between_loads() {
        let lines = [(1, "a"), (1, "b"), (2, "c")].map(|(load, line)| (load, line.to_owned()));
        assert_eq!(grouped("head", lines.into_iter()), "head\na\nb\n\nc");
    }
}
