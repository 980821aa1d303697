//! SIGTERM at every stage of a start.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;

use super::require;
use crate::image::checks::Checks;
use crate::image::fixture::Fixture;

/// A port at which PostgreSQL is not, and later is.
const LATE_PORT: u16 = 5433;

pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    checks.note("SIGTERM ends it while it serves, and nothing of it is left", serving(fixture).await);
    checks.note("SIGTERM ends it while it waits for a PostgreSQL that is not there", waiting(fixture).await);
    checks.note("SIGTERM ends it while psql waits for another deployment", migrating(fixture).await);
    checks.note("it starts when PostgreSQL comes late", late(fixture).await);
    let stopped = fixture.sandbox()?.stop().await;
    checks.note(
        "SIGTERM ends the sandbox",
        stopped.and_then(|status| require(status.success(), status.to_string())),
    );
    fixture.start_sandbox(Default::default()).await
}

async fn serving(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let mut container = fixture.start_service("term-serving", &fixture.run(&database))?;
    container.wait_for_line("Serving http").await?;
    fixture.health(&fixture.service, 200).await?;
    container.stop().await?;
    let answer = fixture.get(&format!("{}/health/live", fixture.service), None).await;
    require(answer.is_err(), "somebody still answers")
}

async fn waiting(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let run = fixture.run(&database).and("DATABASE_PORT", &LATE_PORT.to_string());
    let mut container = fixture.start_service("term-waiting", &run)?;
    container.wait_for_line("waiting for the database, 60 s at most").await?;
    let status = container.stop().await?;
    require(status.code() == Some(143), format!("it ends with {status}: {:?}", container.lines()))
}

async fn migrating(fixture: &Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let other = database.connect().await?;
    other.batch_execute("SELECT pg_advisory_lock(122537101324915)").await?;
    let mut container = fixture.start_service("term-migrating", &fixture.run(&database))?;
    super::waits_for_a_lock(&other).await?;
    let status = container.stop().await?;
    require(status.code() == Some(143), format!("it ends with {status}: {:?}", container.lines()))
}

async fn late(fixture: &mut Fixture<'_>) -> Result<()> {
    let database = fixture.database().await?;
    let run = fixture.run(&database).and("DATABASE_PORT", &LATE_PORT.to_string());
    let mut container = fixture.start_service("late", &run)?;
    container.wait_for_line("waiting for the database").await?;
    fixture.network.lead_out(SocketAddrV4::new(Ipv4Addr::LOCALHOST, LATE_PORT), fixture.server.port())?;
    container.wait_for_line("Serving http").await?;
    fixture.health(&fixture.service, 200).await?;
    container.stop().await.map(drop)
}
