//! The same loads on hosts with different runtime configurations.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::run::{Contender, Plan, Round, rounds};
use super::scenario::Scenario;
use super::summary::Medians;
use super::table::{compared, grouped};
use super::target::{Kind, Target};
use super::testbed::Testbed;
use crate::repo_root;

/// What is asked of each host.
const LOADS: [Scenario; 2] = [Scenario::Place, Scenario::Read];
/// Where the configurations for deployments are.
const FOLDER: &str = "deploy/runtime-config";
/// What a host without a configuration is called.
const DEFAULTS: &str = "defaults";

/// Which configurations, and how many clients.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Runtime configurations [default: those in deploy/runtime-config]
    pub files: Vec<PathBuf>,
    /// How many clients ask at once
    #[arg(long, value_delimiter = ',', default_value = "16,64")]
    pub clients: Vec<usize>,
}

impl Options {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.clients.contains(&0), "--clients: at least one");
        Ok(())
    }
}

/// What the rounds of one load on one host say.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// What clients asked for.
    pub scenario: Scenario,
    /// How many clients.
    pub clients: usize,
    /// The configuration's name.
    pub host: String,
    /// The throughput as a part of that with the host's own defaults.
    pub ratio: f64,
    /// How many connections to PostgreSQL the host had in the end.
    pub connections: i64,
    /// The medians of the rounds.
    #[serde(flatten)]
    pub medians: Medians,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// Measures the service with the host's defaults and with each configuration.
///
/// # Errors
/// When something does not start, or an answer is wrong.
pub async fn measure(testbed: &Testbed, options: &Options, plan: Plan) -> Result<Vec<Row>> {
    let files = if options.files.is_empty() { configurations()? } else { options.files.clone() };
    let mut all = Vec::new();
    for scenario in LOADS {
        for clients in &options.clients {
            all.extend(one(testbed, scenario, *clients, &files, plan).await?);
        }
    }
    Ok(all)
}

async fn one(
    testbed: &Testbed,
    scenario: Scenario,
    clients: usize,
    files: &[PathBuf],
    plan: Plan,
) -> Result<Vec<Row>> {
    let mut targets = vec![(DEFAULTS.to_owned(), start(testbed, &[]).await?)];
    for file in files {
        let path = std::path::absolute(file)?.display().to_string();
        targets.push((name(file), start(testbed, &["--runtime-config-file", &path]).await?));
    }
    let mut contenders = Vec::new();
    for (name, target) in &targets {
        let orders = target.place_orders(scenario.needs_orders(), 4, None).await?;
        contenders.push(Contender::new(name, target, target.workload(scenario, &orders)));
    }
    let found = rounds(testbed, clients, contenders, plan).await?;
    let mut rows: Vec<Row> = Vec::new();
    for ((host, target), (rounds, _)) in targets.into_iter().zip(found) {
        let medians = Medians::of(&rounds);
        let connections = connections(testbed, &target).await?;
        let ratio = medians.ratio(rows.first().map(|first| &first.medians));
        rows.push(Row { scenario, clients, host, ratio, connections, medians, rounds });
        target.end(testbed).await?;
    }
    Ok(rows)
}

async fn start(testbed: &Testbed, arguments: &[&str]) -> Result<Target> {
    Target::start(Kind::Service, testbed, testbed.migrated_database().await?, arguments).await
}

async fn connections(testbed: &Testbed, target: &Target) -> Result<i64> {
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'order-service'";
    Ok(testbed.admin.query_one(sql, &[&target.database.name]).await?.get(0))
}

/// The configurations that the project offers, by name.
fn configurations() -> Result<Vec<PathBuf>> {
    let folder = repo_root().join(FOLDER);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// As text.
pub fn shown(rows: &[Row]) -> String {
    let head = "                                       requests    of the     p50     p99   CPU ms, each    connections\n\
         scenario clients runtime configuration       /s  defaults      ms      ms     host  postgres  in the end";
    let line = |row: &Row| {
        let name = format!("{:<21}", row.host);
        let line = compared(row.scenario, row.clients, &name, row.ratio, &row.medians);
        ((row.scenario, row.clients), format!("{line} {:>11}", row.connections))
    };
    grouped(head, rows.iter().map(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offered_configurations_are_named_after_their_files() {
        let names: Vec<String> = configurations().unwrap().iter().map(|file| name(file)).collect();
        assert!(!names.is_empty() && names.is_sorted(), "{names:?}");
        assert!(!names.contains(&DEFAULTS.to_owned()));
    }
}
