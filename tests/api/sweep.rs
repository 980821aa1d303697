//! `POST /internal/sweep`, and the little of it that goes by itself.

use futures::future::join_all;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_says_what_it_did() {
    let app = spawn().await;
    assert_eq!(app.sweep().await, json!({ "orders": 0, "messages": 0 }));
    app.finish().await;

    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    assert_eq!(app.sweep().await["orders"], 0, "an order that waits in time is not due");
    app.store.expire(document.id()).await;
    let done = app.sweep().await;
    let members = done.as_object().unwrap();
    assert!(members.len() == 2 && members["orders"].is_u64() && members["messages"].is_u64(), "{done}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_needs_the_token_when_there_is_one() {
    let app = Spawn::new().variable("internal_token", "correct-horse-battery").start().await;
    let sweep = || app.request(Method::POST, "/internal/sweep");
    let answer = sweep().send().await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    for wrong in [
        "Bearer wrong",
        "Bearer correct-horse-batter",
        "Bearer correct-horse-batteryy",
        "Bearer ",
        "Bearer",
        "correct-horse-battery",
        "Basic correct-horse-battery",
        "",
    ] {
        sweep().header("authorization", wrong).send().await.problem(401, "unauthorized");
    }
    sweep().header("authorization", "Bearer correct-horse-battery").send().await.json(200);
    // The scheme is not case-sensitive.
    sweep().header("authorization", "bearer correct-horse-battery").send().await.json(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_else_internal_needs_a_token_that_is_set() {
    let app = spawn().await;
    for path in ["/internal/anything", "/internal/outbox/redrive", "/internal/"] {
        app.get(path).await.problem(403, "forbidden");
        let guess = app.request(Method::POST, path).header("authorization", "Bearer ");
        guess.send().await.problem(403, "forbidden");
    }
    app.finish().await;

    let app = Spawn::new().variable("internal_token", "some-token").start().await;
    app.get("/internal/anything").await.problem(401, "unauthorized");
    let known = app.request(Method::GET, "/internal/anything").header("authorization", "Bearer some-token");
    known.send().await.problem(404, "route_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweeps_at_the_same_time_do_the_work_once() {
    let app = Spawn::new().payment_mode(Mode::Pending).replicas(2).start().await;
    let order_requests: Vec<OrderRequest> = (1..=20).map(|seat| order(&[seat])).collect();
    for answer in join_all(order_requests.iter().map(|order_request| app.place(order_request))).await {
        let document = answer.created();
        app.settle_silently(&document, PaymentStatus::Success).await;
    }
    app.peers.clear_calls().await.unwrap();
    let past = "timezone('utc', clock_timestamp()) - interval '1 second'";
    app.store.run(&format!("UPDATE orders SET expires_at = {past}, due_at = {past}")).await;
    join_all((0..10).map(|n| app.sweep_at(n % 2))).await;
    app.quiesce().await;
    let counts = app.peers.calls().await.unwrap().counts;
    for call in ["payment.payment", "seating.allocate", "notification.notify"] {
        assert_eq!(counts.get(call), Some(&20), "{call}: {counts:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_with_health_probes_drives_itself() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Reserve, Action::LoseAnswer).seat(1)).await;
    let id = app.place(&order(&[1])).await.created_or_accepted().id().to_owned();
    eventually("the order is confirmed", async || {
        app.get("/health/live").await.json(200);
        app.get("/health").await.json(200);
        (app.read(&id).await.status() == "CONFIRMED").then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_worked_off() {
    let app = spawn().await;
    app.take_peer_down(Peer::Payment).await;
    let order_requests: Vec<OrderRequest> = (1..=60).map(|seat| order(&[seat])).collect();
    for answer in join_all(order_requests.iter().map(|order_request| app.place(order_request))).await {
        answer.accepted();
    }
    app.take_peer_up(Peer::Payment).await;
    app.quiesce().await;
    let confirmed = "SELECT count(*) FROM orders WHERE status = 'CONFIRMED'";
    assert_eq!(app.store.count(confirmed).await, 60);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_is_asked_for_finds_what_was_written_with_a_due_time_in_the_past() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    // As after a scan that found the beginning of the queues expensive.
    let mark =
        "UPDATE queue_scans SET orders_from = timezone('utc', clock_timestamp()), full_entries = 1000000,
                full_at = timezone('utc', clock_timestamp())";
    app.store.run(mark).await;
    app.store.expire(document.id()).await;
    // At most once a minute, because it would cost so much.
    assert_eq!(app.sweep().await["orders"], 0);
    app.store.run("UPDATE queue_scans SET full_at = full_at - interval '1 minute'").await;
    assert_eq!(app.sweep().await["orders"], 1);
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    app.finish().await;
}
