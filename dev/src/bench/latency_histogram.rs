//! The latency histogram, and whether it has a peak at 40 ms: TCP's delayed acknowledgement.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::scenario::Scenario;
use super::target::Kind;

/// Latencies of one target with one client.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LatencyHistogram {
    /// The scenario.
    pub scenario: Scenario,
    /// The target.
    pub target: Kind,
    /// Buckets with rising upper bounds.
    pub buckets: Vec<Bucket>,
    /// The peak at 40 ms, if there is one.
    pub delayed: DelayedAck,
}

/// A bucket of the histogram.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bucket {
    /// Upper bound in milliseconds, inclusive; null in the last one.
    pub up_to_ms: Option<f64>,
    /// Number of responses.
    pub answers: u64,
}

/// Responses with about 40 ms latency, Linux's delay of a delayed acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct DelayedAck {
    /// Fraction of the responses that took 35 to 50 ms.
    pub about_40_ms: f64,
    /// Fraction that took 20 to 35 ms.
    pub before: f64,
    /// A peak, not a tail: more than 0.1 % about 40 ms, five at least, and fewer before.
    pub is_there: bool,
}

impl LatencyHistogram {
    /// From latencies in microseconds.
    pub fn new(scenario: Scenario, target: Kind, latencies: &Histogram<u64>) -> LatencyHistogram {
        let mut from = 0;
        let mut buckets: Vec<Bucket> = Vec::new();
        for end in upper_bounds() {
            buckets.push(Bucket {
                up_to_ms: Some(end as f64 / 1_000.0),
                answers: latencies.count_between(from, end),
            });
            from = end + 1;
        }
        let counted: u64 = buckets.iter().map(|bucket| bucket.answers).sum();
        buckets.push(Bucket { up_to_ms: None, answers: latencies.len().saturating_sub(counted) });
        LatencyHistogram { scenario, target, buckets, delayed: DelayedAck::of(latencies) }
    }

    /// A bar chart as text, from the first bucket that is not empty to the last.
    pub fn bars(&self) -> String {
        const WIDTH: u64 = 50;
        let all: u64 = self.buckets.iter().map(|bucket| bucket.answers).sum();
        let most = self.buckets.iter().map(|bucket| bucket.answers).max().unwrap_or(0).max(1);
        let used = |bucket: &Bucket| bucket.answers > 0;
        let (first, last) = (self.buckets.iter().position(used), self.buckets.iter().rposition(used));
        let mut text = format!("{}, {}, 1 client: {all} answers\n", self.scenario.name(), self.target.name());
        for bucket in &self.buckets[first.unwrap_or(0)..last.map_or(0, |last| last + 1)] {
            let end = bucket.up_to_ms.map_or("more".into(), |end| format!("≤ {end:.2} ms"));
            // Rounded up: a bucket with one response has a bar.
            let bar = "#".repeat((bucket.answers * WIDTH).div_ceil(most) as usize);
            let _ = writeln!(text, "{end:>12} {:>8} {bar}", bucket.answers);
        }
        let DelayedAck { about_40_ms, before, is_there } = self.delayed;
        let verdict = if is_there { "a delayed acknowledgement, it seems" } else { "no gathering at 40 ms" };
        let (about, before) = (about_40_ms * 100.0, before * 100.0);
        let _ = write!(text, "{about:.2} % took 35 to 50 ms, {before:.2} % took 20 to 35: {verdict}.");
        text
    }
}

impl DelayedAck {
    fn of(latencies: &Histogram<u64>) -> DelayedAck {
        let all = latencies.len().max(1) as f64;
        let between = |from: u64, to: u64| latencies.count_between(from, to) as f64 / all;
        let (about_40_ms, before) = (between(35_000, 50_000), between(20_000, 34_999));
        let are_a_few = latencies.count_between(35_000, 50_000) >= 5;
        let is_there = are_a_few && about_40_ms > 0.001 && before < about_40_ms;
        DelayedAck { about_40_ms, before, is_there }
    }
}

/// Upper bounds of the buckets but the last, in microseconds: exponential, from 0.25 ms to 100 ms by a factor of 1.5.
fn upper_bounds() -> impl Iterator<Item = u64> {
    const FIRST: f64 = 250.0;
    const LAST: f64 = 100_000.0;
    const STEPS: i32 = 15;
    (0..=STEPS).map(|step| (FIRST * (LAST / FIRST).powf(f64::from(step) / f64::from(STEPS))).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load_generator::histogram;

    fn shape(latencies: &[(u64, u64)]) -> LatencyHistogram {
        let mut all = histogram();
        for (microseconds, count) in latencies {
            all.record_n(*microseconds, *count).unwrap();
        }
        LatencyHistogram::new(Scenario::Place, Kind::Service, &all)
    }

    #[test]
    fn every_answer_is_in_one_bucket() {
        let shape = shape(&[(100, 3), (250, 1), (4_000, 50), (40_000, 2), (99_000, 1), (5_000_000, 4)]);
        assert_eq!(shape.buckets.iter().map(|bucket| bucket.answers).sum::<u64>(), 61);
        assert_eq!(shape.buckets[0], Bucket { up_to_ms: Some(0.25), answers: 4 });
        assert_eq!(shape.buckets.last(), Some(&Bucket { up_to_ms: None, answers: 4 }));
        assert_eq!(shape.buckets[shape.buckets.len() - 2].up_to_ms, Some(100.0));
    }

    #[test]
    fn answers_that_gather_at_40_ms_are_noticed() {
        assert!(shape(&[(4_000, 990), (25_000, 3), (41_000, 7)]).delayed.is_there);
        assert!(shape(&[(44_000, 1_000)]).delayed.is_there);
    }

    #[test]
    fn a_tail_that_only_passes_40_ms_is_no_gathering() {
        assert!(!shape(&[(4_000, 900), (25_000, 60), (41_000, 40)]).delayed.is_there);
        assert!(!shape(&[(4_000, 10_000), (41_000, 5)]).delayed.is_there);
        assert!(!shape(&[(4_000, 800), (41_000, 1)]).delayed.is_there);
        assert!(!shape(&[]).delayed.is_there);
    }

    #[test]
    fn bars_show_even_the_rarest_answers() {
        let bars = shape(&[(4_000, 10_000), (41_000, 1)]).bars();
        let lines: Vec<&str> = bars.lines().collect();
        assert!(lines[0].ends_with("10001 answers"), "{bars}");
        assert!(lines[1].ends_with(&"#".repeat(50)), "{bars}");
        assert!(lines[lines.len() - 2].ends_with(" 1 #"), "{bars}");
    }
}
