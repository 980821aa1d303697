//! Migrations by the entry point: with the start, by a job of their own, and by several copies at once.

use anyhow::{Context, Result};

use super::{ends_with, require};
use crate::image::checks::Checks;
use crate::image::container::Container;
use crate::image::fixture::Fixture;

/// The lock of migrations/apply.sql.
const LOCK: &str = "SELECT pg_advisory_lock(122537101324915)";
const COPIES: u16 = 5;
const FIRST_PORT: u16 = 4200;

pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    checks.note(
        "MIGRATE=off on an empty database: 503 `no schema`, and 200 once MIGRATE=only has run",
        by_a_job(fixture).await,
    );
    checks.note("five copies start at once on an empty database", at_once(fixture).await);
    checks.note("a start waits for another deployment, and goes on after it", behind_another(fixture).await);
    checks.note("it gives up after MIGRATE_WAIT, and says why", gives_up(fixture).await);
    checks.note("a role that may not migrate is told at once", without_rights(fixture).await);
    Ok(())
}

async fn by_a_job(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let mut service = fixture.start_service("off", &fixture.run(&database).and("MIGRATE", "off"))?;
    service.wait_for_line("Serving http").await?;
    let answer = fixture.health(&fixture.service, 503).await?;
    require(answer.to_string().contains("no schema"), answer.to_string())?;
    let (good, _) = service.exec(&fixture.runtime.health_check()?).await?;
    require(!good, "the health check is good on an empty database")?;
    // The job knows the database alone.
    let mut job = fixture.run(&database).and("MIGRATE", "only");
    job.environment.retain(|(name, _)| name.starts_with("DATABASE_") || name == "MIGRATE");
    ends_with(&mut fixture.start_service("only", &job)?, 0, &["Applied 0001"]).await?;
    ends_with(&mut fixture.start_service("only-again", &job)?, 0, &["Nothing to apply."]).await?;
    fixture.health(&fixture.service, 200).await?;
    service.stop().await.map(drop)
}

async fn at_once(fixture: &mut Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let mut copies: Vec<(Container, String)> = Vec::new();
    for number in 0..COPIES {
        let port = FIRST_PORT + number;
        let base = fixture.network.publish(port).await?;
        let run = fixture.run(&database).and("PORT", &port.to_string());
        copies.push((fixture.start_service(&format!("copy-{number}"), &run)?, base));
    }
    let mut applied = 0;
    for (port, (container, base)) in (FIRST_PORT..).zip(&mut copies) {
        container.wait_for_line("Serving http").await?;
        fixture.health(base, 200).await?;
        fixture.place(base, port, 15_750).await?;
        applied += container.lines().iter().filter(|line| line.starts_with("Applied ")).count();
    }
    require(applied == 1, format!("{applied} of them have applied migrations"))?;
    for (container, _) in &mut copies {
        container.stop().await?;
    }
    Ok(())
}

async fn behind_another(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let other = database.connect().await?;
    other.batch_execute(LOCK).await?;
    let job = fixture.run(&database).and("MIGRATE", "only");
    let mut container = fixture.start_service("behind", &job)?;
    super::waits_for_a_lock(&other).await?;
    require(container.runs()?, "it has ended")?;
    drop(other);
    ends_with(&mut container, 0, &["Applied 0001"]).await
}

async fn gives_up(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let job = fixture.run(&database).and("MIGRATE", "only").and("MIGRATE_WAIT", "2");
    let nobody = job.clone().and("DATABASE_PORT", "1");
    let lines = [
        "waiting for the database, 2 s at most: psql: error: ",
        "could not be applied within 2 s: psql: error: ",
    ];
    ends_with(&mut fixture.start_service("nobody", &nobody)?, 1, &lines).await.context("no server")?;
    let other = database.connect().await?;
    other.batch_execute(LOCK).await?;
    let mut container = fixture.start_service("locked", &job)?;
    let status = container.ended().await?;
    let last = container.lines().pop().unwrap_or_default();
    let told = last.contains("could not be applied within 2 s") && last.contains("another deployment");
    require(status.code() == Some(1) && told, format!("{status}: {last}"))
}

async fn without_rights(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let client = database.connect().await?;
    client.batch_execute(&format!("ALTER DATABASE {} OWNER TO postgres", database.name)).await?;
    let job = fixture.run(&database).and("MIGRATE", "only");
    ends_with(&mut fixture.start_service("no-rights", &job)?, 1, &["the migrations cannot be applied: "])
        .await
}
