//! The comparison as a text table.

use std::fmt::Write as _;

use super::{Comparison, PAIRS};

/// All loads, and how far they can be relied on.
pub fn shown(comparison: &Comparison) -> String {
    let short = |commit: &str| commit.chars().take(7).collect::<String>();
    let mut this = comparison.this.as_deref().map_or_else(|| "not in git".into(), short);
    if comparison.changed {
        this += " with changes that are not committed";
    }
    let (pairs, seconds, other) = (comparison.pairs, comparison.seconds, short(&comparison.other));
    let mut text = format!(
        "This tree ({this}) beside {other}: {pairs} pairs of rounds of {seconds} s, this÷other of each pair\n\
         \x20                  requests/s  this÷other                             host, CPU ms a request   PostgreSQL, CPU ms\n\
         scenario clients   this  other  median   quartiles     min and max       this   other  ratio    this   other  ratio"
    );
    for row in &comparison.rows {
        let (this, other, ratio) = (&row.this.medians, &row.other.medians, &row.throughput);
        let _ = write!(
            text,
            "\n{:<8} {:>7} {:>6.0} {:>6.0} {:>7.3} {:>6.3}–{:.3} {:>7.3}–{:.3} {:>9.3} {:>7.3} {:>6.3} {:>7.3} {:>7.3} {:>6.3}",
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
        );
    }
    if pairs < PAIRS {
        let _ = write!(text, "\n{pairs} pairs are too few to judge by: it takes {PAIRS} at least.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::against::Row;
    use crate::bench::against::tests::round;
    use crate::bench::scenario::Scenario;

    fn comparison(pairs: usize) -> Comparison {
        let rounds = |throughput| vec![round(throughput, 1.0); pairs];
        let rows = vec![Row::new(Scenario::Read, 16, rounds(90.0), rounds(100.0))];
        let (this, other) = (Some("a".repeat(40)), "b".repeat(40));
        Comparison { this, changed: true, other, pairs, seconds: 3.0, rows }
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
    }

    #[test]
    fn too_few_pairs_say_so() {
        assert!(shown(&comparison(3)).ends_with("3 pairs are too few to judge by: it takes 7 at least."));
        assert!(!shown(&comparison(7)).contains("too few"));
    }
}
