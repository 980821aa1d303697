//! `cargo dev api-test`: holds the OpenAPI document against a linter, against the document of the last release, and against the running
//! service, to which schemathesis sends what the document allows, and what it does not.
//!
//! In reading order: `compatibility` compares two documents, `service` is the one under test, with peers at which orders succeed,
//! `narrowed` makes the document of a run, `schemathesis` runs it.

pub mod compatibility;
mod narrowed;
mod schemathesis;
pub(crate) mod service;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::manifests::report::Report;
use crate::manifests::tools::{Tools, output, said};
use crate::{component, repo_root};
use service::Authentication;

/// The document of the service.
pub const DOCUMENT: &str = "docs/openapi.json";
/// The document of the last release.
pub const RELEASED: &str = "docs/releases/openapi.json";
/// The pinned tools and their settings.
const VALIDATORS: &str = "deploy/api-validators";

/// How to run it.
#[derive(clap::Args)]
pub struct Options {
    /// How many requests of each kind schemathesis makes for an operation
    #[arg(long, default_value_t = 50)]
    examples: u32,
    /// What the requests are drawn from: the same seed gives the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only with authentication on, or only with it off
    #[arg(long)]
    authentication: Option<Authentication>,
}

/// Runs all checks and prints a line for each.
///
/// # Errors
/// When a check fails, or a tool is missing.
pub async fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let root = repo_root();
    let tools = Tools::prepare(&root.join(VALIDATORS), "api-test").await?;
    let mut report = Report::default();
    let document = read(&root.join(DOCUMENT))?;
    lint(&tools, &root, &mut report)?;
    let released = read(&root.join(RELEASED))?;
    let what = format!("{DOCUMENT}: compatible with {RELEASED}");
    report.check(&what, compatibility::breaking_changes(&released, &document));

    component::build().await?;
    for authentication in [Authentication::Off, Authentication::On] {
        if options.authentication.is_some_and(|only| only != authentication) {
            continue;
        }
        schemathesis::run(&tools, &root, &document, authentication, options, &mut report).await?;
    }
    report.verdict(begin.elapsed())
}

/// A JSON file.
///
/// # Errors
/// When it cannot be read, or is no JSON.
fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The linter, which asks nobody outside of this machine.
fn lint(tools: &Tools, root: &Path, report: &mut Report) -> Result<()> {
    let mut command = Command::new(tools.node().join("node_modules/.bin/redocly"));
    command
        .args(["lint", DOCUMENT, "--format", "stylish", "--config"])
        .arg(root.join(VALIDATORS).join("redocly.yaml"));
    command.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    let output = output(command.current_dir(root))?;
    let problems =
        if output.status.success() { Vec::new() } else { said(&output).lines().map(str::to_owned).collect() };
    report.check(&format!("{DOCUMENT}: redocly lint"), problems);
    Ok(())
}
