//! The shape of the latencies: where the answers lie, and whether some lie where a delayed acknowledgement puts them.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::scenario::Scenario;
use super::target::Kind;

/// The latencies of one target at one client.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Shape {
    /// What was asked for.
    pub scenario: Scenario,
    /// Whom.
    pub target: Kind,
    /// How many answers took up to so many milliseconds, and longer than the bucket before has it.
    pub buckets: Vec<Bucket>,
    /// Whether answers gather at 40 ms.
    pub delayed: Delayed,
}

/// Some of the answers.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bucket {
    /// The longest latency that belongs to it, in milliseconds; null in the last one, which has no end.
    pub up_to_ms: Option<f64>,
    /// How many answers.
    pub answers: u64,
}

/// How many answers came about 40 ms late, which is how long the system waits with a delayed acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Delayed {
    /// The part of the answers that took 35 to 50 ms.
    pub about_40_ms: f64,
    /// The part that took 20 to 35 ms.
    pub before: f64,
    /// More than one in a thousand about 40 ms, a few at least, and fewer before: a gathering, not a tail.
    pub is_there: bool,
}

impl Shape {
    /// Of latencies in microseconds.
    pub fn new(scenario: Scenario, target: Kind, latencies: &Histogram<u64>) -> Shape {
        let mut from = 0;
        let mut buckets: Vec<Bucket> = Vec::new();
        for end in ends() {
            buckets.push(Bucket {
                up_to_ms: Some(end as f64 / 1_000.0),
                answers: latencies.count_between(from, end),
            });
            from = end + 1;
        }
        let counted: u64 = buckets.iter().map(|bucket| bucket.answers).sum();
        buckets.push(Bucket { up_to_ms: None, answers: latencies.len().saturating_sub(counted) });
        Shape { scenario, target, buckets, delayed: Delayed::of(latencies) }
    }

    /// A bar for each bucket from the first that has answers to the last.
    pub fn bars(&self) -> String {
        const WIDTH: u64 = 50;
        let all: u64 = self.buckets.iter().map(|bucket| bucket.answers).sum();
        let most = self.buckets.iter().map(|bucket| bucket.answers).max().unwrap_or(0).max(1);
        let used = |bucket: &Bucket| bucket.answers > 0;
        let (first, last) = (self.buckets.iter().position(used), self.buckets.iter().rposition(used));
        let mut text = format!("{}, {}, 1 client: {all} answers\n", self.scenario.name(), self.target.name());
        for bucket in &self.buckets[first.unwrap_or(0)..last.map_or(0, |last| last + 1)] {
            let end = bucket.up_to_ms.map_or("more".into(), |end| format!("≤ {end:.2} ms"));
            // Whoever is there at all is seen.
            let bar = "#".repeat((bucket.answers * WIDTH).div_ceil(most) as usize);
            let _ = writeln!(text, "{end:>12} {:>8} {bar}", bucket.answers);
        }
        let Delayed { about_40_ms, before, is_there } = self.delayed;
        let verdict = if is_there { "a delayed acknowledgement, it seems" } else { "no gathering at 40 ms" };
        let (about, before) = (about_40_ms * 100.0, before * 100.0);
        let _ = write!(text, "{about:.2} % took 35 to 50 ms, {before:.2} % took 20 to 35: {verdict}.");
        text
    }
}

impl Delayed {
    fn of(latencies: &Histogram<u64>) -> Delayed {
        let all = latencies.len().max(1) as f64;
        let between = |from: u64, to: u64| latencies.count_between(from, to) as f64 / all;
        let (about_40_ms, before) = (between(35_000, 50_000), between(20_000, 34_999));
        let are_a_few = latencies.count_between(35_000, 50_000) >= 5;
        let is_there = are_a_few && about_40_ms > 0.001 && before < about_40_ms;
        Delayed { about_40_ms, before, is_there }
    }
}

/// The ends of the buckets but the last: from 0.25 ms to 100 ms, each longer than the one before by half.
fn ends() -> impl Iterator<Item = u64> {
    const FIRST: f64 = 250.0;
    const LAST: f64 = 100_000.0;
    const STEPS: i32 = 15;
    (0..=STEPS).map(|step| (FIRST * (LAST / FIRST).powf(f64::from(step) / f64::from(STEPS))).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::histogram;

    fn shape(latencies: &[(u64, u64)]) -> Shape {
        let mut all = histogram();
        for (microseconds, count) in latencies {
            all.record_n(*microseconds, *count).unwrap();
        }
        Shape::new(Scenario::Place, Kind::Service, &all)
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
