//! The prometheus-operator's custom resources, against the types of `@kubernetes-models/prometheus-operator`.
//!
//! Its JSON schemas let unknown members pass; TypeScript does not, in an object literal. So each document becomes a constant of its
//! type, and the compiler tells which do not fit. What a type cannot say (patterns, as of durations) the model's own check does.

use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use super::tools::{Tools, output, said};

const MODULE: &str = "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

/// What is wrong with each document.
///
/// # Errors
/// When the compiler cannot be run.
pub fn validate(tools: &Tools, documents: &[&Value]) -> Result<Vec<Option<String>>> {
    let kinds: Vec<Option<&str>> =
        documents.iter().map(|document| document["kind"].as_str().filter(|kind| is_known(kind))).collect();
    // The document of line n + 2 is the nth.
    let mut lines = vec![format!("import type * as models from {MODULE:?};")];
    let mut checks = vec![format!("import * as models from {MODULE:?};")];
    for (index, (document, kind)) in documents.iter().zip(&kinds).enumerate() {
        let kind = kind.unwrap_or("ServiceMonitor");
        lines.push(format!("export const d{index}: models.I{kind} = {document};"));
        checks.push(format!(
            "try {{ new models.{kind}({document}).validate(); }} catch (error) {{ console.log({index}, error.message); }}"
        ));
    }
    std::fs::write(tools.node().join("documents.ts"), lines.join("\n"))?;
    std::fs::write(tools.node().join("documents.mjs"), checks.join("\n"))?;
    let mut problems: Vec<Option<String>> = documents
        .iter()
        .zip(&kinds)
        .map(|(document, kind)| match kind {
            None => Some("no kind that is known".to_owned()),
            Some(_) => (!document["metadata"]["name"].is_string()).then(|| "has no metadata.name".to_owned()),
        })
        .collect();

    let compiler = tools.node().join("node_modules/typescript/bin/tsc");
    let options = "--noEmit --strict --skipLibCheck --pretty false --module nodenext --moduleResolution nodenext documents.ts";
    let compiled =
        output(Command::new("node").current_dir(tools.node()).arg(compiler).args(options.split(' ')))?;
    let text = String::from_utf8_lossy(&compiled.stdout);
    for error in text.lines().filter(|line| line.starts_with("documents.ts(")) {
        let line =
            error["documents.ts(".len()..].split(',').next().and_then(|line| line.parse::<usize>().ok());
        let Some(problem) = line.and_then(|line| problems.get_mut(line.wrapping_sub(2))) else {
            bail!("tsc: {error}");
        };
        problem.get_or_insert_with(|| error.to_owned());
    }
    if !compiled.status.success() && problems.iter().all(Option::is_none) {
        bail!("tsc: {}", said(&compiled));
    }

    let checked = output(Command::new("node").current_dir(tools.node()).arg("documents.mjs"))?;
    if !checked.status.success() {
        bail!("node: {}", said(&checked));
    }
    for line in String::from_utf8_lossy(&checked.stdout).lines() {
        let (index, message) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(problem) = index.parse::<usize>().ok().and_then(|index| problems.get_mut(index)) {
            problem.get_or_insert_with(|| message.to_owned());
        }
    }
    Ok(problems)
}

fn is_known(kind: &str) -> bool {
    matches!(kind, "ServiceMonitor" | "PodMonitor")
}
