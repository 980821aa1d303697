//! What is tried with the images. Each scenario notes its checks and goes on after one that does not hold.

mod compose;
mod contents;
mod migrations;
mod refusals;
mod stopping;
mod variables;

use anyhow::{Result, bail};

use super::checks::Checks;
use super::container::Container;
use super::fixture::Fixture;

/// All of them.
///
/// # Errors
/// When they cannot go on.
pub(super) async fn run(fixture: &mut Fixture<'_>, checks: &mut Checks) -> Result<()> {
    contents::run(fixture, checks).await?;
    refusals::run(fixture, checks).await?;
    variables::run(fixture, checks).await?;
    migrations::run(fixture, checks).await?;
    stopping::run(fixture, checks).await?;
    compose::run(fixture, checks).await
}

/// That it ends with this exit status, and has said this much and no more.
async fn ends_with(container: &mut Container, status: i32, lines: &[&str]) -> Result<()> {
    let ended = container.ended().await?;
    let said = container.lines();
    if ended.code() != Some(status) {
        bail!("it ends with {ended}, and not with {status}: {said:?}");
    }
    let fits = said.len() == lines.len() && said.iter().zip(lines).all(|(line, part)| line.contains(part));
    if !fits {
        bail!("it says {said:?}, and not {lines:?}");
    }
    Ok(())
}

/// An error unless it holds.
fn require(holds: bool, otherwise: impl Into<String>) -> Result<()> {
    if holds { Ok(()) } else { bail!(otherwise.into()) }
}

/// Waits until a session waits for an advisory lock of this client's database.
async fn waits_for_a_lock(client: &tokio_postgres::Client) -> Result<()> {
    let waits = async || {
        let statement = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        Ok(!client.query(statement, &[]).await?.is_empty())
    };
    super::fixture::wait_for("psql waits for the lock", waits).await
}
