//! The built-in kinds, against the schemas of a recent Kubernetes (`kubernetes-validate`, strict).

use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use super::tools::{Tools, output, said};

/// The version whose schemas are used.
const VERSION: &str = "1.36";

/// What is wrong with each document.
///
/// # Errors
/// When the validator cannot be run.
pub fn validate(tools: &Tools, documents: &[&Value]) -> Result<Vec<Option<String>>> {
    // It prints a line for each document of a file, but ends in the middle where one has no name to print.
    let named = |document: &Value| document["metadata"]["name"].is_string();
    let (with_name, without): (Vec<usize>, Vec<usize>) =
        (0..documents.len()).partition(|index| named(documents[*index]));
    let file = tools.folder("kubernetes-validate")?.join("documents.yaml");
    let mut problems = vec![None; documents.len()];
    for index in without {
        problems[index] = Some("has no metadata.name".to_owned());
    }
    let texts: Vec<String> = with_name.iter().map(|index| documents[*index].to_string()).collect();
    std::fs::write(&file, texts.join("\n---\n"))?;
    let output = output(
        Command::new(tools.program("kubernetes-validate")).args(["-k", VERSION, "--strict"]).arg(&file),
    )?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| ["INFO ", "WARN ", "ERROR "].iter().any(|level| line.starts_with(level)))
        .collect();
    if lines.len() != with_name.len() {
        bail!(
            "kubernetes-validate told of {} of {} documents: {}",
            lines.len(),
            with_name.len(),
            said(&output)
        );
    }
    for (index, line) in with_name.into_iter().zip(lines) {
        problems[index] = (!line.starts_with("INFO ")).then(|| line.to_owned());
    }
    Ok(problems)
}
