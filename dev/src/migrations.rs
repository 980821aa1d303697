//! Applies `migrations/*.sql`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, GenericClient};

use crate::postgres::Database;

/// Any number that only this runner uses: two runners on one database take turns.
const LOCK: i64 = 0x6f72_6465_7273;

/// Applies the repository's migrations that `db` does not have yet, in the order of their file names, and returns the
/// versions (file names without `.sql`) that it applied.
pub async fn apply(db: &Database) -> Result<Vec<String>> {
    apply_folder(db, &crate::repo_root().join("migrations")).await
}

/// The same for the `*.sql` files of any folder. Each file runs in one transaction and records itself in
/// `schema_migrations (version, applied_at)` as its last statement, so that it also can be applied with `psql -1 -f`.
pub async fn apply_folder(db: &Database, folder: &Path) -> Result<Vec<String>> {
    let files = sql_files(folder)?;
    let mut client = db.connect().await?;
    client
        .query_one("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await
        .context("waiting for other migrations")?;
    let known = versions(&client).await?;
    let mut applied = Vec::new();
    for (version, file) in files {
        if !known.contains(&version) {
            apply_file(&mut client, &version, &file).await?;
            applied.push(version);
        }
    }
    Ok(applied)
}

async fn apply_file(client: &mut Client, version: &str, file: &Path) -> Result<()> {
    let sql = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let transaction = client.transaction().await?;
    if let Err(error) = transaction.batch_execute(&sql).await {
        bail!("migration {}: {}", file.display(), explain(&error, &sql));
    }
    transaction.commit().await.with_context(|| format!("migration {}: commit", file.display()))?;
    if !versions(client).await?.contains(version) {
        bail!("migration {} does not insert its version '{version}' into schema_migrations", file.display());
    }
    Ok(())
}

/// PostgreSQL counts the place of an error in characters; people count lines.
fn explain(error: &tokio_postgres::Error, sql: &str) -> String {
    let Some(db) = error.as_db_error() else {
        return format!("{:#}", anyhow!(error.to_string()));
    };
    let mut text = format!("{} ({})", db.message(), db.code().code());
    if let Some(ErrorPosition::Original(position)) = db.position() {
        let line = sql.chars().take(*position as usize).filter(|c| *c == '\n').count() + 1;
        text += &format!(", line {line}");
    }
    for more in [db.detail(), db.hint(), db.where_()].into_iter().flatten() {
        text += &format!("\n  {more}");
    }
    text
}

async fn versions(client: &impl GenericClient) -> Result<HashSet<String>> {
    let exists = client.query_one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(HashSet::new());
    }
    let rows = client.query("SELECT version::text FROM schema_migrations", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn sql_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql")
            && let Some(version) = path.file_stem().and_then(|stem| stem.to_str())
        {
            files.push((version.to_owned(), path));
        }
    }
    if files.is_empty() {
        bail!("{} has no .sql files", folder.display());
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{Options, Server, remove};

    #[tokio::test]
    async fn each_file_is_applied_once_and_in_order_and_a_bad_one_is_named() -> Result<()> {
        let server = Server::start(Options::for_tests()?).await?;
        let db = server.create_database("orders", None).await?;
        let data_dir = server.data_dir().to_path_buf();
        let folder = data_dir.with_extension("migrations");
        std::fs::create_dir_all(&folder)?;
        let write = |name: &str, sql: &str| std::fs::write(folder.join(name), sql);
        write(
            "0002_b.sql",
            "ALTER TABLE t ADD y int; INSERT INTO schema_migrations (version) VALUES ('0002_b');",
        )?;
        write(
            "0001_a.sql",
            "CREATE TABLE schema_migrations (version text PRIMARY KEY, applied_at timestamp DEFAULT now());
             CREATE TABLE t (x int);
             INSERT INTO schema_migrations (version) VALUES ('0001_a');",
        )?;
        assert_eq!(apply_folder(&db, &folder).await?, ["0001_a", "0002_b"]);
        assert!(apply_folder(&db, &folder).await?.is_empty());

        write("0003_c.sql", "CREATE TABLE u (x int);\n\nCREATE TABEL v (x int);")?;
        let error = apply_folder(&db, &folder).await.unwrap_err().to_string();
        assert!(error.contains("0003_c.sql: syntax error at or near \"TABEL\" (42601), line 3"), "{error}");
        write("0003_c.sql", "CREATE TABLE u (x int);")?;
        let error = apply_folder(&db, &folder).await.unwrap_err().to_string();
        assert!(error.contains("does not insert its version '0003_c'"), "{error}");

        server.stop().await;
        std::fs::remove_dir_all(&folder)?;
        remove(&data_dir)
    }
}
