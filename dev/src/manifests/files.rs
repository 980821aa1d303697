//! What is no Kubernetes document: workflows, `compose.yaml`, `Dockerfile`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::fits;
use super::misspell;
use super::report::Report;
use super::tools::{Tools, output, said};

/// Checks those files that are there.
///
/// # Errors
/// When a tool cannot be run.
pub fn check(tools: &Tools, root: &Path, context: &fits::Context, report: &mut Report) -> Result<()> {
    let checker = Checker { tools, root, context };
    for (folder, schema) in [("workflows", "vendor.github-workflows"), ("actions", "vendor.github-actions")] {
        for path in yaml_files(&root.join(".github").join(folder))? {
            checker.with_schema(&path, schema, report)?;
        }
    }
    tool(
        root,
        report,
        ".github",
        Command::new(tools.program("zizmor")).args(["--offline", "--no-progress", "--quiet", ".github"]),
    )?;
    tool(root, report, "Dockerfile", Command::new(tools.program("hadolint")).arg("Dockerfile"))?;
    for script in ["deploy/container/entrypoint.sh", ".ci/run"] {
        tool(root, report, script, Command::new(tools.program("shellcheck")).arg(script))?;
    }
    let compose = root.join("compose.yaml");
    if compose.is_file() {
        checker.with_schema(&compose, "vendor.compose-spec", report)?;
    }
    for profile in ["none", "observe"] {
        let mut command = Command::new(tools.program("docker-compose"));
        command.args(["--file", "compose.yaml", "--profile", profile, "config", "--quiet"]);
        tool(root, report, "compose.yaml", &mut command)?;
    }
    Ok(())
}

/// A tool that is content with the file.
fn tool(root: &Path, report: &mut Report, file: &str, command: &mut Command) -> Result<()> {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let shown = format!("{name} {}", arguments.join(" "));
    if !root.join(file).exists() {
        report.left_out(&format!("{file} is not there: {shown}"));
        return Ok(());
    }
    let output = output(command.current_dir(root))?;
    // A warning on standard error is a failure, too.
    let clean = output.status.success() && (name != "docker-compose" || output.stderr.is_empty());
    report.check(
        &format!("{file}: {shown}"),
        if clean { vec![] } else { said(&output).lines().map(str::to_owned).collect() },
    );
    Ok(())
}

/// What files are held against.
struct Checker<'a> {
    tools: &'a Tools,
    root: &'a Path,
    context: &'a fits::Context,
}

impl Checker<'_> {
    /// The file against a schema, and its keys misspelt.
    fn with_schema(&self, path: &Path, schema: &str, report: &mut Report) -> Result<()> {
        let shown = path.strip_prefix(self.root).unwrap_or(path).display().to_string();
        let text = std::fs::read_to_string(path)?;
        let document = self.tools.yaml(&text)?.pop().with_context(|| format!("{shown} is empty"))?;
        let schema = ["--builtin-schema", schema];
        let problems = check_jsonschema(self.tools, &schema, &[&document])?;
        report.check(&format!("{shown}: {}", schema[1]), problems.into_iter().flatten().collect());
        report.check(&format!("{shown}: names that lead somewhere"), self.rules(&document)?);

        let copies = misspell::keys(&document);
        let chosen: Vec<&Value> = copies.iter().map(|(_, copy)| copy).collect();
        let refused = check_jsonschema(self.tools, &schema, &chosen)?;
        let (mut by_schema, mut by_rule, mut free) = (0, 0, 0);
        let mut missed = Vec::new();
        for ((pointer, copy), problem) in copies.iter().zip(refused) {
            if problem.is_some() {
                by_schema += 1;
            } else if !self.rules(copy)?.is_empty() {
                by_rule += 1;
            } else if is_free(pointer) {
                free += 1;
            } else {
                missed.push(format!("nothing refuses the misspelt key {pointer}"));
            }
        }
        let what = format!(
            "{shown}: {} misspelt keys, {by_schema} refused by the schema, {by_rule} by what leads nowhere then; {free} are free names",
            copies.len()
        );
        report.check(&what, missed);
        Ok(())
    }

    /// What the schemas of workflows and compose files leave open.
    fn rules(&self, document: &Value) -> Result<Vec<String>> {
        if document["services"].is_null() {
            return Ok(workflow_rules(document));
        }
        let mut problems = Vec::new();
        let environment = document["services"]["order-service"]["environment"].as_object();
        for (name, _) in environment.into_iter().flatten().filter(|(name, _)| !self.context.reads(name)) {
            problems.push(format!("the service reads no {name}"));
        }
        let dockerfile = std::fs::read_to_string(self.root.join("Dockerfile")).unwrap_or_default();
        let services = document["services"].as_object().into_iter().flatten();
        for (name, _) in
            services.flat_map(|(_, service)| service["build"]["args"].as_object().into_iter().flatten())
        {
            if !dockerfile.lines().any(|line| line.starts_with(&format!("ARG {name}="))) {
                problems.push(format!("Dockerfile has no ARG {name}"));
            }
        }
        if !problems.is_empty() {
            return Ok(problems);
        }
        // Services and volumes that others name.
        let copy = self.tools.folder("compose")?.join("compose.json");
        std::fs::write(&copy, document.to_string())?;
        let mut command = Command::new(self.tools.program("docker-compose"));
        command
            .env("COMPOSE_PROFILES", "*")
            .arg("--project-directory")
            .arg(self.root)
            .arg("--file")
            .arg(copy);
        let output = output(command.args(["config", "--quiet"]))?;
        Ok(if output.status.success() { vec![] } else { vec![said(&output)] })
    }
}

/// Names that the file itself gives, and that nothing in the repository leads to.
fn is_free(pointer: &str) -> bool {
    let segments: Vec<&str> = pointer.split('/').skip(1).collect();
    match segments[..] {
        ["jobs" | "services", _] => true,
        [.., "env" | "environment" | "outputs", _] => true,
        _ => segments[0].starts_with("x-"),
    }
}

/// The inputs of the actions that the workflows use, as their `action.yml` has them.
const INPUTS: [(&str, &[&str]); 9] = [
    ("actions/checkout", &["persist-credentials"]),
    ("actions/cache", &["path", "key"]),
    ("actions/upload-artifact", &["name", "path", "if-no-files-found", "retention-days"]),
    ("actions/download-artifact", &["pattern", "merge-multiple", "path"]),
    ("sigstore/cosign-installer", &["cosign-release"]),
    ("docker/setup-buildx-action", &["cache-binary"]),
    ("docker/login-action", &["registry", "username", "password"]),
    ("docker/build-push-action", &["context", "target", "push", "provenance", "tags", "build-args"]),
    (
        "anchore/sbom-action",
        &[
            "image",
            "registry-username",
            "registry-password",
            "format",
            "output-file",
            "upload-artifact",
            "upload-release-assets",
        ],
    ),
];

/// Inputs of actions, and expressions that lead nowhere.
fn workflow_rules(document: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let jobs = document["jobs"].as_object().into_iter().flatten().map(|(_, job)| job);
    for step in jobs.chain([&document["runs"]]).flat_map(|job| job["steps"].as_array().into_iter().flatten())
    {
        let Some(uses) = step["uses"].as_str().filter(|uses| !uses.starts_with("$/")) else { continue };
        let action = uses.split('@').next().unwrap_or_default();
        let known = INPUTS.iter().find(|(name, _)| *name == action).map_or(&[][..], |(_, inputs)| inputs);
        for (input, _) in step["with"].as_object().into_iter().flatten() {
            if !known.contains(&input.as_str()) {
                problems.push(format!("{action} has no input {input}"));
            }
        }
    }
    let text = document.to_string();
    for (job, _) in document["jobs"].as_object().into_iter().flatten() {
        problems.extend(unknown_needs(&document["jobs"][job], &document["jobs"]));
    }
    // `needs.version.outputs.x` and `matrix.x` must be there.
    for expression in text.split("${{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim) {
        let parts: Vec<&str> = expression.split('.').collect();
        let there = match parts[..] {
            ["needs", job, "outputs", name] => !document["jobs"][job]["outputs"][name].is_null(),
            ["matrix", name] => has_matrix(document, name),
            ["steps", step, "outputs", _] => text.contains(&format!("\"id\":\"{step}\"")),
            _ => true,
        };
        if !there {
            problems.push(format!("{expression} leads nowhere"));
        }
    }
    problems
}

fn unknown_needs(job: &Value, jobs: &Value) -> Vec<String> {
    let needs: Vec<&str> = match &job["needs"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    needs
        .into_iter()
        .filter(|name| jobs[*name].is_null())
        .map(|name| format!("there is no job {name}"))
        .collect()
}

fn has_matrix(document: &Value, name: &str) -> bool {
    let jobs = document["jobs"].as_object().into_iter().flatten();
    let mut matrices = jobs.map(|(_, job)| &job["strategy"]["matrix"]).filter(|matrix| matrix.is_object());
    matrices.any(|matrix| {
        let included = matrix["include"].as_array().map_or(&[][..], Vec::as_slice);
        !matrix[name].is_null() || !included.is_empty() && included.iter().all(|row| !row[name].is_null())
    })
}

/// What a schema finds wrong in each document.
///
/// # Errors
/// When `check-jsonschema` cannot be run.
pub fn check_jsonschema(tools: &Tools, schema: &[&str], documents: &[&Value]) -> Result<Vec<Option<String>>> {
    let mut problems = vec![None; documents.len()];
    if documents.is_empty() {
        return Ok(problems);
    }
    let folder = tools.folder("check-jsonschema")?;
    let name = |index: usize| format!("{index}.json");
    for (index, document) in documents.iter().enumerate() {
        std::fs::write(folder.join(name(index)), document.to_string())?;
    }
    let mut command = Command::new(tools.program("check-jsonschema"));
    command.args(["--output-format", "json"]).args(schema).args((0..documents.len()).map(name));
    let output = output(command.current_dir(&folder))?;
    let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    let errors = ["errors", "parse_errors"]
        .map(|member| answer[member].as_array().cloned().unwrap_or_default())
        .concat();
    for error in &errors {
        let file = error["filename"].as_str().unwrap_or_default();
        let index = file.strip_suffix(".json").and_then(|index| index.parse::<usize>().ok());
        let Some(problem) = index.and_then(|index| problems.get_mut(index)) else {
            bail!("check-jsonschema: {error}")
        };
        problem.get_or_insert_with(|| format!("{} {}", error["path"], error["message"]));
    }
    if !output.status.success() && errors.is_empty() {
        bail!("check-jsonschema: {}", said(&output));
    }
    Ok(problems)
}

/// The YAML files of a folder and of those below it; none where there is no such folder.
fn yaml_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(yaml_files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
