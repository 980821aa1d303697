//! `cargo dev manifest-test`: holds everything under `deploy/`, the workflows, `Dockerfile` and `compose.yaml` against schemas, and
//! shows that the checks find what they are for.
//!
//! Each document is checked as it is, and must pass. Then each of its keys in turn is misspelt, and each name that leads to another
//! place as well, and something must refuse that copy: the document's validator, or `fits`, which knows what the schemas leave
//! open. A mistake that nothing finds fails the run.
//!
//! In reading order: `tools` has the pinned validators, `render` the documents, `misspell` the mistakes; `kubernetes`,
//! `spinkube`, `prometheus` and `files` are the validators, and `fits` holds the documents against each other.

mod files;
mod fits;
mod kubernetes;
mod misspell;
mod prometheus;
mod render;
pub(crate) mod report;
mod spinkube;
pub(crate) mod tools;

pub use fits::ENTRY_POINT;
pub use tools::install_python_packages;

use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

use crate::repo_root;
use render::Rendered;
use report::Report;
use tools::Tools;

/// Runs all checks and prints a line for each.
///
/// # Errors
/// When a check fails, or a tool is missing.
pub async fn run() -> Result<()> {
    let begin = Instant::now();
    let root = repo_root();
    let tools = Tools::prepare(&root.join("deploy/validators"), "manifest-test").await?;
    let mut report = Report::default();
    let context = fits::Context::read(&root)?;
    for name in ["kubernetes", "spinkube"] {
        let rendered = render::render(&tools, &root, name, &context, &mut report)?;
        check(&tools, &rendered, &context, &mut report)?;
    }
    files::check(&tools, &root, &context, &mut report)?;
    report.verdict(begin.elapsed())
}

/// The documents of one kustomization: as they are, and with mistakes.
fn check(tools: &Tools, rendered: &Rendered, context: &fits::Context, report: &mut Report) -> Result<()> {
    let folder = &rendered.name;
    let documents = &rendered.documents;
    let problems = validate(tools, documents)?;
    let left_out = problems.iter().filter(|problem| problem.as_deref() == Some(spinkube::NO_SCHEMA)).count();
    if left_out > 0 {
        report.left_out(&format!(
            "{folder}: {left_out} documents of SpinKube, because {}",
            spinkube::NO_SCHEMA
        ));
    }
    let wrong: Vec<String> = documents
        .iter()
        .zip(&problems)
        .filter_map(|(document, problem)| Some((document, problem.as_ref()?)))
        .filter(|(_, problem)| *problem != spinkube::NO_SCHEMA)
        .map(|(document, problem)| format!("{}: {problem}", render::title(document)))
        .collect();
    report.check(&format!("{folder}: {} documents against their schemas", documents.len()), wrong);
    report.check(
        &format!("{folder}: names that lead from one document to another"),
        fits::problems(documents, context),
    );

    let mistakes = misspell::mistakes(documents, context);
    let copies: Vec<Value> = mistakes.iter().map(|mistake| mistake.document.clone()).collect();
    let refused = validate(tools, &copies)?;
    let (mut by_schema, mut by_fit) = (0, 0);
    let mut missed = Vec::new();
    for (mistake, problem) in mistakes.iter().zip(refused) {
        if problem.is_some_and(|problem| problem != spinkube::NO_SCHEMA) {
            by_schema += 1;
            continue;
        }
        let mut all = documents.clone();
        all[mistake.index] = mistake.document.clone();
        if !fits::problems(&all, context).is_empty() {
            by_fit += 1;
        } else if left_out == 0 || !spinkube::is_ours(&mistake.document) {
            missed.push(format!(
                "{}: nothing refuses {}",
                render::title(&documents[mistake.index]),
                mistake.what
            ));
        }
    }
    report.check(
        &format!(
            "{folder}: {} mistakes, {by_schema} refused by a schema, {by_fit} by another document",
            mistakes.len()
        ),
        missed,
    );
    Ok(())
}

/// What is wrong with each document, by the validator of its kind.
fn validate(tools: &Tools, documents: &[Value]) -> Result<Vec<Option<String>>> {
    let group = |document: &Value| {
        // A mistake may be in `apiVersion` itself: then the document is no other's.
        let version = document["apiVersion"].as_str().unwrap_or_default();
        if spinkube::is_ours(document) {
            1
        } else if version.starts_with("monitoring.coreos.com/") {
            2
        } else {
            0
        }
    };
    let mut problems = vec![None; documents.len()];
    for validator in 0..3 {
        let mine: Vec<usize> =
            (0..documents.len()).filter(|index| group(&documents[*index]) == validator).collect();
        if mine.is_empty() {
            continue;
        }
        let chosen: Vec<&Value> = mine.iter().map(|index| &documents[*index]).collect();
        let found = match validator {
            0 => kubernetes::validate(tools, &chosen)?,
            1 => spinkube::validate(tools, &chosen)?,
            _ => prometheus::validate(tools, &chosen)?,
        };
        for (index, problem) in mine.into_iter().zip(found) {
            problems[index] = problem;
        }
    }
    Ok(problems)
}
