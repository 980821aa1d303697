//! PostgreSQL goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::task::JoinSet;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_down_every_endpoint_says_so_and_then_works_at_once() {
    let mut app = Spawn::new().own_postgres().start().await;
    let placing = order(&[1]);
    let document = app.place(&placing).await.created();
    app.come_to_rest().await;
    app.postgres().stop_immediately().await;

    for n in 0..5 {
        for answer in [
            app.place(&order(&[2 + n])).await,
            app.place(&placing).await,
            app.get(&format!("/v1/orders/{}", document.id())).await,
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
    let placings: Vec<Placing> = (50..70).map(|seat| order(&[seat])).collect();
    for answer in join_all(placings.iter().map(|placing| app.place(placing))).await {
        answer.created_or_under_way();
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_nothing_and_no_request_fails_after_it() {
    let mut app = Spawn::new().own_postgres().start().await;
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    for client in 0..8 {
        clients.spawn(keep_ordering(app.caller(0), load.clone(), 3001 + client * 60));
    }
    load.wait_for("orders before the outage", &load.placed, 20).await;
    app.postgres().stop_immediately().await;
    load.wait_for("requests during the outage", &load.refused, 16).await;
    app.postgres().start_again().await.unwrap();
    load.is_up_again.store(true, Ordering::SeqCst);
    let so_far = load.placed.load(Ordering::SeqCst);
    load.wait_for("orders after the outage", &load.placed, so_far + 40).await;
    load.stop.store(true, Ordering::SeqCst);
    let placed: Vec<(Placing, Document)> = clients.join_all().await.concat();

    app.come_to_rest().await;
    for (placing, document) in placed {
        let again = app.place(&placing).await;
        // An order that was told to be under way may have been lost with the crash: nothing was asked of anybody then,
        // or it was finished since.
        let now_it_is = again.created();
        now_it_is.assert_is("CONFIRMED", "done");
        if document.status() == "CONFIRMED" {
            assert_eq!(now_it_is, document);
        }
    }
    app.finish().await;
}

/// What the clients of a load have seen.
#[derive(Default)]
struct Load {
    placed: AtomicUsize,
    refused: AtomicUsize,
    is_up_again: AtomicBool,
    stop: AtomicBool,
}

impl Load {
    async fn wait_for(&self, what: &str, count: &AtomicUsize, at_least: usize) {
        eventually(what, async || (count.load(Ordering::SeqCst) >= at_least).then_some(())).await;
    }
}

/// Places one order after the other, each until it is placed, and reads it.
async fn keep_ordering(caller: Caller, load: Arc<Load>, first_seat: i64) -> Vec<(Placing, Document)> {
    let mut placed = Vec::new();
    for seat in (first_seat..).take(60) {
        if load.stop.load(Ordering::SeqCst) {
            break;
        }
        let placing = order(&[seat]).event(106);
        let patience = Patience::until("the order is placed");
        let document = loop {
            let after_the_outage = load.is_up_again.load(Ordering::SeqCst);
            let answer = caller.place(&placing).await.expect("the host answers all the time");
            if answer.status != 503 {
                break answer.created_or_under_way();
            }
            answer.problem(503, "database_unavailable");
            answer.retry_after();
            assert!(!after_the_outage, "this request was sent when the database was up again");
            load.refused.fetch_add(1, Ordering::SeqCst);
            patience.wait().await;
        };
        load.placed.fetch_add(1, Ordering::SeqCst);
        let read = caller
            .get(&format!("/v1/orders/{}", document.id()))
            .await
            .expect("the host answers all the time");
        assert!([200, 404, 503].contains(&read.status), "{read:?}");
        placed.push((placing, document));
    }
    placed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_cut_are_opened_again_without_anybody_noticing() {
    let app = Spawn::new().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.come_to_rest().await;
    let cut = "SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for seat in 2..=6 {
        app.store.value(cut).await;
        assert_eq!(app.read(document.id()).await, document);
        app.store.value(cut).await;
        app.place(&order(&[seat])).await.created().assert_is("CONFIRMED", "done");
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
