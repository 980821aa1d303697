//! Requests by schemathesis: all of its checks, in all of its phases.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::narrowed::narrowed;
use super::service::{Authentication, FIRST_SEAT, INTERNAL_TOKEN, Service, USERS, token_of};
use super::{Options, VALIDATORS};
use crate::manifests::report::Report;
use crate::manifests::tools::Tools;

/// Starts the service, and lets schemathesis loose on it.
///
/// # Errors
/// When something cannot be started. What schemathesis finds is reported.
pub async fn run(
    tools: &Tools,
    root: &Path,
    document: &Value,
    authentication: Authentication,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let folder = tools.folder(&format!("authentication-{authentication:?}").to_lowercase())?;
    let service = Service::start(authentication, &folder.join("logs")).await?;
    let file = folder.join("openapi.json");
    std::fs::write(&file, narrowed(document, authentication).to_string())?;
    let settings = folder.join("schemathesis.toml");
    std::fs::write(&settings, config(root, &folder, authentication)?)?;
    let mut command = Command::new(tools.program("schemathesis"));
    command.arg("--config-file").arg(settings).arg("run").arg(file);
    command.args(["--url", &service.base_url, "--checks", "all", "--no-color"]);
    command.args(["--max-examples", &options.examples.to_string(), "--seed", &options.seed.to_string()]);
    // For hooks.py.
    command.env("FIRST_SEAT", FIRST_SEAT.to_string());
    // It says itself what it does and finds.
    let run = move || command.current_dir(folder).stdin(Stdio::null()).status();
    let status = tokio::task::spawn_blocking(run).await?.context("starting schemathesis")?;
    let mut problems = if status.success() { Vec::new() } else { vec!["see above".to_owned()] };
    problems.extend(service.missing_orders(authentication).await?);
    let shown = format!("{authentication:?}").to_lowercase();
    report.check(&format!("schemathesis, {} examples, authentication {shown}", options.examples), problems);
    drop(service);
    Ok(())
}

/// The settings of a run: those of the repository, and who sends the requests.
fn config(root: &Path, folder: &Path, authentication: Authentication) -> Result<String> {
    let path = root.join(VALIDATORS).join("schemathesis.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut config: toml::Table = text.parse()?;
    let hooks = root.join(VALIDATORS).join("hooks.py");
    config.insert("hooks".to_owned(), hooks.to_string_lossy().into_owned().into());
    let auth = match authentication {
        Authentication::Off => json!({ "openapi": { "internalToken": { "bearer": INTERNAL_TOKEN } } }),
        Authentication::On => {
            let users = USERS.map(|user| user.to_string());
            std::fs::write(folder.join("users.json"), users_file()?.to_string())?;
            json!({ "wfc": { "path": "users.json", "peers": &users[..2], "user": &users[0] } })
        }
    };
    config.insert("auth".to_owned(), toml::Value::try_from(auth)?);
    if authentication == Authentication::On {
        // Both users' tokens are valid.
        let accepted = config["checks"]["positive_data_acceptance"]["expected-statuses"].as_array_mut();
        accepted.context("expected-statuses")?.retain(|status| status.as_integer() != Some(401));
    }
    Ok(toml::to_string(&config)?)
}

/// Users with their tokens, in the format of Web Fuzzing Commons. None may see what is another one's.
fn users_file() -> Result<Value> {
    let mut users = Vec::new();
    for user in &USERS[..2] {
        let header = json!({ "name": "Authorization", "value": format!("Bearer {}", token_of(*user)?) });
        users.push(json!({ "name": user.to_string(), "fixedHeaders": [header] }));
    }
    Ok(json!({ "auth": users }))
}
