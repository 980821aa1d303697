//! The cases as a text table.

use std::fmt::Write as _;

use super::{Found, NEEDED};
use crate::bench::against::{PAIRS, head, line};

/// All cases, and which have too little.
pub fn shown(found: &Found) -> String {
    let Found { pairs, seconds, rows } = found;
    let mut text = format!(
        "The service with a sink that is sick beside itself with all of them well: {pairs} pairs of rounds of {seconds} s, \
         sick÷well of each pair\n{}",
        head(&format!("{:<10}{:<8}", "sink", "is"), ["sick", "well"]),
    );
    for row in rows {
        let _ = write!(text, "\n{:<10}{:<8}{}", row.sink.name(), row.is.name(), line(&row.row));
    }
    let too_low = rows.iter().filter(|row| row.row.throughput.median < NEEDED).count();
    let _ = write!(text, "\nNeeded: {NEEDED}; of {} medians {too_low} are below it.", rows.len());
    if *pairs < PAIRS {
        let _ = write!(text, "\n{pairs} pairs are too few to judge by: it takes {PAIRS} at least.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Health, Kind, Row};
    use super::*;
    use crate::bench::against::{self, tests::round};
    use crate::bench::scenario::Scenario;

    #[test]
    fn a_line_tells_the_case_and_what_is_too_low_is_counted() {
        let row = |sick| {
            let rounds = |throughput| vec![round(throughput, 1.0); 7];
            let row = against::Row::new(Scenario::Life, 16, rounds(sick), rounds(100.0));
            Row { sink: Kind::Collector, is: Health::Stalled, row }
        };
        let text = shown(&Found { pairs: 7, seconds: 3.0, rows: vec![row(90.0), row(98.0)] });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[3].starts_with("collector stalled life          16     90    100   0.900"), "{text}");
        assert_eq!(lines[5], "Needed: 0.95; of 2 medians 1 are below it.");
        assert_eq!(lines[2].find("scenario"), Some(18));
    }
}
