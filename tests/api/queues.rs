//! Queues and counters while an old snapshot keeps everything that died: the statements, asked of PostgreSQL directly.

use futures::future::join_all;
use order_dev::migrations;
use tokio_postgres::Client;

use crate::support::*;

/// A session as the service opens them.
async fn session(store: &Store) -> Client {
    let client = store.database().connect().await.unwrap();
    client
        .batch_execute(
            "SET timezone = 'UTC'; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
             SET enable_bitmapscan = off; SET jit = off",
        )
        .await
        .unwrap();
    client
}

/// A migrated database without a service.
async fn migrated() -> Store {
    let database = empty_database().await;
    migrations::apply(&database).await.unwrap();
    Store::new(database)
}

/// In each queue so many rows that are due in an hour, and as many dead index entries from an hour ago.
fn filled_queues(count: u32) -> String {
    format!(
        "INSERT INTO orders (idempotency_key, request_hash, user_id, event_id, seats, phase, due_at)
         SELECT 'key-' || n, 'hash', 1, 1, ARRAY[n], 'reserving', timezone('utc', now()) - interval '1 hour'
         FROM generate_series(1, {count}) n;
         INSERT INTO payment_refunds (payment_id, order_id, created_at, due_at) SELECT id, id, created_at, due_at FROM orders;
         INSERT INTO outbox (id, order_id, kind, payload, due_at) SELECT id, id, 'ORDER_FAILED', '{{}}', due_at FROM orders;
         INSERT INTO event_deliveries (order_id, sink, next, last, due_at) SELECT id, 'http', 1, 1, due_at FROM orders;
         UPDATE event_deliveries SET due_at = due_at + interval '2 hours';
         UPDATE orders SET due_at = due_at + interval '2 hours';
         UPDATE payment_refunds SET due_at = due_at + interval '2 hours';
         UPDATE outbox SET due_at = due_at + interval '2 hours'"
    )
}

/// The entries, dead ones included, that a statement visits in the indexes of the queues.
async fn visited(client: &Client, statement: &str) -> i64 {
    let count =
        async || client.query_one("SELECT count_visited_entries()", &[]).await.unwrap().get::<_, i64>(0);
    client.batch_execute("BEGIN").await.unwrap();
    let before = count().await;
    client.simple_query(statement).await.unwrap();
    let visited = count().await - before;
    client.batch_execute("COMMIT").await.unwrap();
    visited
}

/// A scan that is not the second one within a second.
const SCAN: &str = "SELECT scan_queues(timezone('utc', clock_timestamp()))";
const AGE_LAST_SCAN: &str = "UPDATE queue_scans SET scanned_at = scanned_at - interval '2 seconds'";
const CLAIM: &str = r#"SELECT claim_due_orders(4, '{"reserving": 10000}')"#;
/// Each queue, what claims from it, and what the scan says when something is due.
const QUEUES: [(&str, &str, &str); 4] = [
    ("orders", CLAIM, "has_orders"),
    ("payment_refunds", "SELECT claim_due_payment_refunds(4, 10000)", "has_orders"),
    ("outbox", "SELECT claim_due_messages(4, 10000)", "has_messages"),
    ("event_deliveries", "SELECT claim_due_events('{http}', 4, 16, 10000, 'urn:test')", "has_events"),
];

/// Scans until there are marks: every transaction of the server that was open at a scan has ended at a later one.
async fn move_mark(store: &Store, client: &Client) {
    eventually("there is a mark", async || {
        store.run(AGE_LAST_SCAN).await;
        client.simple_query(SCAN).await.unwrap();
        let has_mark =
            "SELECT least(orders_from, refunds_from, messages_from, waiting_from, events_from) > '-infinity'
                        FROM queue_scans ORDER BY id DESC LIMIT 1";
        (store.value(has_mark).await == true).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_for_due_work_costs_the_same_under_an_old_snapshot() {
    let store = migrated().await;
    let (report, client) = (session(&store).await, session(&store).await);
    // It has written something, too, and is no reason to wait for it.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE TEMPORARY TABLE report AS SELECT timezone('utc', now()) AS begun_at";
    report.batch_execute(begin).await.unwrap();
    store.run(&filled_queues(5_000)).await;
    // One scan finds out that the beginning of the queues is expensive, and the next ones begin at the marks.
    let full = visited(&client, SCAN).await;
    assert!(full >= 20_000, "the dead entries are there: {full}");
    move_mark(&store, &client).await;
    let claims = QUEUES.iter().map(|(_, claim, _)| *claim);
    let lists = ["SELECT list_stuck(100)", "SELECT list_deliveries(NULL, 'pending', 10)"];
    // It counts what waits at a sink, as far as ten thousand.
    let metrics = visited(&client, "SELECT read_metrics()").await;
    assert!(metrics < 10_300, "{metrics}");
    for statement in [SCAN].into_iter().chain(lists).chain(claims) {
        store.run(AGE_LAST_SCAN).await;
        let visited = visited(&client, statement).await;
        assert!(visited < 100, "{statement} visits {visited} entries");
    }

    // What becomes due is found by a claim at once, and by the next scan. What is written in the past is when somebody asks for it.
    for (queue, claim, told) in QUEUES {
        for (due, request) in [
            ("now()", "SELECT 1"),
            ("now() - interval '20 minutes'", "INSERT INTO queue_resets DEFAULT VALUES"),
        ] {
            let one = format!(
                "UPDATE {queue} SET due_at = timezone('utc', {due})
                 WHERE ctid = (SELECT ctid FROM {queue} WHERE attempts = 0 LIMIT 1)"
            );
            store.run(&one).await;
            client.simple_query(request).await.unwrap();
            assert_eq!(client.query(claim, &[]).await.unwrap().len(), 1, "{queue}, {due}");
            assert_eq!(client.query(claim, &[]).await.unwrap().len(), 0, "{queue}, {due}");
            store.run(&one).await;
            client.simple_query(request).await.unwrap();
            store.run(AGE_LAST_SCAN).await;
            let due_now = format!("SELECT (scan_queues(timezone('utc', clock_timestamp()))).{told}");
            assert_eq!(store.value(&due_now).await, true, "{queue}, {due}");
            assert_eq!(client.query(claim, &[]).await.unwrap().len(), 1, "{queue}, {due}");
        }
    }
    report.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_transaction_makes_due_is_found_by_a_full_scan_although_the_mark_has_passed_its_beginning()
 {
    let store = migrated().await;
    let (old, client) = (session(&store).await, session(&store).await);
    old.batch_execute("BEGIN; CREATE TEMPORARY TABLE t (n INT)").await.unwrap();
    store.run("CREATE TABLE begun AS SELECT timezone('utc', clock_timestamp()) AS at").await;
    store.run(&filled_queues(1_000)).await;
    let passed = "SELECT least(orders_from, refunds_from, messages_from, events_from) > (SELECT at FROM begun) FROM queue_scans ORDER BY id DESC LIMIT 1";
    eventually("the marks pass the beginning of the old transaction", async || {
        client.simple_query(SCAN).await.unwrap();
        (store.value(passed).await == true).then_some(())
    })
    .await;
    for (queue, claim, _) in QUEUES {
        // now() is when the transaction began.
        let due = format!(
            "UPDATE {queue} SET due_at = timezone('utc', now()) WHERE ctid = (SELECT ctid FROM {queue} WHERE attempts = 0 LIMIT 1)"
        );
        old.batch_execute(&due).await.unwrap();
        assert_eq!(client.query(claim, &[]).await.unwrap().len(), 0, "{queue}");
    }
    old.batch_execute("COMMIT").await.unwrap();
    client.simple_query("INSERT INTO queue_resets DEFAULT VALUES").await.unwrap();
    for (queue, claim, _) in QUEUES {
        assert_eq!(client.query(claim, &[]).await.unwrap().len(), 1, "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_commits_late_is_not_passed_by_the_mark() {
    let store = migrated().await;
    let (snapshot, client, late) = (session(&store).await, session(&store).await, session(&store).await);
    snapshot.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    store.run(&filled_queues(1_000)).await;
    move_mark(&store, &client).await;
    let due_now = "UPDATE orders SET due_at = timezone('utc', now()), updated_at = timezone('utc', now())
                   WHERE idempotency_key = 'key-7'";
    late.batch_execute(&format!("BEGIN; {due_now}")).await.unwrap();
    store.run("CREATE TABLE begun AS SELECT timezone('utc', clock_timestamp()) AS at").await;
    let passed = "SELECT orders_from > (SELECT at FROM begun) FROM queue_scans ORDER BY id DESC LIMIT 1";
    let long_ago = "SELECT timezone('utc', clock_timestamp()) > at + interval '7 seconds' FROM begun";
    eventually("the scans go on for a while", async || {
        client.simple_query(SCAN).await.unwrap();
        assert_eq!(store.value(passed).await, false);
        (store.value(long_ago).await == true).then_some(())
    })
    .await;
    assert!(client.query(CLAIM, &[]).await.unwrap().is_empty());
    late.batch_execute("COMMIT").await.unwrap();
    assert_eq!(client.query(CLAIM, &[]).await.unwrap().len(), 1);
    // Now that it has ended, the mark goes on.
    eventually("the mark goes on", async || {
        client.simple_query(SCAN).await.unwrap();
        (store.value(passed).await == true).then_some(())
    })
    .await;
    snapshot.batch_execute("COMMIT").await.unwrap();
}

/// An open snapshot, filled queues with dead entries that it keeps, and low-water marks.
async fn marked_queues() -> (Store, Client, Client) {
    let store = migrated().await;
    let (snapshot, client) = (session(&store).await, session(&store).await);
    snapshot.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    store.run(&filled_queues(1_000)).await;
    move_mark(&store, &client).await;
    (store, snapshot, client)
}

const DUE_NOW: &str = "UPDATE orders SET due_at = timezone('utc', now()) WHERE idempotency_key = 'key-7'";
const BEGUN: &str = "CREATE TABLE begun AS SELECT timezone('utc', clock_timestamp()) AS at";
const PASSED: &str = "SELECT orders_from > (SELECT at FROM begun) FROM queue_scans ORDER BY id DESC LIMIT 1";

async fn scan_until_the_mark_has_passed(store: &Store, client: &Client) {
    eventually("the mark passes the beginning", async || {
        client.simple_query(SCAN).await.unwrap();
        (store.value(PASSED).await == true).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_scan_that_is_not_finished_in_time_is_due_again() {
    let (store, _snapshot, client) = marked_queues().await;
    // Only a full scan counts what it visits.
    let slow = "ALTER FUNCTION count_visited_entries RENAME TO count_at_once;
                CREATE FUNCTION count_visited_entries() RETURNS BIGINT LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_sleep(60); RETURN 0; END $$";
    store.run(slow).await;
    store.run(DUE_NOW).await;
    store
        .run(
            "UPDATE orders SET due_at = timezone('utc', now()) - interval '1 day' WHERE idempotency_key = 'key-8';
             INSERT INTO queue_resets DEFAULT VALUES",
        )
        .await;
    store.run(AGE_LAST_SCAN).await;
    client.batch_execute("SET statement_timeout = '500ms'").await.unwrap();
    let found = "SELECT (scan_queues(timezone('utc', clock_timestamp()))).has_orders";
    assert!(client.query_one(found, &[]).await.unwrap().get::<_, bool>(0));
    assert_eq!(store.count("SELECT count(*) FROM queue_resets").await, 1);
    // Until it is repeated, what is not below the mark is found, and at no greater cost.
    assert_eq!(client.query(CLAIM, &[]).await.unwrap().len(), 1);
    assert_eq!(client.query(CLAIM, &[]).await.unwrap().len(), 0);
    store.run(AGE_LAST_SCAN).await;
    client.query_one(found, &[]).await.expect("the next scan is not a full one");

    store
        .run(
            "DROP FUNCTION count_visited_entries; ALTER FUNCTION count_at_once RENAME TO count_visited_entries;
             UPDATE queue_scans SET full_at = full_at - interval '61 seconds'",
        )
        .await;
    store.run(AGE_LAST_SCAN).await;
    assert!(client.query_one(found, &[]).await.unwrap().get::<_, bool>(0));
    assert_eq!(store.count("SELECT count(*) FROM queue_resets").await, 0);
    assert_eq!(client.query(CLAIM, &[]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_writes_and_stays_open_does_not_hold_the_marks() {
    let (store, _snapshot, client) = marked_queues().await;
    let late = session(&store).await;
    late.batch_execute(&format!("BEGIN; {DUE_NOW}")).await.unwrap();
    store.run(BEGUN).await;
    let count = "INSERT INTO order_changes (status, phase) VALUES ('PENDING', 'reserving')";
    late.batch_execute(count).await.unwrap();
    store.run(count).await;
    scan_until_the_mark_has_passed(&store, &client).await;
    let folded = "SELECT counts_from > (SELECT at FROM begun) FROM queue_scans ORDER BY id DESC LIMIT 1";
    assert_eq!(store.value(folded).await, true);
    let created = "SELECT (read_metrics()::jsonb)->'orders'->'created'";
    assert_eq!(store.value(created).await, 1);
    let age = store.value("SELECT (read_metrics()::jsonb)->'oldest_writer_seconds'").await;
    assert!(age.as_f64() > Some(10.0), "{age}");
    assert!(client.query(CLAIM, &[]).await.unwrap().is_empty());

    late.batch_execute("COMMIT").await.unwrap();
    let found = "SELECT (scan_queues(timezone('utc', clock_timestamp()))).has_orders";
    store.run(AGE_LAST_SCAN).await;
    assert_eq!(store.value(found).await, true, "the scan after its end finds what it has made due");
    assert_eq!(client.query(CLAIM, &[]).await.unwrap().len(), 1);
    assert_eq!(store.value(created).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn due_work_is_found_although_counts_cannot_be_folded() {
    let store = migrated().await;
    store.run(&filled_queues(1)).await;
    store
        .run(
            "UPDATE orders SET due_at = timezone('utc', now());
             INSERT INTO order_changes (status, phase) VALUES ('PENDING', 'reserving');
             ALTER TABLE order_counts ADD CONSTRAINT none_fits CHECK (created < 1)",
        )
        .await;
    let flush = "SELECT to_jsonb(flush_work('[]'))";
    assert_eq!(store.value(flush).await, json!(["orders"]));
    let created = "SELECT (read_metrics()::jsonb)->'orders'->'created'";
    assert_eq!(store.value(created).await, 1);
    store.run("ALTER TABLE order_counts DROP CONSTRAINT none_fits").await;
    store.run(AGE_LAST_SCAN).await;
    store.value(flush).await;
    assert_eq!(store.value(created).await, 1);
    assert_eq!(store.count("SELECT count(*) FROM order_changes").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_scanned_once_a_second_however_many_instances_flush() {
    let store = migrated().await;
    store.run(&filled_queues(1)).await;
    store.run("UPDATE orders SET due_at = timezone('utc', now())").await;
    let flush = r#"SELECT to_jsonb(flush_counters(gen_random_uuid(), '[{"name": "requests", "label": "", "value": 1}]'))"#;
    let begun = std::time::Instant::now();
    let mut told = Vec::new();
    for _ in 0..20 {
        told.push(store.value(flush).await);
    }
    let scans = told.iter().filter(|due| **due == json!(["orders"])).count() as u64;
    assert!(scans >= 1 && scans <= begun.elapsed().as_secs() + 1, "{told:?}");
    assert!(told.iter().all(|due| *due == json!(["orders"]) || *due == json!([])), "{told:?}");
    let counted = "SELECT (read_metrics()::jsonb)->'work'->0->'value'";
    assert_eq!(store.value(counted).await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_is_repeated_is_counted_once() {
    let store = migrated().await;
    let (first, second) = (session(&store).await, session(&store).await);
    let flush = |n: u8| {
        format!(
            "SELECT flush_counters('00000000-0000-7000-8000-00000000000{n}',
                                   '[{{\"name\": \"requests\", \"label\": \"\", \"value\": 1}}]')"
        )
    };
    // The first attempt has not ended when it is repeated.
    first.batch_execute(&format!("BEGIN; {}", flush(1))).await.unwrap();
    let again = flush(1);
    let (repeated, ended) = futures::join!(second.batch_execute(&again), first.batch_execute("COMMIT"));
    repeated.unwrap();
    ended.unwrap();
    second.batch_execute(&flush(1)).await.unwrap();
    second.batch_execute(&flush(2)).await.unwrap();
    let counted = "SELECT (read_metrics()::jsonb)->'work'->0->'value'";
    assert_eq!(store.value(counted).await, 2);
    // What was flushed long ago is forgotten.
    store.run("UPDATE work_flushes SET at = at - interval '121 seconds'; UPDATE queue_scans SET scanned_at = scanned_at - interval '1 minute'").await;
    second.batch_execute(&flush(3)).await.unwrap();
    assert_eq!(store.count("SELECT count(*) FROM work_flushes").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_neither_lost_nor_doubled_by_concurrent_folds() {
    const ROUNDS: i64 = 150;
    let store = migrated().await;
    let writes = (0..2).map(async |_| {
        let client = session(&store).await;
        for _ in 0..ROUNDS {
            client
                .batch_execute(
                    "INSERT INTO order_changes (status, phase, failure_code) VALUES ('PENDING', 'reserving', 'expired');
                     SELECT flush_counters(gen_random_uuid(), '[{\"name\": \"requests\", \"label\": \"\", \"value\": 1}]')",
                )
                .await
                .unwrap();
        }
    });
    let folds = (0..2).map(async |_| {
        let client = session(&store).await;
        for round in 0..ROUNDS {
            // Each is more than a second, and some are more than a minute, after the one before.
            let at = format!("timezone('utc', clock_timestamp()) + {round} * interval '20 seconds'");
            client.batch_execute(&format!("SELECT scan_queues({at})")).await.unwrap();
        }
    });
    let read = async {
        let client = session(&store).await;
        let sql = "SELECT (m->'orders'->>'created')::int8, coalesce((m->'failures'->>'expired')::int8, 0),
                          coalesce((m->'work'->0->>'value')::float8::int8, 0)
                   FROM (SELECT read_metrics()::jsonb AS m) x";
        let mut last = [0; 3];
        while last != [2 * ROUNDS; 3] {
            let row = client.query_one(sql, &[]).await.unwrap();
            let now: [i64; 3] = std::array::from_fn(|column| row.get(column));
            assert!(
                last.iter().zip(&now).all(|(last, now)| last <= now && *now <= 2 * ROUNDS),
                "{last:?} {now:?}"
            );
            last = now;
        }
    };
    let read = tokio::time::timeout(std::time::Duration::from_secs(60), read);
    let (_, _, read) = futures::join!(join_all(writes), join_all(folds), read);
    read.expect("everything is counted in the end");
    let folded = "SELECT sum(created) > 0 FROM order_counts";
    assert_eq!(store.value(folded).await, true);
}

/// So many orders, each with an entry that makes an event, of a transaction of its own.
fn journal(count: u32) -> String {
    format!(
        "INSERT INTO orders (idempotency_key, request_hash, user_id, event_id, seats, phase)
         SELECT 'key-' || n, 'hash', 1, 1, ARRAY[n], 'done' FROM generate_series(1, {count}) n;
         INSERT INTO order_events (order_id, seq, type, actor, data, events, sequence, xid)
         SELECT id, 1, 'order_created', 'api', '{{}}', '[{{\"type\": \"order.placed\"}}]', 1, (3 + seats[1] / 10)::text::xid8 FROM orders"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_feed_or_of_a_replay_reads_its_own_entries_alone() {
    let store = migrated().await;
    let client = session(&store).await;
    store.run(&journal(5_000)).await;
    // Rows that a scan of a table read, and entries that scans of its indexes read.
    let read = "SELECT sum(pg_stat_get_xact_tuples_returned(c))::int8 FROM (
                    SELECT t AS c FROM unnest('{orders,order_events,event_deliveries}'::regclass[]) t
                    UNION ALL
                    SELECT indexrelid FROM pg_index WHERE indrelid = ANY ('{orders,order_events,event_deliveries}'::regclass[])) x";
    for analyzed in [false, true] {
        if analyzed {
            store.run("ANALYZE").await;
        }
        for xid in ["3", "250", "490"] {
            for page in [
                format!(
                    "list_events(NULL, {xid}, '00000000-0000-0000-0000-000000000000', 0, NULL, 10, 'urn:test')"
                ),
                format!(
                    "replay_events('http', NULL, NULL, {xid}, '00000000-0000-0000-0000-000000000000', 0, NULL, 10, 10000)"
                ),
            ] {
                client.batch_execute("BEGIN").await.unwrap();
                let before: i64 = client.query_one(read, &[]).await.unwrap().get(0);
                let answer = client.query_one(&format!("SELECT {page}"), &[]).await.unwrap();
                assert!(answer.get::<_, Vec<Option<String>>>(0).len() > 3, "{page}");
                let after: i64 = client.query_one(read, &[]).await.unwrap().get(0);
                client.batch_execute("ROLLBACK").await.unwrap();
                assert!((10..150).contains(&(after - before)), "{page} reads {}", after - before);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_leaves_out_an_order_that_is_archived_meanwhile() {
    let store = migrated().await;
    let (archive, client) = (session(&store).await, session(&store).await);
    store.run(&journal(2)).await;
    archive
        .batch_execute("BEGIN; SELECT FROM orders WHERE idempotency_key = 'key-1' FOR UPDATE")
        .await
        .unwrap();
    let replay = "SELECT replay_events('http', (SELECT array_agg(id) FROM orders), NULL, NULL, NULL, NULL, NULL, 10, 10000)";
    let archiving = async {
        let waits = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'SELECT replay_events%'";
        eventually("the replay waits for the archive", async || {
            (store.count(waits).await == 1).then_some(())
        })
        .await;
        archive.batch_execute("DELETE FROM orders WHERE idempotency_key = 'key-1'; COMMIT").await.unwrap();
    };
    let (replayed, ()) = futures::join!(client.query_one(replay, &[]), archiving);
    assert_eq!(replayed.unwrap().get::<_, Vec<Option<String>>>(0)[0].as_deref(), Some("1"));
    assert_eq!(store.count("SELECT count(*) FROM event_deliveries").await, 1);
    let orphans =
        "SELECT count(*) FROM event_deliveries d WHERE NOT EXISTS (SELECT FROM orders WHERE id = d.order_id)";
    assert_eq!(store.count(orphans).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_an_order_that_is_gone_leaves_the_queue_and_holds_nobody_up() {
    let store = migrated().await;
    let client = session(&store).await;
    store.run(&journal(1)).await;
    let at = "timezone('utc', clock_timestamp())";
    store
        .run(&format!(
            "INSERT INTO event_deliveries (order_id, sink, next, last, due_at)
             SELECT gen_random_uuid(), 'http', 1, 1, {at} - interval '1 second' FROM generate_series(1, 3);
             INSERT INTO event_deliveries (order_id, sink, next, last, due_at) SELECT id, 'http', 1, 1, {at} FROM orders"
        ))
        .await;
    let claim = "SELECT events FROM claim_due_events('{http}', 3, 16, 10000, 'urn:test')";
    assert!(client.query(claim, &[]).await.unwrap().is_empty(), "three are of nobody");
    let claimed = client.query(claim, &[]).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].get::<_, &str>(0).contains("order.placed.v1"));
    assert_eq!(store.count("SELECT count(*) FROM event_deliveries").await, 1);

    // It is under way, and sent again when its lease has ended.
    client.query("SELECT replay_events('http', (SELECT array_agg(id) FROM orders), NULL, NULL, NULL, NULL, NULL, 10, 10000)", &[]).await.unwrap();
    assert!(client.query(claim, &[]).await.unwrap().is_empty());
    let waits =
        format!("SELECT count(*) FROM event_deliveries WHERE due_at > {at} AND lease = 2 AND next = 1");
    assert_eq!(store.count(&waits).await, 1);
}
