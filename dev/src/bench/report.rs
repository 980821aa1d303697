//! The report of a benchmark run, as text and as JSON.

use std::path::Path;

use anyhow::{Context, Result};

use super::against::Comparison;
use super::cost_per_order::CostPerOrder;
use super::growth::Growth;
use super::hosts;
use super::latency_histogram::LatencyHistogram;
use super::memory::Memory;
use super::pgbench_baseline::PgbenchBaseline;
use super::sinks;
use super::snapshot::Snapshot;
use super::summary::{Ratio, Row};
use super::table;

/// The results of a run.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// The medians of each load, with their rounds.
    pub rows: Vec<Row>,
    /// The service's throughput relative to the baselines (floors).
    pub ratios: Vec<Ratio>,
    /// The service's statements compared with pgbench's bare row changes.
    #[serde(rename = "yardstick")]
    pub pgbench_baseline: Option<PgbenchBaseline>,
    /// Database cost per order: statements, commits, WAL.
    #[serde(rename = "counted")]
    pub costs_per_order: Vec<CostPerOrder>,
    /// Latency histograms with one client.
    #[serde(rename = "shapes")]
    pub latency_histograms: Vec<LatencyHistogram>,
    /// The memory of one instance.
    pub memory: Option<Memory>,
    /// The same loads on larger and larger databases.
    pub growth: Option<Growth>,
    /// The same loads with and without an old snapshot.
    pub snapshot: Option<Snapshot>,
    /// The same loads on hosts that are configured differently.
    pub hosts: Vec<hosts::Row>,
    /// This tree beside another commit.
    pub comparison: Option<Comparison>,
    /// The service with a sink that is sick beside itself with all of them well.
    pub sinks: Option<sinks::Found>,
}

/// The environment that the numbers depend on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Machine {
    /// How many processors there are for all of it.
    pub processors: usize,
    /// The version of PostgreSQL.
    pub postgres: String,
    /// The program that ran the components.
    pub host: String,
    /// When it began.
    pub began: String,
}

impl Report {
    /// As text.
    pub fn shown(&self) -> String {
        let Machine { processors, postgres, host, .. } = &self.machine;
        let head = format!(
            "{processors} processors for all of it, PostgreSQL {postgres}, {host}. Compare rows, not machines."
        );
        let mut parts = vec![head];
        if !self.rows.is_empty() {
            parts.push(table::rows(&self.rows));
        }
        if !self.ratios.is_empty() {
            let what = "The service's throughput as a part of that of (a) a component that only makes the calls, \
                        (b) a native server that does, (c) a component with SELECT 1 for every statement:";
            parts.push(format!("{what}\n{}", table::ratios(&self.ratios)));
        }
        parts.extend(self.pgbench_baseline.as_ref().map(PgbenchBaseline::shown));
        if !self.costs_per_order.is_empty() {
            parts.push(table::counted(&self.costs_per_order));
        }
        parts.extend(table::peak_memory(&self.rows));
        parts.extend(self.latency_histograms.iter().map(LatencyHistogram::bars));
        parts.extend(self.memory.as_ref().map(Memory::shown));
        parts.extend(self.growth.as_ref().map(Growth::shown));
        parts.extend(self.snapshot.as_ref().map(Snapshot::shown));
        if !self.hosts.is_empty() {
            parts.push(hosts::shown(&self.hosts));
        }
        parts.extend(self.comparison.as_ref().map(Comparison::shown));
        parts.extend(self.sinks.as_ref().map(sinks::Found::shown));
        parts.join("\n\n")
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_json(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }
}
