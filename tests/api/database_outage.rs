//! PostgreSQL goes away and comes back.

use futures::future::join_all;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_down_every_endpoint_says_so_and_then_works_at_once() {
    let mut app = Spawn::new().own_postgres().start().await;
    let order_request = order(&[1]);
    let document = app.place(&order_request).await.created();
    app.quiesce().await;
    app.postgres().stop_immediately().await;

    for n in 0..5 {
        for answer in [
            app.place(&order(&[2 + n])).await,
            app.place(&order_request).await,
            app.get(&format!("/v1/orders/{}", document.id())).await,
            app.get(&format!("/v1/orders/{}/events", document.id())).await,
            app.cancel(document.id()).await,
            app.refund(document.id()).await,
            app.get("/metrics").await,
            app.request(Method::POST, "/internal/sweep").send().await,
        ] {
            answer.problem(503, "database_unavailable");
            answer.retry_after();
        }
        let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
        answer.problem_of_order(503, "database_unavailable");
        answer.retry_after();
        let health = app.get("/health").await.json(503);
        assert_eq!(
            (&health["ok"], &health["checks"]["database"]["ok"]),
            (&json!(false), &json!(false)),
            "{health}"
        );
        app.get("/health/live").await.json(200);
    }
    // What is wrong with a request is still said first.
    app.get("/v1/orders/x").await.problem(400, "invalid_order_id");

    app.postgres().start_again().await.unwrap();
    let reads = join_all((0..40).map(|_| app.get("/health"))).await;
    assert!(reads.iter().all(|answer| answer.json(200)["ok"] == true));
    assert_eq!(app.read(document.id()).await, document);
    let order_requests: Vec<OrderRequest> = (50..70).map(|seat| order(&[seat])).collect();
    for answer in join_all(order_requests.iter().map(|order_request| app.place(order_request))).await {
        answer.created_or_accepted();
    }
    app.finish().await;
}

/// Ends every session but the one that asks.
const CUT: &str = "SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_cut_are_opened_again_without_anybody_noticing() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    for seat in 2..=6 {
        app.store.value(CUT).await;
        assert_eq!(app.read(document.id()).await, document);
        app.store.value(CUT).await;
        app.place(&order(&[seat])).await.created().assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_under_load_fail_no_request() {
    let app = spawn().await;
    let document = app.place(&order(&[500])).await.created();
    app.quiesce().await;
    for round in 0..8 {
        let order_requests: Vec<OrderRequest> = (0..20).map(|n| order(&[1 + 20 * round + n])).collect();
        let reads = join_all((0..40).map(|_| app.read(document.id())));
        let orders = join_all(order_requests.iter().map(|order_request| app.place(order_request)));
        let (_, reads, orders) = tokio::join!(app.store.value(CUT), reads, orders);
        assert!(reads.iter().all(|read| *read == document));
        for answer in orders {
            answer.created_or_accepted();
        }
        app.quiesce().await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_starts_without_a_database_works_when_there_is_one() {
    let mut app = Spawn::new().own_postgres().start().await;
    app.postgres().stop_immediately().await;
    app.hosts[0].start_again().await.unwrap();
    app.get("/health/live").await.json(200);
    app.get("/health").await.json(503);
    app.postgres().start_again().await.unwrap();
    app.get("/health").await.json(200);
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_as_good_as_one_that_is_down() {
    let mut app = Spawn::new().own_postgres().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let frozen = app.suspend_postgres().await;

    let path = format!("/v1/orders/{}", document.id());
    let order_request = order(&[2]);
    // Several at a time, and once more when all that waited have heard that it was in vain.
    for _ in 0..2 {
        let reads = join_all((0..8).map(|_| app.get(&path)));
        let (reads, placed, health, live) =
            tokio::join!(reads, app.place(&order_request), app.get("/health"), app.get("/health/live"));
        live.json(200);
        assert_eq!(health.json(503)["ok"], false);
        for answer in reads.into_iter().chain([placed]) {
            answer.problem(503, "database_unavailable");
            answer.retry_after();
        }
    }

    drop(frozen);
    app.until_reads_succeed(document.id()).await;
    assert_eq!(app.read(document.id()).await, document);
    app.place(&order_request).await.created_or_accepted();
    app.finish().await;
}
