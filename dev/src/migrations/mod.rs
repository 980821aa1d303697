//! Applies `migrations/`: table files in order, each once, and the functions as a set whenever they have changed.
//!
//! `migrations/apply.sql` does the same with nothing but `psql`; after one of both ran, the other has nothing to do.

mod error;
mod files;
mod psql;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::Database;
use error::explain;
use files::{Files, TableFile};

pub use psql::{refresh, stale};

/// The advisory lock under which one deployment at a time works on a database; the same as in `migrations/apply.sql`.
const LOCK: i64 = 0x6f72_6465_7273;

/// What stands for the functions among the versions that were applied.
pub const FUNCTIONS: &str = "functions";

/// How patient a run is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For how long another deployment is waited for.
    pub lock_wait: Duration,
    /// How often a file is tried that does not get a table's lock within the time that it sets itself (`lock_timeout`).
    pub attempts: u32,
    /// The pause after the first of these attempts; each further one is twice as long.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { lock_wait: Duration::from_secs(60), attempts: 6, pause: Duration::from_secs(1) }
    }
}

/// Brings `db` to the state of the repository's `migrations/`, and returns what was applied: versions (file names without
/// `.sql`), and [`FUNCTIONS`] when the functions were replaced.
///
/// # Errors
/// When a file fails, a lock is not to be had, or a version under development made the database.
pub async fn apply(db: &Database) -> Result<Vec<String>> {
    apply_folder(db, &crate::repo_root().join("migrations")).await
}

/// The same for any folder, also one without `functions/`. Its table files are named `NNNN_….sql`. Each runs in one
/// transaction and records itself in `schema_migrations (version, applied_at)` as its last statement. A folder with
/// functions has a table file that makes `schema_functions (id, checksum, replaced_at)`.
///
/// # Errors
/// As [`apply`].
pub async fn apply_folder(db: &Database, folder: &Path) -> Result<Vec<String>> {
    apply_with(db, folder, Options::default()).await
}

/// The same, as patient as one likes.
///
/// # Errors
/// As [`apply`].
pub async fn apply_with(db: &Database, folder: &Path, options: Options) -> Result<Vec<String>> {
    let files = Files::read(folder)?;
    let mut client = db.connect().await?;
    // Where the service looks for its tables, whatever the role's own path is.
    client.batch_execute("SET search_path = public, pg_temp").await?;
    // The role may have that of the service's sessions (deploy/pgbouncer/session-settings.sql).
    client.batch_execute("SET statement_timeout = 0").await?;
    take_lock(&client, options.lock_wait).await?;
    let known = versions(&client).await?;
    refuse_versions_under_development(&files, &known)?;
    let mut applied = Vec::new();
    let tables = files.tables.iter().filter(|table| !known.contains(&table.version)).map(Step::Table);
    let functions = (!files.functions.is_empty()).then_some(Step::Functions(&files));
    for step in tables.chain(functions) {
        if patiently(&mut client, step, options).await? {
            applied.push(step.name().to_owned());
        }
    }
    Ok(applied)
}

/// What is applied in one transaction.
#[derive(Clone, Copy)]
enum Step<'a> {
    Table(&'a TableFile),
    Functions(&'a Files),
}

impl Step<'_> {
    fn name(&self) -> &str {
        match self {
            Step::Table(table) => &table.version,
            Step::Functions(_) => FUNCTIONS,
        }
    }

    /// False when there was nothing to do.
    async fn run(self, client: &mut Client) -> Result<bool, Failure> {
        match self {
            Step::Table(table) => apply_table(client, table).await.map(|()| true),
            Step::Functions(files) => replace_functions(client, files).await,
        }
    }
}

/// The lock is the session's: it ends with the connection, however that ends.
async fn take_lock(client: &Client, wait: Duration) -> Result<()> {
    client.batch_execute(&format!("SET lock_timeout = {}", wait.as_millis())).await?;
    match client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await {
        Ok(_) => Ok(client.batch_execute("RESET lock_timeout").await?),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => bail!(
            "another deployment has been at work on this database for {wait:?}: nothing was changed; run this again when it \
             is over"
        ),
        Err(error) => Err(error).context("waiting for other deployments"),
    }
}

/// A number of ours under another name: such a database existed only while the service was developed.
fn refuse_versions_under_development(files: &Files, known: &[String]) -> Result<()> {
    let number = |version: &str| version.chars().take(files::DIGITS).collect::<String>();
    let is_ours = |version: &str| files.tables.iter().any(|table| table.version == version);
    let is_taken = |version: &str| files.tables.iter().any(|table| number(&table.version) == number(version));
    match known.iter().find(|version| !is_ours(version) && is_taken(version)) {
        None => Ok(()),
        Some(other) => bail!(
            "this database was made by a version of the service under development (it has {other}): drop it and begin with \
             an empty one; for that of `cargo dev up`: `cargo dev reset`"
        ),
    }
}

/// Tries again, after ever longer pauses, what gave up because it waited too long for a lock, and so changed nothing.
async fn patiently(client: &mut Client, step: Step<'_>, options: Options) -> Result<bool> {
    let what = step.name();
    let mut pause = options.pause;
    for attempt in 1.. {
        match step.run(client).await {
            Ok(done) => return Ok(done),
            Err(Failure::Locked(why)) if attempt < options.attempts => {
                eprintln!("{what}: {why} (attempt {attempt} of {}); again in {pause:?}", options.attempts);
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(Failure::Locked(why)) => bail!(
                "{what} was not applied: {why}, {attempt} times; nothing of it was changed; run this again when there is \
                 less to do"
            ),
            Err(Failure::Other(error)) => return Err(error),
        }
    }
    unreachable!("the last attempt returns")
}

/// Why something was not applied. Nothing of it was changed.
enum Failure {
    /// It waited too long for a lock, or somebody else waited for its locks.
    Locked(String),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Other(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        Failure::Other(error.into())
    }
}

/// The failure of a file's text.
fn failed(error: &tokio_postgres::Error, file: &Path, sql: &str) -> Failure {
    let told = explain(error, sql);
    match error.code() {
        Some(code) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => {
            Failure::Locked(told)
        }
        _ => Failure::Other(anyhow::anyhow!("migration {}: {told}", file.display())),
    }
}

async fn apply_table(client: &mut Client, table: &TableFile) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    if let Err(error) = transaction.batch_execute(&table.sql).await {
        return Err(failed(&error, &table.path, &table.sql));
    }
    let recorded = "SELECT EXISTS (SELECT FROM schema_migrations WHERE version::text = $1)";
    let recorded = transaction.query_one(recorded, &[&table.version]).await;
    if !recorded.is_ok_and(|row| row.get(0)) {
        let (file, version) = (table.path.display(), &table.version);
        return Err(Failure::Other(anyhow::anyhow!(
            "migration {file} does not insert its version '{version}' into schema_migrations"
        )));
    }
    Ok(transaction.commit().await.with_context(|| format!("migration {}: commit", table.path.display()))?)
}

/// Replaces all functions in one transaction, so that nobody sees some of the old and some of the new; none is dropped,
/// because a copy of the version before may call it. False when they are those that are installed.
async fn replace_functions(client: &mut Client, files: &Files) -> Result<bool, Failure> {
    let checksum = files.checksum();
    let transaction = client.transaction().await?;
    // In whatever order: a function may name others that come later.
    transaction.batch_execute("SET LOCAL lock_timeout = '2s'; SET LOCAL check_function_bodies = off").await?;
    let known = "SELECT EXISTS (SELECT FROM schema_functions WHERE checksum = $1)";
    if transaction.query_one(known, &[&checksum]).await.context("reading schema_functions")?.get(0) {
        return Ok(false);
    }
    for function in &files.functions {
        if let Err(error) = transaction.batch_execute(&function.sql).await {
            return Err(failed(&error, &function.path, &function.sql));
        }
    }
    let record = "INSERT INTO schema_functions (id, checksum) VALUES (1, $1)
                  ON CONFLICT (id) DO UPDATE SET checksum = excluded.checksum, replaced_at = timezone('utc', now())";
    transaction.execute(record, &[&checksum]).await?;
    transaction.commit().await.context("replacing the functions")?;
    Ok(true)
}

async fn versions(client: &Client) -> Result<Vec<String>> {
    let exists = client.query_one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query("SELECT version::text FROM schema_migrations ORDER BY 1", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests;
