//! The documents as `kubectl kustomize` makes them, and the kustomizations themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::fits;
use super::misspell;
use super::report::Report;
use super::tools::{Tools, output, said};

/// A kustomization's documents.
pub struct Rendered {
    /// Its folder in `deploy/`.
    pub name: String,
    /// With the parts that need custom resources of others.
    pub documents: Vec<Value>,
}

/// `Deployment order-service`.
pub fn title(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{} {}", text(&document["kind"]), text(&document["metadata"]["name"]))
}

/// Renders `deploy/<name>` from a copy with example secrets, and checks its kustomizations.
///
/// # Errors
/// When it cannot be rendered.
pub fn render(
    tools: &Tools,
    root: &Path,
    name: &str,
    context: &fits::Context,
    report: &mut Report,
) -> Result<Rendered> {
    let folder = tools.folder(name)?;
    copy(&root.join("deploy").join(name), &folder)?;
    let secrets = folder.join("secrets.env");
    let example = std::fs::read_to_string(folder.join("secrets.env.example"))?;

    let refused = kustomize(tools, &folder).is_err();
    let what = format!("{name}: without secrets.env nothing is rendered");
    report.check(&what, if refused { vec![] } else { vec!["it was rendered".into()] });
    std::fs::write(&secrets, &example)?;
    let keys = tools.yaml(&kustomize(tools, &folder)?)?;
    let keys = keys
        .iter()
        .filter(|document| document["kind"] == "Secret" && !document["data"]["DATABASE_PASSWORD"].is_null());
    let what = format!("{name}: with the example's lines left as they are the keys are missing");
    report.check(&what, keys.map(title).collect());

    let filled: Vec<&str> = example
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(line)
        })
        .collect();
    std::fs::write(&secrets, filled.join("\n"))?;
    // The parts that need custom resources of others are commented out.
    let file = folder.join("kustomization.yaml");
    let text = std::fs::read_to_string(&file)?;
    let with_components = text.replace("# components:\n#   - ", "components:\n  - ");
    if with_components == text {
        bail!("{} has no components that are commented out", file.display());
    }
    std::fs::write(&file, with_components)?;
    let documents = tools.yaml(&kustomize(tools, &folder)?)?;
    let missed = misspelt_kustomizations(tools, &folder, context)?;
    report.check(&format!("{name}: {} mistakes in its kustomizations are refused", missed.0), missed.1);
    Ok(Rendered { name: name.to_owned(), documents })
}

/// Misspells each key of each kustomization in turn. Gives how many, and those that kubectl renders all the same, to documents that
/// fit together.
fn misspelt_kustomizations(
    tools: &Tools,
    folder: &Path,
    context: &fits::Context,
) -> Result<(usize, Vec<String>)> {
    let (mut count, mut missed) = (0, Vec::new());
    for file in kustomizations(folder)? {
        let text = std::fs::read_to_string(&file)?;
        let document = tools.yaml(&text)?.pop().with_context(|| format!("{} is empty", file.display()))?;
        for (path, copy) in misspell::keys(&document) {
            std::fs::write(&file, copy.to_string())?;
            count += 1;
            let Ok(text) = kustomize(tools, folder) else { continue };
            if fits::problems(&tools.yaml(&text)?, context).is_empty() {
                missed.push(format!("{}: {path}", file.display()));
            }
        }
        std::fs::write(&file, text)?;
    }
    Ok((count, missed))
}

fn kustomizations(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(kustomizations(&path)?);
        } else if path.file_name().is_some_and(|name| name == "kustomization.yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn kustomize(tools: &Tools, folder: &Path) -> Result<String> {
    let output = output(Command::new(tools.program("kubectl")).arg("kustomize").arg(folder))?;
    if !output.status.success() {
        bail!("kubectl kustomize {}: {}", folder.display(), said(&output));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        // Somebody's real secrets stay where they are.
        if entry.file_name() == "secrets.env" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
