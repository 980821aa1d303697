//! Counts that could not be flushed are kept as long as possible, none is counted twice, and no counter goes back.

use crate::metrics::{Series, scrape};
use crate::support::*;

const READ: &str = "/v1/orders/{id}";
const UNKNOWN: &str = "/v1/orders/01980000-0000-7000-8000-000000000000";

/// How many reads were answered with this status.
fn reads(series: &Series, status: u16) -> u64 {
    let name = format!("order_service_http_requests_total{{route=\"{READ}\",status=\"{status}\"}}");
    series.get(&name).map_or(0, |value| *value as u64)
}

/// The same, asked of the database, which is not made to write anything by it.
pub async fn stored_reads(app: &App, status: u16) -> i64 {
    let sql = format!(
        "SELECT coalesce(sum((w->>'value')::float8), 0)::int8
         FROM jsonb_array_elements((read_metrics()::jsonb)->'work') w
         WHERE w->>'name' = 'http' AND w->>'label' LIKE 'GET {READ} {status} %' AND w->>'label' NOT LIKE '% sum'"
    );
    app.store.count(&sql).await
}

async fn read_in_vain(app: &App, times: u64, status: u16, code: &str) {
    for _ in 0..times {
        app.get(UNKNOWN).await.problem(status, code);
    }
}

fn lines(app: &App, message: &str) -> Vec<Value> {
    let lines = app.hosts[0].log_lines();
    lines.into_iter().filter(|line| line["message"] == message).collect()
}

/// Commits that do not wait for the log are lost in a crash from now on: nobody else writes it out for a while.
async fn write_the_log_late(app: &App) {
    app.store.run("ALTER SYSTEM SET wal_writer_delay = '10s'").await;
    app.store.run("SELECT pg_reload_conf()").await;
    let setting = "SELECT current_setting('wal_writer_delay')";
    eventually("the setting is read", async || (app.store.value(setting).await == "10s").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_during_an_outage_is_there_after_it() {
    let mut app = Spawn::new().own_postgres().variable("log_level", "debug").start().await;
    app.place(&order(&[1])).await.created();
    app.quiesce().await;
    app.postgres().stop_immediately().await;
    read_in_vain(&app, 20, 503, "database_unavailable").await;
    let is_kept = async || (lines(&app, "counts could not be flushed").len() >= 2).then_some(());
    eventually("flushes have failed", is_kept).await;
    read_in_vain(&app, 10, 503, "database_unavailable").await;

    app.postgres().start_again().await.unwrap();
    eventually("all of them are counted", async || {
        let counted = reads(&scrape(&app).await, 503);
        assert!(counted <= 30, "{counted}");
        (counted == 30).then_some(())
    })
    .await;
    assert!(lines(&app, "counts were lost").is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_loses_is_one_line_of_the_log() {
    let mut app = Spawn::new().own_postgres().start().await;
    app.place(&order(&[1])).await.created();
    app.quiesce().await;
    app.postgres().stop_immediately().await;
    // More than an instance serves.
    let sent = 300;
    read_in_vain(&app, sent, 503, "database_unavailable").await;
    eventually("an instance that is used up gives up", async || {
        (!lines(&app, "counts were lost").is_empty()).then_some(())
    })
    .await;

    app.postgres().start_again().await.unwrap();
    eventually("the others are counted", async || {
        let lost: f64 =
            lines(&app, "counts were lost").iter().map(|line| line["requests"].as_f64().unwrap()).sum();
        let told = lost as u64 + reads(&scrape(&app).await, 503);
        // A few requests from before the outage may be among those that were lost.
        assert!(told <= sent + 20, "{told}");
        (told >= sent).then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_before_a_crash_of_the_database_is_there_after_it() {
    let mut app = Spawn::new().own_postgres().start().await;
    write_the_log_late(&app).await;
    read_in_vain(&app, 5, 404, "order_not_found").await;
    eventually("they are flushed", async || (stored_reads(&app, 404).await == 5).then_some(())).await;
    app.postgres().stop_immediately().await;
    app.postgres().start_again().await.unwrap();
    assert_eq!(reads(&scrape(&app).await, 404), 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_counter_that_was_told_goes_back_in_a_crash_of_the_database() {
    const CREATED: &str = "order_service_orders_created_total";
    let mut app = Spawn::new().own_postgres().start().await;
    write_the_log_late(&app).await;
    // An order that was stored, and does not get further before the crash: its commit is asynchronous.
    let fault = app.fault(stall(CallName::Reserve, 2_000, Moment::Before)).await;
    let (detached_client, order_request) = (app.detached_client(0), order(&[1]));
    let placing = tokio::spawn(async move { detached_client.place(&order_request).await.map(drop) });
    app.until_fault_hit(fault).await;
    let told = scrape(&app).await;
    app.postgres().stop_immediately().await;
    app.postgres().start_again().await.unwrap();
    let now = scrape(&app).await;
    assert_eq!(told[CREATED], 1.0);
    for (name, value) in told.iter().filter(|(name, _)| name.contains("_total")) {
        assert!(now[name] >= *value, "{name}: {value}, then {}", now[name]);
    }
    let _ = placing.await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_whose_answer_is_lost_is_counted_once() {
    let app = Spawn::new().behind_black_hole().variable("log_level", "debug").start().await;
    app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let lock = app.store.database().connect().await.unwrap();
    lock.batch_execute("BEGIN; LOCK TABLE work_changes IN ACCESS EXCLUSIVE MODE").await.unwrap();
    read_in_vain(&app, 3, 404, "order_not_found").await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query LIKE '%flush_counters%'";
    eventually("the flush is under way", async || (app.store.count(waits).await > 0).then_some(())).await;
    // It goes on, and its answer does not arrive.
    app.black_hole().drop_bytes(true);
    lock.batch_execute("COMMIT").await.unwrap();
    eventually("it is committed", async || (stored_reads(&app, 404).await == 3).then_some(())).await;
    eventually("it is not known", async || {
        (!lines(&app, "counts could not be flushed").is_empty()).then_some(())
    })
    .await;
    app.black_hole().drop_bytes(false);
    eventually("it is repeated", async || {
        (!lines(&app, "kept counts were flushed").is_empty()).then_some(())
    })
    .await;
    assert_eq!(reads(&scrape(&app).await, 404), 3);
    app.finish().await;
}
