//! What an instance does after its last flush of counts, and after its last request: it is counted, and it keeps the instance for little.

use std::time::Duration;

use order_dev::collector::{Behaviour, Collector};

use crate::support::*;
use crate::tracing::traced;

const UNKNOWN: &str = "/v1/orders/01980000-0000-7000-8000-000000000000";
/// Spin's default for the requests that it gives to one instance.
const REQUESTS_PER_INSTANCE: u64 = 128;
/// A batch of spans, at most.
const BATCH: u64 = 512;
/// Longer than an instance waits before it flushes what it has counted.
const AFTER_THE_FLUSH: Duration = Duration::from_secs(2);

/// Each request has an instance of its own: none flushes what another one has left.
fn one_request_each() -> Spawn {
    Spawn::new().option("--max-instance-reuse-count", "1")
}

/// How many calls of this name are counted, whatever was answered. Asked of the database: a request would make instances of its own.
async fn counted(app: &App, call: &str) -> u64 {
    let sql = format!(
        "SELECT coalesce(sum((w->>'value')::float8), 0)::int8 FROM jsonb_array_elements((read_metrics()::jsonb)->'work') w
         WHERE w->>'name' = 'peer' AND w->>'label' LIKE '{call} %' AND w->>'label' NOT LIKE '% sum'"
    );
    app.store.count(&sql).await.try_into().expect("a count")
}

async fn until_all_exports_are_counted(app: &App, collector: &Collector) {
    eventually("every export is counted", async || {
        let (counted, sent) = (counted(app, "collector.traces").await, collector.received().len() as u64);
        assert!(counted <= sent, "{counted} of {sent}");
        (sent > 0 && counted == sent && collector.held().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_ends_after_the_flush_of_an_instance_is_counted() {
    let (app, collector) = traced(one_request_each()).await;
    collector.behave(Behaviour { delay: AFTER_THE_FLUSH, ..Behaviour::status(200) });
    app.place(&order(&[1])).await.created();
    until_all_exports_are_counted(&app, &collector).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_export_of_an_instance_that_is_used_up_is_counted() {
    let (app, collector) = traced(Spawn::new()).await;
    collector.behave(Behaviour { delay: AFTER_THE_FLUSH, ..Behaviour::status(200) });
    for _ in 0..REQUESTS_PER_INSTANCE {
        app.get(UNKNOWN).await.problem(404, "order_not_found");
    }
    until_all_exports_are_counted(&app, &collector).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sweep_in_the_background_of_probes_does_is_counted() {
    let app = one_request_each().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    app.store.expire(document.id()).await;
    // Less than its deadline, and after the flush that follows the sweep.
    app.fault(stall(CallName::Notify, 1_500, Moment::Before)).await;
    let cancelled =
        format!("SELECT count(*) FROM orders WHERE id = '{}' AND status = 'CANCELLED'", document.id());
    eventually("a sweep cancels the order", async || {
        app.get("/health").await.json(200);
        (app.store.count(&cancelled).await == 1).then_some(())
    })
    .await;
    for (name, call) in [
        ("seating.release", CallName::Release),
        ("payment.ask", CallName::Payment),
        ("notification.notify", CallName::Notify),
    ] {
        eventually(&format!("{name} is counted"), async || {
            let (counted, answered) = (counted(&app, name).await, app.answers(call).await as u64);
            (answered > 0 && counted == answered).then_some(())
        })
        .await;
    }
    app.finish().await;
}

/// Sends so many requests that the instance gets no more, even if others got some of them while it was busy.
async fn use_up_the_instance(app: &App) {
    for _ in 0..3 * REQUESTS_PER_INSTANCE {
        app.get("/health/live").await;
    }
}

/// How many spans were dropped, once these are so many.
async fn until_dropped(app: &App, spans: u64) -> u64 {
    eventually("spans are dropped", async || {
        let lines = app.hosts[0].log_lines();
        let dropped = lines.iter().filter(|line| line["message"] == "spans were dropped");
        let dropped: u64 = dropped.filter_map(|line| line["count"].as_u64()).sum();
        (dropped >= spans).then_some(dropped)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_used_up_asks_a_stalled_collector_once() {
    let (mut app, collector) = traced(Spawn::new().payment_mode(Mode::Pending)).await;
    let orders: Vec<OrderRequest> = (1..=200).map(|seat| order(&[seat])).collect();
    for some in orders.chunks(20) {
        for placed in futures::future::join_all(some.iter().map(|order| app.place(order))).await {
            placed.created();
        }
    }
    // A new instance, with more spans than fit into its queue: one of a sweep.
    app.hosts[0].kill();
    collector.behave(Behaviour { delay: Duration::from_secs(60), ..Behaviour::status(200) });
    app.store
        .run("UPDATE orders SET expires_at = timezone('utc', now()), due_at = timezone('utc', now())")
        .await;
    app.hosts[0].start_again().await.unwrap();
    let sweep = app.sweep().await;
    assert!(sweep["orders"].as_u64() > Some(150), "{sweep}");
    use_up_the_instance(&app).await;
    let before = collector.received().len();
    let dropped = until_dropped(&app, 3 * BATCH).await;
    let after = collector.received().len();
    assert!(after <= before + 1, "{before}, then {after} exports, {dropped} spans dropped");
    collector.behave(Behaviour::status(200));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_used_up_does_not_wait_as_long_as_the_collector_asks_for() {
    let (app, collector) = traced(Spawn::new()).await;
    collector.behave(Behaviour { retry_after: Some(25), ..Behaviour::status(503) });
    app.get(UNKNOWN).await.problem(404, "order_not_found");
    eventually("it is asked to wait", async || {
        (collector.held().is_empty() && !collector.received().is_empty()).then_some(())
    })
    .await;
    use_up_the_instance(&app).await;
    until_dropped(&app, 1).await;
    assert_eq!(collector.received().len(), 1, "it is not asked again");
    app.finish().await;
}
