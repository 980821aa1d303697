//! Histograms, made of the buckets that instances flush.

use super::page::{Kind, Page};
use crate::telemetry::series::{BUCKETS, INFINITY, SUM};
use std::collections::BTreeMap;

/// A histogram for each set of labels.
pub struct Histograms {
    bounds: &'static [f64],
    /// By labels, as they are written.
    all: BTreeMap<String, Histogram>,
}

#[derive(Default)]
struct Histogram {
    /// What is in each bucket alone.
    buckets: [f64; BUCKETS],
    seconds: f64,
}

impl Histograms {
    /// None yet. `bounds`: the upper bounds of their buckets.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, all: BTreeMap::new() }
    }

    /// One with these labels, which is empty if nothing is added to it.
    pub fn prepare(&mut self, labels: String) {
        self.all.entry(labels).or_default();
    }

    /// Adds a row that ends with the upper bound of a bucket, or with [`SUM`]. A bound that another version has is in the next higher
    /// bucket, which is true of it, too.
    pub fn add(&mut self, labels: String, end: &str, value: f64) {
        let histogram = self.all.entry(labels).or_default();
        if end == SUM {
            histogram.seconds += value;
        } else if let Ok(bound) = end.parse::<f64>() {
            let bucket = self.bounds.iter().take_while(|known| bound > **known).count();
            histogram.buckets[bucket] += value;
        }
    }

    /// Writes all of them: each bucket counts all that took no longer than its bound.
    pub fn write(&self, page: &mut Page, name: &str, help: &str) {
        page.metric(name, Kind::Histogram, help);
        let bucket_name = format!("{name}_bucket");
        for (labels, histogram) in &self.all {
            let mut count = 0.0;
            for (place, number) in histogram.buckets.iter().enumerate() {
                count += number;
                match self.bounds.get(place) {
                    Some(bound) => page.sample(&bucket_name, format_args!("{labels},le=\"{bound}\""), count),
                    None => page.sample(&bucket_name, format_args!("{labels},le=\"{INFINITY}\""), count),
                }
            }
            page.sample(&format!("{name}_sum"), labels, histogram.seconds);
            page.sample(&format!("{name}_count"), labels, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::series::BOUNDS;

    #[test]
    fn a_bucket_counts_all_that_took_no_longer() {
        let mut histograms = Histograms::new(BOUNDS);
        histograms.prepare("call=\"a\"".to_owned());
        for (end, value) in [("0.005", 2.0), ("+Inf", 1.0), ("10", 3.0), ("0.3", 4.0), ("sum", 7.5)] {
            histograms.add("call=\"b\"".to_owned(), end, value);
        }
        let mut page = Page(String::new());
        histograms.write(&mut page, "x_seconds", "Help.");
        let expected = "# HELP x_seconds Help.\n# TYPE x_seconds histogram\n";
        assert!(page.0.starts_with(expected));
        let value = |series: &str| {
            let line = page.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{series} in {}", page.0)).parse::<f64>().unwrap()
        };
        for (le, count) in [("0.005", 2.0), ("0.25", 2.0), ("0.5", 6.0), ("10", 9.0), ("+Inf", 10.0)] {
            assert_eq!(value(&format!("x_seconds_bucket{{call=\"b\",le=\"{le}\"}}")), count, "{le}");
            assert_eq!(value(&format!("x_seconds_bucket{{call=\"a\",le=\"{le}\"}}")), 0.0, "{le}");
        }
        assert_eq!((value("x_seconds_sum{call=\"b\"}"), value("x_seconds_count{call=\"b\"}")), (7.5, 10.0));
        assert_eq!(page.0.lines().count(), 2 + 2 * (BUCKETS + 2));
    }
}
