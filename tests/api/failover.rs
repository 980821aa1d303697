//! Failover: the standby is promoted, the address moves, and the old primary stays alive and read-only.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::support::*;

/// Writes must be back within seconds.
const LIMIT: Duration = Duration::from_secs(10);

/// Fills the hosts' pools with sessions.
async fn place_many(app: &App, seats: std::ops::Range<i64>) -> Vec<Document> {
    let order_requests: Vec<OrderRequest> = seats.map(|seat| order(&[seat])).collect();
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    answers.iter().map(|answer| answer.created_or_accepted()).collect()
}

/// Places an order as soon as writes succeed; the refusals before are 503 with `Retry-After`.
async fn place_when_possible(app: &App, seat: i64) {
    let (order_request, begun) = (order(&[seat]), Instant::now());
    eventually("an order is placed", async || {
        let answer = app.place(&order_request).await;
        if answer.status == 503 {
            answer.problem(503, "database_unavailable");
            answer.retry_after();
            return None;
        }
        Some(answer.created_or_accepted())
    })
    .await;
    assert!(begun.elapsed() < LIMIT, "writes were back only after {:?}", begun.elapsed());
}

fn database_error(health: &Value) -> &str {
    health["checks"]["database"]["error"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_writes_go_to_the_new_primary_within_seconds() {
    let mut app = Spawn::new().standby().start().await;
    let before = place_many(&app, 1..41).await;
    app.quiesce().await;

    app.fail_over().await;
    // No session was cut: all of them lead to the old primary, which answers reads.
    let read = app.read(before[0].id()).await;
    assert_eq!(read.id(), before[0].id());
    place_when_possible(&app, 41).await;
    place_many(&app, 42..62).await;
    eventually("the service is well", async || (app.get("/health").await.status == 200).then_some(())).await;
    app.quiesce().await;
    for document in &before {
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

/// The old primary answers reads, and does not know what was written since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_no_session_shows_what_the_old_primary_still_has() {
    let mut app = Spawn::new().variable("internal_token", TOKEN).standby().start().await;
    let before = place_many(&app, 1..41).await;
    let replayed = order(&[42]);
    let repeated = app.place(&replayed).await.created_or_accepted();
    app.quiesce().await;
    let events = format!("/v1/orders/{}/events", before[0].id());
    // Fills the second pool with sessions, too.
    for answer in join_all((0..20).map(|n| app.get(if n % 2 == 0 { &events } else { "/metrics" }))).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    app.fail_over().await;
    place_when_possible(&app, 41).await;
    for document in before[..3].iter().chain([&repeated]) {
        let refunded = app.refund(document.id()).await;
        assert!(matches!(refunded.status, 200 | 202), "{refunded:?}");
    }
    for _ in 0..2 {
        for answer in join_all((0..20).map(|_| app.place(&replayed))).await {
            let replay = answer.created_or_accepted();
            assert!(replay.status() == "REFUNDED" || replay.phase() != "done", "{replay:?}");
        }
        let reads = (0..60).map(|read| app.read(before[read % 3].id()));
        for read in join_all(reads).await {
            assert!(read.status() == "REFUNDED" || read.phase() != "done", "{read:?}");
        }
    }
    // What only the new primary knows is written to it directly: no session of the service has seen it.
    let id = before[0].id();
    let sql = format!(
        "INSERT INTO order_events (order_id, seq, type, actor) VALUES ('{id}', 1000, 'seen_by_the_new_primary', 'operator')"
    );
    app.store.run(&sql).await;
    for _ in 0..2 {
        for journal in join_all((0..20).map(|_| app.get(&events))).await {
            let journal = journal.json(200);
            let newest = journal["events"].as_array().unwrap().last().unwrap();
            assert_eq!(newest["type"], "seen_by_the_new_primary", "{journal}");
        }
        for page in join_all((0..20).map(|_| app.get("/metrics"))).await {
            assert_eq!(page.status, 200, "{page:?}");
            let created = "order_service_orders_created_total 42";
            assert!(page.text().lines().any(|line| line == created), "{}", page.text());
        }
    }
    app.store.run(&format!("DELETE FROM order_events WHERE order_id = '{id}' AND seq = 1000")).await;
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_stuck_list_is_that_of_the_new_primary() {
    let mut app = Spawn::new().variable("internal_token", TOKEN).standby().start().await;
    let document = place_many(&app, 1..2).await.remove(0);
    app.quiesce().await;
    // Fills the pool with sessions to the old primary.
    for stuck in join_all((0..40).map(|_| app.stuck())).await {
        assert!(stuck.orders.is_empty(), "{stuck:?}");
    }
    app.fail_over().await;
    // Written directly: no session of the service has seen it.
    let park = |set: &str| format!("UPDATE orders SET {set} WHERE id = '{}'", document.id());
    app.store.run(&park("parked_at = timezone('utc', clock_timestamp()), parked_reason = 'a test'")).await;
    let begun = Instant::now();
    eventually("every list is the new primary's", async || {
        // For a second it is remembered that no server took writes, and lists of the old one count.
        let lists = join_all((0..20).map(|_| app.stuck())).await;
        lists.iter().all(|stuck| stuck.orders.len() == 1).then_some(())
    })
    .await;
    assert!(begun.elapsed() < LIMIT, "the list was right only after {:?}", begun.elapsed());
    app.store.run(&park("parked_at = NULL, parked_reason = NULL")).await;
    app.finish().await;
}

/// The pool of the second copy has only sessions to the old primary, where the seats are still claimed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_no_session_refuses_seats_that_are_free_again() {
    let spawn = Spawn::new().replicas(2).variable("catalog_cache_seconds", "3600");
    let mut app = spawn.standby().start().await;
    // Callbacks go to the second copy, and would end its sessions.
    app.peers.set_callback_url(None).await.unwrap();
    let seats: Vec<i64> = (1..41).step_by(2).collect();
    let order_requests: Vec<OrderRequest> = seats.iter().map(|seat| order(&[*seat])).collect();
    let placed = join_all(order_requests.iter().map(|order_request| app.place_at(1, order_request))).await;
    let before: Vec<Document> = placed.iter().map(|answer| answer.created_or_accepted()).collect();
    app.quiesce().await;
    app.fail_over().await;
    place_when_possible(&app, 60).await;
    for refunded in join_all(before.iter().map(|document| app.refund(document.id()))).await {
        assert!(matches!(refunded.status, 200 | 202), "{refunded:?}");
    }
    app.quiesce().await;

    let order_requests: Vec<OrderRequest> = seats.iter().map(|seat| order(&[*seat]).user(7)).collect();
    let answers = join_all(order_requests.iter().map(|order_request| app.place_at(1, order_request))).await;
    assert!(answers.iter().all(|answer| answer.status != 409), "{answers:?}");
    app.quiesce().await;
    for order_request in &order_requests {
        app.place(order_request).await.created_or_accepted().assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_server_is_no_health_and_reads_go_on_until_writes_are_back() {
    let mut app = Spawn::new().own_postgres().start().await;
    let document = place_many(&app, 1..21).await.remove(0);
    app.quiesce().await;
    let document = app.read(document.id()).await;

    app.postgres().fence().await.unwrap();
    let events = format!("/v1/orders/{}/events", document.id());
    for seat in 30..34 {
        let order_request = order(&[seat]);
        let reads = join_all((0..10).map(|_| app.read(document.id())));
        let (placed, reads, health, journal) =
            tokio::join!(app.place(&order_request), reads, app.get("/health"), app.get(&events));
        placed.problem(503, "database_unavailable");
        placed.retry_after();
        assert!(reads.iter().all(|read| *read == document));
        assert_eq!(database_error(&health.json(503)), "read-only");
        journal.json(200);
    }
    app.postgres().unfence().await.unwrap();
    place_when_possible(&app, 40).await;
    app.get("/health").await.json(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_stay_read_only_are_ended_when_others_are_not() {
    let app = spawn().await;
    let name = app.store.database().name.clone();
    app.store.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    // The sessions are opened while it is so, and keep it.
    let order_request = order(&[1]);
    app.place(&order_request).await.problem(503, "database_unavailable");
    let reads = join_all((0..20).map(|_| app.get("/v1/orders/01980000-0000-7000-8000-000000000000")));
    // An order that is not there may have been placed at another server.
    assert!(reads.await.iter().all(|read| read.status == 503));
    assert_eq!(database_error(&app.get("/health").await.json(503)), "read-only");
    app.store.run(&format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    place_when_possible(&app, 2).await;
    eventually("the service is well", async || (app.get("/health").await.status == 200).then_some(())).await;
    app.finish().await;
}
