use std::path::PathBuf;
use std::time::Instant;

use tokio::task::JoinSet;

use super::*;
use crate::postgres::{Options as ServerOptions, Server, remove};
use crate::repo_root;

/// A server, an empty database, and a folder of migrations that is just these.
struct Sandbox {
    server: Server,
    db: Database,
    folder: PathBuf,
}

/// What the first file of any folder makes.
const BEGINNING: &str = "SET LOCAL lock_timeout = '100ms';
    CREATE TABLE schema_migrations (version text PRIMARY KEY, applied_at timestamp DEFAULT now());
    CREATE TABLE schema_functions (id int PRIMARY KEY, checksum text, replaced_at timestamp);
    CREATE TABLE t (x int);
    INSERT INTO schema_migrations (version) VALUES ('0001_a');";

/// Does not take long.
const HASTY: Options =
    Options { lock_wait: Duration::from_secs(20), attempts: 3, pause: Duration::from_millis(10) };

impl Sandbox {
    async fn new() -> Result<Sandbox> {
        let server = Server::start(ServerOptions::for_tests()?).await?;
        let db = server.create_database("orders", None).await?;
        let folder = server.data_dir().with_extension("migrations");
        std::fs::create_dir_all(folder.join("functions"))?;
        let sandbox = Sandbox { server, db, folder };
        sandbox.write("0001_a.sql", BEGINNING)?;
        Ok(sandbox)
    }

    fn write(&self, name: &str, sql: &str) -> std::io::Result<()> {
        std::fs::write(self.folder.join(name), sql)
    }

    async fn apply(&self) -> Result<Vec<String>> {
        apply_with(&self.db, &self.folder, HASTY).await
    }

    async fn value(&self, sql: &str) -> Result<i64> {
        Ok(self.db.connect().await?.query_one(&format!("SELECT ({sql})::bigint"), &[]).await?.get(0))
    }

    async fn finish(self) -> Result<()> {
        let data_dir = self.server.data_dir().to_path_buf();
        self.server.stop().await;
        std::fs::remove_dir_all(&self.folder)?;
        remove(&data_dir)
    }
}

#[tokio::test]
async fn each_file_is_applied_once_and_in_order_and_a_bad_one_is_named() -> Result<()> {
    let sandbox = Sandbox::new().await?;
    // As the folder was before there were functions.
    std::fs::remove_dir(sandbox.folder.join("functions"))?;
    sandbox.write(
        "0002_b.sql",
        "ALTER TABLE t ADD y int; INSERT INTO schema_migrations (version) VALUES ('0002_b');",
    )?;
    sandbox.write("apply.sql", "no table file, and not even SQL")?;
    assert_eq!(sandbox.apply().await?, ["0001_a", "0002_b"]);
    assert!(sandbox.apply().await?.is_empty());

    sandbox.write("0003_c.sql", "CREATE TABLE u (x int);\n\nCREATE TABEL v (x int);")?;
    let error = sandbox.apply().await.unwrap_err().to_string();
    assert!(error.contains("0003_c.sql: syntax error at or near \"TABEL\" (42601), line 3"), "{error}");
    sandbox.write("0003_c.sql", "CREATE TABLE u (x int);")?;
    for _ in 0..2 {
        let error = sandbox.apply().await.unwrap_err().to_string();
        assert!(error.contains("does not insert its version '0003_c'"), "{error}");
    }
    sandbox.finish().await
}

#[tokio::test]
async fn the_functions_are_replaced_together_when_one_has_changed_and_none_is_dropped() -> Result<()> {
    let sandbox = Sandbox::new().await?;
    let function = |name: &str, body: &str| {
        let sql = format!("CREATE OR REPLACE FUNCTION {name}() RETURNS int LANGUAGE sql AS $$ {body} $$");
        sandbox.write(&format!("functions/{name}.sql"), &sql)
    };
    // It calls one that is created after it.
    function("one", "SELECT two() + 1")?;
    function("two", "SELECT 10")?;
    assert_eq!(sandbox.apply().await?, ["0001_a", FUNCTIONS]);
    assert_eq!(sandbox.value("one()").await?, 11);
    assert!(sandbox.apply().await?.is_empty());

    function("two", "SELECT 20")?;
    sandbox.write("functions/zero.sql", "CREATE FUNCTON zero()")?;
    let error = sandbox.apply().await.unwrap_err().to_string();
    assert!(
        error.contains("functions/zero.sql: syntax error at or near \"FUNCTON\" (42601), line 1"),
        "{error}"
    );
    assert_eq!(sandbox.value("one()").await?, 11, "all or none");

    std::fs::remove_file(sandbox.folder.join("functions/zero.sql"))?;
    std::fs::remove_file(sandbox.folder.join("functions/one.sql"))?;
    assert_eq!(sandbox.apply().await?, [FUNCTIONS]);
    assert_eq!(sandbox.value("one()").await?, 21, "a copy of the version before may call it");
    assert!(sandbox.apply().await?.is_empty());
    sandbox.finish().await
}

#[tokio::test]
async fn a_file_that_does_not_get_its_lock_is_tried_again_and_then_tells_so() -> Result<()> {
    let sandbox = Sandbox::new().await?;
    sandbox.apply().await?;
    sandbox.write(
        "0002_b.sql",
        "SET LOCAL lock_timeout = '100ms'; CREATE TABLE u (); ALTER TABLE t ADD y int;
         INSERT INTO schema_migrations (version) VALUES ('0002_b');",
    )?;
    let mut reader = sandbox.db.connect().await?;
    let reading = reader.transaction().await?;
    reading.execute("LOCK TABLE t IN ACCESS SHARE MODE", &[]).await?;
    let error = sandbox.apply().await.unwrap_err().to_string();
    assert!(
        error.starts_with(
            "0002_b was not applied: canceling statement due to lock timeout (55P03), 3 times; nothing of it was changed"
        ),
        "{error}"
    );
    assert_eq!(sandbox.value("SELECT count(*) FROM pg_class WHERE relname = 'u'").await?, 0);

    // Somebody who reads for a while is waited for.
    let options = Options { attempts: 1000, ..HASTY };
    let apply = apply_with(&sandbox.db, &sandbox.folder, options);
    let read_on = async {
        let watch = sandbox.db.connect().await?;
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        while watch.query_one(waits, &[]).await?.get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        reading.commit().await?;
        anyhow::Ok(())
    };
    let (applied, read) = tokio::join!(apply, read_on);
    read?;
    assert_eq!(applied?, ["0002_b"]);
    sandbox.finish().await
}

#[tokio::test]
async fn deployments_take_turns_and_none_waits_for_ever() -> Result<()> {
    let sandbox = Sandbox::new().await?;
    let mut runs = JoinSet::new();
    for _ in 0..8 {
        let (db, folder) = (sandbox.db.clone(), sandbox.folder.clone());
        runs.spawn(async move { apply_with(&db, &folder, HASTY).await });
    }
    let mut applied = Vec::new();
    while let Some(run) = runs.join_next().await {
        applied.extend(run??);
    }
    assert_eq!(applied, ["0001_a"]);

    let other = sandbox.db.connect().await?;
    other.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    let begun = Instant::now();
    let options = Options { lock_wait: Duration::from_millis(200), ..HASTY };
    let error = apply_with(&sandbox.db, &sandbox.folder, options).await.unwrap_err().to_string();
    assert!(error.starts_with("another deployment has been at work on this database for 200ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(other);
    assert!(sandbox.apply().await?.is_empty());
    sandbox.finish().await
}

#[tokio::test]
async fn a_database_of_a_version_under_development_is_told_and_one_of_a_later_version_is_not() -> Result<()> {
    let sandbox = Sandbox::new().await?;
    sandbox.apply().await?;
    let client = sandbox.db.connect().await?;
    client.batch_execute("INSERT INTO schema_migrations (version) VALUES ('0002_of_later')").await?;
    assert!(sandbox.apply().await?.is_empty(), "the version before may be deployed again");
    client
        .batch_execute("UPDATE schema_migrations SET version = '0001_tables' WHERE version = '0001_a'")
        .await?;
    let error = sandbox.apply().await.unwrap_err().to_string();
    assert!(error.contains("under development (it has 0001_tables)"), "{error}");
    assert!(error.ends_with("`cargo dev reset`") && !error.contains('\n'), "{error}");
    sandbox.finish().await
}

#[test]
fn the_generated_files_for_psql_are_up_to_date() -> Result<()> {
    let stale = stale(&repo_root().join("migrations"))?;
    assert!(stale.is_empty(), "run `cargo dev migrate --refresh` and commit what it writes: {stale:?}");
    Ok(())
}

#[test]
fn every_file_says_what_it_must() -> Result<()> {
    let folder = repo_root().join("migrations");
    let files = Files::read(&folder)?;
    for table in &files.tables {
        let bound = table.sql.lines().find(|line| !line.is_empty() && !line.starts_with("--"));
        assert_eq!(bound, Some("SET LOCAL lock_timeout = '2s';"), "{}", table.version);
    }
    for function in &files.functions {
        let (contract, code) = function.sql.split_once("CREATE OR REPLACE FUNCTION ").expect("a function");
        assert!(
            contract.lines().all(|line| line.starts_with("--")) && !contract.is_empty(),
            "{}",
            function.name
        );
        assert_eq!(code.split('(').next(), Some(&*function.name));
        assert!(!code.contains("CREATE "), "{} is one function", function.name);
    }
    let apply = std::fs::read_to_string(folder.join("apply.sql"))?;
    assert!(apply.contains(&format!("pg_advisory_lock({LOCK})")), "apply.sql takes another lock");
    Ok(())
}

#[test]
fn a_changed_set_of_functions_replaces_the_one_that_it_was() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("order-dev-replaces-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("functions"))?;
    std::fs::write(folder.join("0001_a.sql"), BEGINNING)?;
    let set = |text: &str| -> Result<String> {
        std::fs::write(folder.join("functions/f.sql"), text)?;
        refresh(&folder)?;
        assert!(stale(&folder)?.is_empty());
        Ok(Files::read(&folder)?.checksum())
    };
    let replaces = || Files::read(&folder).map(|files| files.replaces);
    let first = set("SELECT 1")?;
    assert!(replaces()?.is_empty());
    let second = set("SELECT 2")?;
    assert_eq!(replaces()?, std::slice::from_ref(&first));
    let third = set("SELECT 3")?;
    assert_eq!(replaces()?, [first.clone(), second.clone()]);
    // Taken back: the version in between would replace it as one of before its own.
    let error = set("SELECT 2").unwrap_err().to_string();
    assert!(error.starts_with("the functions are again those of an earlier version"), "{error}");
    let again = set("SELECT 2 -- again")?;
    assert_eq!(replaces()?, [first, second, third]);

    // In the middle of a merge.
    let generated = folder.join("psql/files.sql");
    let other = "0".repeat(64);
    let ours = std::fs::read_to_string(&generated)?;
    std::fs::write(
        &generated,
        format!("<<<<<<< ours\n{ours}=======\n\\set checksum {other}\n>>>>>>> theirs\n"),
    )?;
    set("SELECT 4")?;
    assert_eq!(replaces()?[3..], [again, other]);
    let list = folder.join(files::REPLACES);
    std::fs::write(&list, format!("{}=======\n", std::fs::read_to_string(&list)?))?;
    let error = set("SELECT 5").unwrap_err().to_string();
    assert!(error.contains("\"=======\" is no checksum"), "{error}");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
