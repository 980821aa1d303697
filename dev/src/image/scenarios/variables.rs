//! The ways in which the service gets its variables.

use anyhow::{Context, Result};

use super::require;
use crate::image::checks::Checks;
use crate::image::container::{Container, Run};
use crate::image::fixture::{Fixture, PASSWORD, PORT};

/// 150.00 with 5 % tax, and with 10 %.
const TOTAL_5: u64 = 15_750;
const TOTAL_10: u64 = 16_500;

pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    checks.note(
        "plain upper-case variables: an order is placed and read, also without --read-only",
        plain(fixture).await,
    );
    checks.note("secrets from files (_FILE)", from_files(fixture).await);
    checks.note("SPIN_VARIABLE_ goes before a plain one", spin_variables(fixture).await);
    checks.note(
        "a wrong variable: 503 at /health names it, with one log line, and the health check is bad",
        wrong(fixture).await,
    );
    checks.note("a wrong DATABASE_PORT, and a wrong PEERS_HTTP, likewise", wrong_elsewhere(fixture).await);
    checks.note("PORT, RUNTIME_CONFIG and Spin's own options are taken", options(fixture).await);
    Ok(())
}

async fn plain(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    for writable in [false, true] {
        let run = Run { writable, ..fixture.run(&database) };
        let mut container = serving(fixture, "plain", &run).await?;
        fixture.health(&fixture.service, 200).await?;
        fixture.place(&fixture.service, PORT, TOTAL_5).await?;
        let (good, said) = container.exec(&fixture.runtime.health_check()?).await?;
        require(good, format!("the health check is bad: {said}"))?;
        let (_, said) = container
            .exec(&["sh", "-c", "id -u; touch /x 2>/dev/null || echo refused"].map(str::to_owned))
            .await?;
        require(said == "10001\nrefused", format!("in the container: {said}"))?;
        let (_, said) =
            container.exec(&["sh", "-c", "cat /proc/1/cmdline; cat /app/log/*"].map(str::to_owned)).await?;
        require(said.contains("spin") && !said.contains("secret"), format!("process 1 is {said:?}"))?;
        require(!container.lines().join("\n").contains("secret"), "the password is in the output")?;
        container.stop().await?;
    }
    Ok(())
}

async fn from_files(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let mut run = fixture.run(&database).without("DATABASE_PASSWORD").without("TAX_PERCENT");
    for (name, text) in [
        ("DATABASE_PASSWORD", format!("{PASSWORD}\n")),
        ("TAX_PERCENT", "10\r\n".into()),
        ("INTERNAL_TOKEN", "tok en\n".into()),
    ] {
        let (file, place) = fixture.secret(&name.to_lowercase(), &text)?;
        run = run.and(&format!("{name}_FILE"), &place);
        run.mounts.push((file, place));
    }
    let mut container = serving(fixture, "files", &run).await?;
    fixture.health(&fixture.service, 200).await?;
    fixture.place(&fixture.service, PORT, TOTAL_10).await?;
    let stuck = format!("{}/internal/stuck", fixture.service);
    let answers = [fixture.get(&stuck, Some("tok en")).await?.0, fixture.get(&stuck, Some("token")).await?.0];
    require(answers[0] == 200 && answers[1] != 200, format!("the token's answers are {answers:?}"))?;
    container.stop().await.map(drop)
}

async fn spin_variables(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let plain = fixture.run(&database);
    let named =
        plain.environment.iter().map(|(name, value)| (format!("SPIN_VARIABLE_{name}"), value.clone()));
    let run = Run { mounts: plain.mounts.clone(), ..Run::with(named) };
    let run =
        run.and("SPIN_VARIABLE_TAX_PERCENT", "10").and("TAX_PERCENT", "5").and("DATABASE_PASSWORD", "wrong");
    let mut container = serving(fixture, "spin-variables", &run).await?;
    fixture.place(&fixture.service, PORT, TOTAL_10).await?;
    container.stop().await.map(drop)
}

async fn wrong(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let run = fixture.run(&database).and("TAX_PERCENT", "abc");
    let mut container = serving(fixture, "wrong", &run).await?;
    let (status, answer) = fixture.get(&format!("{}/health", fixture.service), None).await?;
    require(status == 503 && answer.to_string().contains("tax_percent"), format!("{status} {answer}"))?;
    container.wait_for_line("tax_percent").await?;
    let lines = container.lines();
    let about: Vec<&String> = lines.iter().filter(|line| line.contains("tax_percent")).collect();
    require(about.len() == 1, format!("lines about it: {about:?}"))?;
    let (good, _) = container.exec(&fixture.runtime.health_check()?).await?;
    require(!good, "the health check is good")?;
    container.stop().await.map(drop)
}

/// What psql refuses, and what Spin would silently deny every host for.
async fn wrong_elsewhere(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    for (name, value) in [("DATABASE_PORT", "abc"), ("PEERS_HTTP", "http://sandbox:4010/catalog")] {
        let mut container =
            serving(fixture, "wrong-elsewhere", &fixture.run(&database).and(name, value)).await?;
        let (status, answer) = fixture.get(&format!("{}/health", fixture.service), None).await?;
        let is_named = answer.to_string().contains(&name.to_lowercase());
        require(status == 503 && is_named, format!("{name}: {status} {answer}"))?;
        container.stop().await?;
    }
    Ok(())
}

async fn options(fixture: &mut Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let base = fixture.network.publish(4103).await?;
    let run = fixture
        .run(&database)
        .and("PORT", "4103")
        .and("RUNTIME_CONFIG", "few-connections")
        .and("SPIN_MAX_INSTANCE_COUNT", "50");
    let run = Run { command: Some(vec!["--max-instance-reuse-count".into(), "7".into()]), ..run };
    let mut container = serving(fixture, "options", &run).await?;
    fixture.place(&base, 4103, TOTAL_5).await?;
    let (_, said) = container.exec(&["cat", "/proc/1/environ"].map(str::to_owned)).await?;
    require(
        said.contains("/app/runtime-config/few-connections.toml"),
        "the runtime configuration is another one",
    )?;
    let (good, said) = container.exec(&fixture.runtime.health_check()?).await?;
    require(good, format!("the health check does not look at PORT: {said}"))?;
    container.stop().await.map(drop)
}

async fn serving(fixture: &Fixture<'_>, name: &str, run: &Run) -> Result<Container> {
    let mut container = fixture.start_service(name, run)?;
    container.wait_for_line("Serving http").await.with_context(|| name.to_owned())?;
    Ok(container)
}
