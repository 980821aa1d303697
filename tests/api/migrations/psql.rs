//! `psql -f migrations/apply.sql`, which must do what the runner does.

use std::process::Stdio;

use order_dev::postgres::Database;
use order_dev::{migrations, repo_root};
use tokio::process::Command;

use crate::inherited;
use crate::support::*;

/// How psql ended, and what it said.
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Applies the migrations by psql alone, from a folder that has nothing to do with them.
async fn psql(database: &Database, more: &[&str]) -> Run {
    let program = server().program("psql").get_program().to_owned();
    let mut command = Command::new(program);
    command.current_dir("/").arg("-X").args(more).arg("-f").arg(repo_root().join("migrations/apply.sql"));
    command.args(["-h", &database.host, "-p", &database.port.to_string(), "-U", &database.user]);
    command.arg(&database.name).env("PGPASSWORD", &database.password).stdin(Stdio::null());
    let output = command.output().await.expect("psql runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Run { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Run {
    #[track_caller]
    fn applied(&self) -> &str {
        assert_eq!((self.status, &*self.err), (Some(0), ""), "{}", self.out);
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        self.out.trim_end()
    }

    /// The last line of what went wrong.
    #[track_caller]
    fn refused(&self) -> &str {
        assert_eq!(self.status, Some(3), "{}{}", self.out, self.err);
        self.err.lines().last().expect("a line")
    }
}

const NOTHING: &str = "Nothing to apply.";

/// An empty database, and one that the service before this one filled.
async fn databases() -> [Database; 2] {
    let inherited = empty_database().await;
    Store::new(inherited.clone()).run(inherited::DATABASE).await;
    [empty_database().await, inherited]
}

/// Everything that the migrations make: what two databases must have in common.
async fn made(database: &Database) -> Vec<Value> {
    let store = Store::new(database.clone());
    store
        .rows(
            "SELECT * FROM (
                SELECT 'column' AS kind, concat_ws(' ', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod),
                       attnotnull, pg_get_expr(adbin, adrelid)) AS text
                FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) AND attnum > 0
                UNION ALL SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace
                UNION ALL SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
                UNION ALL SELECT 'view', definition FROM pg_views WHERE schemaname = 'public'
                UNION ALL SELECT 'function', pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                UNION ALL SELECT 'version', version FROM schema_migrations
                UNION ALL SELECT 'checksum', checksum FROM schema_functions
                UNION ALL SELECT 'order', (to_jsonb(o) - 'phase_since' - 'updated_at')::text FROM orders o
                UNION ALL SELECT 'claim', to_jsonb(c)::text FROM seat_claims c
                UNION ALL SELECT 'count', to_jsonb(c)::text FROM order_counts c
                UNION ALL SELECT 'failures', to_jsonb(c)::text FROM failure_counts c
             ) x ORDER BY kind, text",
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_one_of_both_the_other_has_nothing_to_do_and_the_database_is_the_same() {
    for (by_psql, by_runner) in databases().await.into_iter().zip(databases().await) {
        let applied = migrations::apply(&by_runner).await.unwrap();
        assert_eq!(psql(&by_runner, &[]).await.applied(), NOTHING);
        assert_eq!(psql(&by_psql, &[]).await.applied(), format!("Applied {}.", applied.join(" ")));
        assert_eq!(psql(&by_psql, &[]).await.applied(), NOTHING);
        assert!(migrations::apply(&by_psql).await.unwrap().is_empty());
        let (one, other) = (made(&by_psql).await, made(&by_runner).await);
        assert!(one.len() > 150, "{one:?}");
        assert_eq!(one, other);

        // The set of functions of a version before is replaced by either.
        let stale = format!("UPDATE schema_functions SET checksum = '{}'", a_set_before());
        Store::new(by_psql.clone()).run(&stale).await;
        assert_eq!(psql(&by_psql, &[]).await.applied(), "Applied functions.");
        Store::new(by_psql.clone()).run(&stale).await;
        assert_eq!(migrations::apply(&by_psql).await.unwrap(), [migrations::FUNCTIONS]);
        assert_eq!(made(&by_psql).await, other);
    }
}

/// The checksum of a set of functions that the present one replaces.
fn a_set_before() -> String {
    let list = std::fs::read_to_string(repo_root().join("migrations/functions/replaces.txt")).unwrap();
    list.lines().last().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn psql_does_not_put_the_functions_of_an_older_version_back_unless_it_is_told_to() {
    let database = empty_database().await;
    migrations::apply(&database).await.unwrap();
    let store = Store::new(database.clone());
    store.run("UPDATE schema_functions SET checksum = 'newer'").await;
    let left = psql(&database, &[]).await;
    assert_eq!((left.status, &*left.err), (Some(0), ""), "{}", left.out);
    let mut lines = left.out.lines();
    assert_eq!(lines.next(), Some(NOTHING));
    let second = lines.next().expect("a line about the functions");
    assert!(second.starts_with("The functions were left as they are"), "{second}");
    assert_eq!(store.rows("SELECT checksum FROM schema_functions").await[0]["checksum"], "newer");
    // Who asks for it, and who develops, gets the functions of the tree.
    assert_eq!(psql(&database, &["-v", "replace_functions=true"]).await.applied(), "Applied functions.");
    store.run("UPDATE schema_functions SET checksum = 'newer'").await;
    assert_eq!(migrations::apply(&database).await.unwrap(), [migrations::FUNCTIONS]);
    assert_eq!(psql(&database, &[]).await.applied(), NOTHING);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_at_once_take_turns() {
    for database in databases().await {
        let (a, b, c, d) = tokio::join!(
            psql(&database, &[]),
            migrations::apply(&database),
            psql(&database, &[]),
            migrations::apply(&database),
        );
        let idle = [a.applied(), c.applied()].into_iter().filter(|told| *told == NOTHING).count()
            + [b.unwrap(), d.unwrap()].iter().filter(|applied| applied.is_empty()).count();
        assert_eq!(idle, 3, "one of them does it all");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_deployment_is_waited_for_and_not_for_ever() {
    let database = empty_database().await;
    // One in the middle of its work.
    let other = database.connect().await.unwrap();
    other.batch_execute("SELECT pg_advisory_lock(122537101324915)").await.unwrap();
    let refused = psql(&database, &["-v", "lock_wait=200ms"]).await;
    assert!(refused.refused().contains("another deployment has been at work on this database for 200ms"));
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
    let (applied, ()) = tokio::join!(psql(&database, &[]), async {
        eventually("psql waits", async || {
            let waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
            (!other.query(waits, &[]).await.unwrap().is_empty()).then_some(())
        })
        .await;
        other.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
    });
    assert!(applied.applied().ends_with(" functions."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_reads_for_too_long_is_left_as_it_is() {
    let [_, database] = databases().await;
    let mut reader = database.connect().await.unwrap();
    let reading = reader.transaction().await.unwrap();
    reading.batch_execute("LOCK TABLE orders IN ACCESS SHARE MODE").await.unwrap();
    let refused = psql(&database, &[]).await;
    let told = refused.refused();
    assert!(
        told.contains("0001_orders was not applied: it waited too long for a lock; nothing of it"),
        "{told}"
    );
    let versions = reading.query("SELECT to_regclass('schema_migrations')::text", &[]).await.unwrap();
    assert_eq!(versions[0].get::<_, Option<String>>(0), None);
    reading.commit().await.unwrap();
    assert!(psql(&database, &[]).await.applied().starts_with("Applied 0001_orders "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_version_under_development_is_told() {
    let database = empty_database().await;
    Store::new(database.clone())
        .run(
            "CREATE TABLE schema_migrations (version text PRIMARY KEY);
             INSERT INTO schema_migrations VALUES ('0001_tables'), ('0002_functions')",
        )
        .await;
    let refused = psql(&database, &[]).await;
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
    let by_runner = migrations::apply(&database).await.unwrap_err().to_string();
    assert!(refused.refused().ends_with(&by_runner), "{by_runner}\n{}", refused.err);
    assert!(by_runner.ends_with("`cargo dev reset`"), "{by_runner}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_of_the_database_need_not_be_a_superuser() {
    for (by_psql, mut database) in [true, false].into_iter().zip(databases().await) {
        let role = format!("owner_of_{}", database.name);
        let name = &database.name;
        Store::new(database.clone())
            .run(&format!(
                "CREATE ROLE {role} LOGIN; ALTER DATABASE {name} OWNER TO {role};
                 DO $$ DECLARE t regclass; BEGIN
                     FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
                         EXECUTE format('ALTER TABLE %s OWNER TO {role}', t);
                     END LOOP;
                 END $$"
            ))
            .await;
        database.user = role;
        if by_psql {
            assert!(psql(&database, &[]).await.applied().ends_with(" functions."));
        } else {
            migrations::apply(&database).await.unwrap();
        }
        assert_eq!(Store::new(database).value("SELECT read_metrics() IS NOT NULL").await, true);
    }
}
