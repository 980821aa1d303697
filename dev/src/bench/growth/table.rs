//! The results as text tables.

use std::fmt::Write as _;

use super::lists::List;
use super::loads::Row;
use super::statements::{Statements, Timing};
use crate::bench::table::{compared, grouped};

/// The loads, each size beside the first.
pub fn rows(rows: &[Row]) -> String {
    let head = "                                    requests    of the     p50     p99   CPU ms, each\n\
                scenario clients        size              /s     first      ms      ms     host  postgres";
    let line = |row: &Row| {
        let load = (row.scenario, row.clients, row.of.name());
        let name = format!("{:>11} {:<6}", row.size, row.of.name());
        (load, compared(row.scenario, row.clients, &name, row.ratio, &row.medians))
    };
    grouped(head, rows.iter().map(line))
}

/// The statements, and the plans of those that are slow.
pub fn statements(all: &[Statements]) -> String {
    let mut text = String::from(
        "Statements alone                   claim of 16, ms      metrics, ms\n\
         \x20    orders       MB        due     median      max    median      max",
    );
    for statements in all {
        for backlog in &statements.backlogs {
            let _ = write!(
                text,
                "\n{:>11} {:>8.0} {:>10} {:>10.2} {:>8.2} {:>9.2} {:>8.2}",
                statements.orders,
                statements.bytes as f64 / 1e6,
                backlog.due,
                backlog.claim.median_ms,
                backlog.claim.max_ms,
                backlog.metrics.median_ms,
                backlog.metrics.max_ms,
            );
        }
    }
    text.push_str("\n\nPages of lists       orders, ms: median, max\n                    ");
    for statements in all {
        let _ = write!(text, " {:>10} orders", statements.orders);
    }
    let names = all.first().map_or(&[][..], |first| &first.lists);
    for (index, list) in names.iter().enumerate() {
        let _ = write!(text, "\n{:<20}", list.name);
        for List { timing, orders, .. } in all.iter().filter_map(|statements| statements.lists.get(index)) {
            let _ = write!(text, " {orders:>3} {:>6.2} {:>6.2}", timing.median_ms, timing.max_ms);
        }
    }
    for statements in all.iter().filter(|statements| statements.drained.claims > 1) {
        let drained = &statements.drained;
        let _ = write!(
            text,
            "\nAll that was due among {} orders was claimed in {} claims: {:.2} ms each at first, {:.2} ms at last.",
            statements.orders, drained.claims, drained.first.median_ms, drained.last.median_ms
        );
    }
    for plan in all.iter().flat_map(timings).filter_map(|timing| timing.plan.as_ref()) {
        let _ = write!(text, "\nA slow statement:\n{plan}");
    }
    text
}

fn timings(statements: &Statements) -> impl Iterator<Item = &Timing> {
    statements.backlogs.iter().flat_map(|backlog| [&backlog.claim, &backlog.metrics])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::growth::statements::{Backlog, Drained};

    fn timing(median_ms: f64, plan: Option<&str>) -> Timing {
        Timing { runs: 1, median_ms, max_ms: median_ms, rows: 16, plan: plan.map(String::from) }
    }

    #[test]
    fn every_backlog_has_a_line_and_every_slow_statement_its_plan() {
        let backlog = |due, plan| Backlog { due, claim: timing(0.5, None), metrics: timing(20.0, plan) };
        let drained = Drained { claims: 7, first: timing(1.0, None), last: timing(2.0, None) };
        let backlogs = vec![backlog(100, None), backlog(1_000, Some("Seq Scan on orders"))];
        let lists = vec![List { name: "first page", timing: timing(3.25, None), orders: 50 }];
        let text = statements(&[Statements { orders: 20_000, bytes: 40_000_000, lists, backlogs, drained }]);
        assert!(text.contains("\nfirst page            50   3.25   3.25\n"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains(" 100 ") && lines[3].contains(" 1000 "), "{text}");
        assert!(text.contains("in 7 claims: 1.00 ms each at first, 2.00 ms at last"), "{text}");
        assert!(text.ends_with("Seq Scan on orders"), "{text}");
    }
}
