//! After a failover the old primary may be alive and read-only, and does not know what was written since. So every statement of the
//! component is refused there (25006), or its answer says that it comes from such a server: only then is another server asked.

use std::collections::BTreeSet;

use order_dev::{migrations, repo_root};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::contract::{called, parameters_of, sql_files};
use crate::support::*;

/// Statements whose answer need not say so, each with the reason.
const EXEMPT: [(&str, &str); 2] = [
    ("end_session", "it ends its own session, whatever server that leads to"),
    ("end_old_session", "it ends its own session, whatever server that leads to"),
];

/// Of what each kind of row there is one; and of some there is none.
const IDS: [&str; 7] = [
    "NULL",
    "'01980000-0000-7000-8000-000000000001'", // an order with a payment, a check and a message
    "'01980000-0000-7000-8000-000000000002'", // an order that has just been placed
    "'01980000-0000-7000-8000-000000000003'", // the payment of the first order
    "'01980000-0000-7000-8000-000000000004'", // the payment of its check
    "'01980000-0000-7000-8000-000000000005'", // its message
    "'01980000-0000-7000-8000-000000000006'", // nothing
];

/// Fills the tables with them.
const ROWS: &str = "
    SELECT insert_order('01980000-0000-7000-8000-000000000001', 'known', 'known', 101, 101, '{1}', 'INR', 600, 870, 60000, NULL, '{http}'),
           insert_order('01980000-0000-7000-8000-000000000002', 'new', 'known', 101, 101, '{2}', 'INR', 600, 870, 60000, NULL, '{http}');
    UPDATE orders SET version = 2, payment_id = '01980000-0000-7000-8000-000000000003', payment_status = 'PENDING'
        WHERE id = '01980000-0000-7000-8000-000000000001';
    SELECT add_payment_check('01980000-0000-7000-8000-000000000001', '01980000-0000-7000-8000-000000000004', 8, 0);
    INSERT INTO outbox (id, order_id, seq, kind, payload, due_at) VALUES ('01980000-0000-7000-8000-000000000005',
        '01980000-0000-7000-8000-000000000001', 2, 'ORDER_CONFIRMED', '{}', timezone('utc', now()));
    SELECT flush_counters(gen_random_uuid(), '[]');";

/// What a parameter is given, one after the other: what decides which way a function takes has several values.
fn values(name: &str, kind: &str) -> &'static [&'static str] {
    match (name, kind) {
        ("p_key", _) => &["'known'", "'new'", "'free'"],
        ("p_hash", _) => &["'known'", "'other'"],
        ("p_seats", _) => &["'{1}'", "'{3}'"],
        ("p_event", "integer") => &["101"],
        ("p_status" | "p_ticket", _) => &["NULL", "'x'"],
        ("p_limit", _) => &["0", "8"],
        ("p_version", _) => &["1", "2"],
        ("p_wait_ms" | "p_delay_ms", _) => &["NULL", "1"],
        ("p_outcome", _) => &["NULL", "'REFUNDED'"],
        ("p_more", _) => &["NULL", "'{\"claims\": \"drop\"}'"],
        (_, "uuid") => &IDS,
        (_, "uuid[]") => &["NULL", "'{}'"],
        (_, "integer" | "bigint") => &["1"],
        (_, "boolean") => &["true"],
        (_, "text") => &["'x'"],
        (_, "jsonb") => &["'{}'"],
        (_, "text[]" | "integer[]") => &["NULL"],
        _ => panic!("{name}: give a value of type {kind}"),
    }
}

/// The statement with each combination of values for `$1`, `$2`, ….
fn calls(statement: &str) -> Vec<String> {
    let mut calls = vec![statement.to_owned()];
    let functions = sql_files("migrations/functions");
    for function in called(statement).into_iter().filter(|name| functions.contains_key(*name)) {
        // From the last to the first, because `$1` is the beginning of `$10`.
        for (index, (name, kind)) in parameters_of(function).iter().enumerate().rev() {
            let parameter = format!("${}", index + 1);
            let with = |call: &String| -> Vec<String> {
                values(name, kind).iter().map(|value| call.replace(&parameter, value)).collect()
            };
            calls = calls.iter().flat_map(with).collect();
        }
    }
    calls
}

/// Whether the service sees that the answer comes from a read-only server: by its last column, or the last element of that.
fn is_marked(row: &Row) -> bool {
    let last = row.len() - 1;
    let elements = row.try_get::<_, Option<Vec<Option<&str>>>>(last).ok().flatten();
    let text = row.try_get::<_, Option<&str>>(last).ok().flatten();
    elements.and_then(|elements| elements.last().copied().flatten()).or(text) == Some("read-only")
}

/// What is wrong with a read-only server's answer to a statement; nothing when it is refused, or marked where marks are looked for.
async fn objection(client: &Client, sql: &str, marks_are_read: bool) -> Option<String> {
    match client.query(sql, &[]).await {
        Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => None,
        Err(error) => Some(format!("{sql}: {error:?}")),
        Ok(rows) if marks_are_read && rows.len() == 1 && is_marked(&rows[0]) => None,
        Ok(rows) => Some(format!("{sql}: answered with {rows:?}")),
    }
}

/// Statements of many rows, in which the service looks for no mark: a read-only server must refuse them.
fn statements_of_many_rows() -> BTreeSet<String> {
    let files = std::fs::read_dir(repo_root().join("src/db")).unwrap().map(|entry| entry.unwrap().path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let texts: Vec<String> = rust.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let calls = texts.iter().flat_map(|text| text.split("query_all(").skip(1));
    let names = calls.filter_map(|call| call.split_once("include_str!(\"sql/")?.1.split_once(".sql\""));
    names.map(|(name, _)| name.to_owned()).collect()
}

async fn read_only_session() -> Client {
    let database = empty_database().await;
    migrations::apply(&database).await.unwrap();
    let client = database.connect().await.unwrap();
    client.batch_execute(ROWS).await.unwrap();
    client.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_server_refuses_every_statement_or_says_that_it_may_be_behind() {
    let client = read_only_session().await;
    let mut statements = sql_files("src/db/sql");
    for (name, why) in EXEMPT {
        assert!(statements.remove(name).is_some(), "{name} ({why}) is no statement any more");
    }
    let of_many_rows = statements_of_many_rows();
    assert!(of_many_rows.contains("claim_due_orders"), "{of_many_rows:?}");
    let mut objections = Vec::new();
    for (name, statement) in &statements {
        for call in calls(statement) {
            let found = objection(&client, &call, !of_many_rows.contains(name)).await;
            objections.extend(found.map(|what| format!("{name}: {what}")));
        }
    }
    assert!(
        objections.is_empty(),
        "a read-only server must refuse these statements of src/db/sql (require_writable_server), or their answers must end with \
         'read-only': {objections:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_a_read_only_server_that_does_not_say_so_is_found() {
    let client = read_only_session().await;
    let is_found = async |sql: &str| objection(&client, sql, true).await.is_some();
    for unmarked in [
        "SELECT count(*) FROM orders",
        "SELECT status FROM orders",
        "SELECT id FROM orders WHERE false",
        "SELECT ARRAY['read-only', 'x']",
        "SELECT ARRAY[]::text[]",
        "SELECT 'read-only', NULL::text",
        "SELECT nothing",
    ] {
        assert!(is_found(unmarked).await, "{unmarked}");
    }
    for marked in
        ["SELECT ARRAY['x', 'read-only']", "SELECT 1, 'read-only'", "DELETE FROM orders WHERE false"]
    {
        assert!(!is_found(marked).await, "{marked}");
    }
    assert!(objection(&client, "SELECT 'read-only'", false).await.is_some(), "nobody looks for a mark");
}
