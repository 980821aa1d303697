//! `cargo dev docs-test`: tries what people who integrate meet, with a service that runs: the page of `GET /docs` in a browser
//! (`tests/browser/`), and the TypeScript client of `docs/client/`, whose types must be those of `docs/openapi.json`,
//! and the commands of `docs/API.md`.
//!
//! In reading order: `tools` finds the browser and installs the packages, `service` starts what all talk to, `guide` runs
//! the commands.

mod guide;
mod service;
mod tools;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::component;
use crate::repo_root;
use service::Service;
use tools::Tools;

/// The types that `openapi-typescript` makes of the document.
const TYPES: &str = "docs/client/src/schema.d.ts";

/// Where the screenshots are that people look at.
const SCREENSHOTS: &str = "docs/screenshots";

/// Runs all of it. With `refresh` it first writes the client's types anew, and in the end the screenshots below `docs/`.
///
/// # Errors
/// When a test fails, the types are not those of the document, or something that is needed is missing.
pub async fn run(refresh: bool) -> Result<()> {
    let begin = Instant::now();
    let root = repo_root();
    let tools = Tools::prepare(&root).await?;
    check_types(&root, &tools, refresh).await?;
    tools.copy_sources(&root)?;
    component::run(tools.node_program("client", "tsc").arg("--project").arg("tsconfig.json")).await?;

    let service = Service::start().await?;
    let commands = guide::run(&root, &service).await;
    let mut client = tools.node("client");
    client.args(["--test", "--test-reporter=spec", "dist/test/orders.test.js"]);
    let client = component::run(service.environment(&mut client)).await;
    let screenshots = if refresh { root.join(SCREENSHOTS) } else { tools.folder().join("screenshots") };
    std::fs::create_dir_all(&screenshots)?;
    let mut browser = tools.node("browser");
    browser.args(["--test", "--test-reporter=spec", "--test-concurrency=1"]);
    browser.env("CHROMIUM", tools.chromium()).env("SCREENSHOTS", &screenshots);
    let page = component::run(service.environment(&mut browser)).await;
    service.stop().await?;
    commands?;
    client.context("the client's tests")?;
    page.context("the page's tests")?;
    println!("The page and the client are as they should be, after {} s.", begin.elapsed().as_secs());
    println!("Screenshots are in {}.", screenshots.display());
    Ok(())
}

/// Makes the types of the document, and compares them with those of the repository.
async fn check_types(root: &Path, tools: &Tools, refresh: bool) -> Result<()> {
    let made = tools.folder().join("schema.d.ts");
    let mut command: Command = tools.node_program("client", "openapi-typescript");
    command.arg(root.join("docs/openapi.json")).arg("--output").arg(&made);
    component::output(&mut command).await?;
    let made = std::fs::read_to_string(made)?;
    let file = root.join(TYPES);
    if refresh {
        return Ok(std::fs::write(file, made)?);
    }
    let committed = std::fs::read_to_string(&file).with_context(|| format!("reading {TYPES}"))?;
    if committed != made {
        bail!("{TYPES} is not what docs/openapi.json gives: run `cargo dev docs-test --refresh`");
    }
    println!("The types of the client are those of docs/openapi.json.");
    Ok(())
}
