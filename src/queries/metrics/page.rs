//! A page in the Prometheus text format (version 0.0.4).

use serde_json::Value;
use std::fmt::{Display, Write};

/// The page as far as it is written.
pub struct Page(pub String);

/// What a metric is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// It never goes back.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of observations by buckets, with their sum.
    Histogram,
}

impl Page {
    /// Begins a metric. Its samples follow.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample with labels, as `status="PENDING"`; none where they are empty.
    pub fn sample(&mut self, name: &str, labels: impl Display, value: f64) {
        let begin = self.0.len();
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
        let empty = begin + name.len();
        if self.0[empty..].starts_with("{}") {
            self.0.replace_range(empty..empty + 2, "");
        }
    }

    /// A metric with one sample.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.metric(name, kind, help);
        self.sample(name, "", value);
    }
}

/// A number of the summary; 0 where it is missing.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}
