//! A row that is locked by somebody's open transaction holds up nobody but those who need it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio_postgres::Client;

use crate::support::*;

/// Locks an order's row until the client is dropped.
async fn lock_row(app: &App, order_id: &str) -> Client {
    let client = app.store.database().connect().await.unwrap();
    client
        .batch_execute(&format!("BEGIN; SELECT FROM orders WHERE id = '{order_id}' FOR UPDATE"))
        .await
        .unwrap();
    client
}

/// Waits until a session of the service waits for a lock, for longer than the shared session's `lock_timeout` would let it.
async fn someone_waits_patiently(app: &App) {
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND clock_timestamp() - query_start > interval '400 milliseconds'";
    eventually("a statement waits for the lock", async || (app.store.count(waits).await > 0).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_does_not_hold_up_other_orders_and_its_own_request_waits_for_it() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let locked = app.place(&order(&[1])).await.created();
    let other = app.place(&order(&[2])).await.created();
    app.quiesce().await;
    let other = app.read(other.id()).await;
    let lock = lock_row(&app, locked.id()).await;

    let mut cancel = Box::pin(app.cancel(locked.id()));
    let in_time = async {
        someone_waits_patiently(&app).await;
        // Many at once, so that the instance that waits gets some of them.
        for _ in 0..4 {
            let reads = join_all((0..8).map(|_| app.read(other.id()))).await;
            assert!(reads.iter().all(|read| *read == other));
            app.get("/health").await.json(200);
            app.get(&format!("/v1/orders/{}/events", other.id())).await.json(200);
        }
    };
    tokio::select! {
        answer = &mut cancel => panic!("the cancel was answered while the row was locked: {answer:?}"),
        () = in_time => {}
    }
    drop(lock);
    assert_eq!(cancel.await.document(200).status(), "CANCELLED");
    app.finish().await;
}

/// A request of the same instance waits for a lock; the health check shares its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_does_not_hold_up_the_health_check_of_its_instance() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let locked = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let lock = lock_row(&app, locked.id()).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let checks = async {
        let waiting = async || (app.store.count(waits).await > 0).then_some(());
        eventually("a statement waits for the lock", waiting).await;
        // At once, as long as nobody can know that it is a slow one. Many, so that its instance gets some of them.
        let checks = join_all((0..8).map(async |_| {
            let asked = Instant::now();
            app.get("/health").await.json(200);
            asked.elapsed()
        }));
        let slowest = checks.await.into_iter().max();
        assert!(slowest < Some(Duration::from_millis(1_500)), "{slowest:?}");
    };
    let (answer, ()) = tokio::join!(app.cancel(locked.id()), checks);
    answer.problem(503, "database_unavailable");
    drop(lock);
    app.cancel(locked.id()).await.document(200);
    app.finish().await;
}

/// Whether the host itself has answered, with 500, because the only instance that it may have was ending, or its last request was.
fn is_the_hosts(answer: &raw_http::RawResponse) -> bool {
    answer.status == 500 && answer.header("x-request-id").is_none()
}

/// The check itself has to wait, here for a lock of its own table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_is_well_while_any_statement_succeeds() {
    let mut app = Spawn::new().environment("SPIN_MAX_INSTANCE_COUNT", "1").start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    // A new instance, which takes 128 requests: while the check holds the only one, there is no other.
    app.hosts[0].kill();
    app.hosts[0].start_again().await.unwrap();
    let host = &app.hosts[0];
    let read = || async {
        let path = format!("/v1/orders/{}", document.id());
        raw_http::exchange(host, format!("GET {path} HTTP/1.1\r\nHost: order\r\nConnection: close\r\n\r\n"))
            .await
    };
    eventually("the instance is free", async || (read().await.status == 200).then_some(())).await;
    let lock = app.store.database().connect().await.unwrap();
    lock.batch_execute("BEGIN; LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let reads = async {
        let deadline = PollDeadline::until("the check is answered");
        loop {
            let answer = read().await;
            assert!(answer.status == 200 || is_the_hosts(&answer), "{answer:?}");
            for _ in 0..3 {
                deadline.wait().await;
            }
        }
    };
    let check = async || {
        let asked = Instant::now();
        let answer =
            raw_http::exchange(host, "GET /health HTTP/1.1\r\nHost: order\r\nConnection: close\r\n\r\n")
                .await;
        (!is_the_hosts(&answer)).then(|| (answer, asked.elapsed()))
    };
    tokio::select! {
        (health, took) = eventually("the check reaches the component", check) => {
            assert_eq!(health.status, 200, "{health:?}");
            assert!(health.body.contains(r#""ok":true"#), "{health:?}");
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        () = reads => unreachable!("the reads go on for as long as the check"),
    }
    drop(lock);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_stays_locked_is_503_in_the_end() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let lock = lock_row(&app, document.id()).await;
    let answer = app.cancel(document.id()).await;
    answer.problem(503, "database_unavailable");
    answer.retry_after();
    drop(lock);
    app.cancel(document.id()).await.document(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_with_a_single_connection() {
    let app = Spawn::new().variable("internal_token", TOKEN).pg_max_connections(1).start().await;
    let first = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let first = app.read(first.id()).await;
    let events = format!("/v1/orders/{}/events", first.id());
    for round in 0..3 {
        let order_requests: Vec<OrderRequest> = (0..12).map(|n| order(&[10 + 20 * round + n])).collect();
        let orders = join_all(order_requests.iter().map(|order_request| app.place(order_request)));
        let reads = join_all((0..12).map(|_| app.read(first.id())));
        let journals = join_all((0..6).map(|_| app.get(&events)));
        let metrics = join_all((0..3).map(|_| app.get("/metrics")));
        let health = join_all((0..3).map(|_| app.get("/health")));
        let (orders, reads, journals, metrics, health, _) =
            tokio::join!(orders, reads, journals, metrics, health, app.sweep());
        orders.iter().for_each(|answer| drop(answer.created_or_accepted()));
        assert!(reads.iter().all(|read| *read == first));
        for answer in journals.iter().chain(&metrics).chain(&health) {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    let second = app.place(&order(&[2])).await.created();
    app.quiesce().await;
    let lock = lock_row(&app, second.id()).await;
    let mut refund = Box::pin(app.refund(second.id()));
    tokio::select! {
        answer = &mut refund => panic!("the refund was answered while the row was locked: {answer:?}"),
        () = someone_waits_patiently(&app) => {}
    }
    drop(lock);
    assert_eq!(refund.await.document(200).status(), "REFUNDED");
    app.finish().await;
}
