//! The comparison as a text table.

use std::fmt::Write as _;

use super::{Comparison, PAIRS, Row};

/// All loads, and how far they can be relied on.
pub fn shown(comparison: &Comparison) -> String {
    let short = |commit: &str| commit.chars().take(7).collect::<String>();
    let mut this = comparison.this.as_deref().map_or_else(|| "not in git".into(), short);
    if comparison.changed {
        this += " with changes that are not committed";
    }
    let (pairs, seconds, other) = (comparison.pairs, comparison.seconds, short(&comparison.other));
    let mut text = format!(
        "This tree ({this}) beside {other}: {pairs} pairs of rounds of {seconds} s, this÷other of each pair\n"
    );
    if let Some(arrived) = &comparison.observed {
        let _ = writeln!(text, "This tree is observed, and the other is not: {}", arrived.shown());
    }
    text += &head("", ["this", "other"]);
    for row in &comparison.rows {
        text.push('\n');
        text += &line(row);
    }
    if pairs < PAIRS {
        let _ = write!(text, "\n{pairs} pairs are too few to judge by: it takes {PAIRS} at least.");
    }
    text
}

/// The head of the lines, with the names of the two sides, and what stands before it.
pub fn head(before: &str, [this, other]: [&str; 2]) -> String {
    let (ratio, indent) = (format!("{this}÷{other}"), " ".repeat(before.len()));
    format!(
        "{indent}                   requests/s  {ratio:<39}host, CPU ms a request   PostgreSQL, CPU ms\n\
         {before}scenario clients {this:>6} {other:>6}  median   quartiles     min and max    {this:>7} {other:>7}  ratio {this:>7} {other:>7}  ratio"
    )
}

/// A load.
pub fn line(row: &Row) -> String {
    let (this, other, ratio) = (&row.this.medians, &row.other.medians, &row.throughput);
    format!(
        "{:<8} {:>7} {:>6.0} {:>6.0} {:>7.3} {:>6.3}–{:.3} {:>7.3}–{:.3} {:>9.3} {:>7.3} {:>6.3} {:>7.3} {:>7.3} {:>6.3}",
        row.scenario.name(),
        row.clients,
        this.throughput,
        other.throughput,
        ratio.median,
        ratio.lower_quartile,
        ratio.upper_quartile,
        ratio.min,
        ratio.max,
        this.cpu_ms.host,
        other.cpu_ms.host,
        row.host_cpu.median,
        this.cpu_ms.postgres,
        other.cpu_ms.postgres,
        row.postgres_cpu.median,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::against::Row;
    use crate::bench::against::tests::round;
    use crate::bench::scenario::Scenario;
    use crate::bench::sinks::Arrived;

    fn comparison(pairs: usize) -> Comparison {
        let rounds = |throughput| vec![round(throughput, 1.0); pairs];
        let rows = vec![Row::new(Scenario::Read, 16, rounds(90.0), rounds(100.0))];
        let (this, other) = (Some("a".repeat(40)), "b".repeat(40));
        Comparison { this, changed: true, other, pairs, seconds: 3.0, observed: None, rows }
    }

    #[test]
    fn a_line_has_the_median_of_the_pairs() {
        let text = shown(&comparison(7));
        assert!(
            text.starts_with(
                "This tree (aaaaaaa with changes that are not committed) beside bbbbbbb: 7 pairs"
            )
        );
        let line = text.lines().last().unwrap();
        assert!(line.starts_with("read          16     90    100   0.900"), "{line}");
        assert!(!text.contains("observed"));
        let arrived = Arrived { exports: 5, events: 70, orders_at_broker: 0 };
        let text = shown(&Comparison { observed: Some(arrived), ..comparison(7) });
        assert!(text.contains("5 requests with spans and 70 with an event arrived"), "{text}");
    }

    #[test]
    fn too_few_pairs_say_so() {
        assert!(shown(&comparison(3)).ends_with("3 pairs are too few to judge by: it takes 7 at least."));
        assert!(!shown(&comparison(7)).contains("too few"));
    }
}
