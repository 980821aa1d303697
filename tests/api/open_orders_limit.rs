//! How many unpaid orders a user may have (seat hoarding).

use futures::future::join_all;

use crate::support::tokens::{self, SECRET};
use crate::support::*;

fn limited(limit: u32) -> Spawn {
    Spawn::new()
        .variable("auth_jwt_secret", SECRET)
        .variable("max_open_orders_per_user", &limit.to_string())
        .payment_mode(Mode::Pending)
}

async fn spawn_limited(limit: u32) -> App {
    limited(limit).start().await
}

async fn place(app: &App, request: &OrderRequest, user: i64) -> Answer {
    place_at(app, 0, request, user).await
}

async fn place_at(app: &App, replica: usize, request: &OrderRequest, user: i64) -> Answer {
    request.clone().user(user).request(app, replica).token(&tokens::user(user)).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_too_many_is_refused_until_one_is_paid_or_cancelled() {
    let app = spawn_limited(2).await;
    let requests: Vec<OrderRequest> = (1..=2).map(|seat| order(&[seat])).collect();
    let mut placed = Vec::new();
    for request in &requests {
        placed.push(place(&app, request, 101).await.created());
    }
    let refused = place(&app, &order(&[3]), 101).await;
    refused.problem(429, "too_many_open_orders");
    let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=840).contains(&wait), "{wait}");
    // Nothing is stored or held, another user is free, and a repeated request has its order.
    assert_eq!(app.seat(3).await.status, SeatStatus::Available);
    place(&app, &order(&[3]), 102).await.created();
    let replayed = place(&app, &requests[0], 101).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    assert_eq!(replayed.created().id(), placed[0].id());
    let other = requests[0].clone().with("seats", json!([9]));
    place(&app, &other, 101).await.problem(422, "idempotency_key_reused");

    app.settle(&placed[0], PaymentStatus::Success).await;
    place(&app, &order(&[4]), 101).await.created();
    place(&app, &order(&[5]), 101).await.problem(429, "too_many_open_orders");
    let path = format!("/v1/orders/{}/cancel", placed[1].id());
    app.request(Method::POST, &path).token(&tokens::user(101)).send().await.document(200);
    place(&app, &order(&[5]), 101).await.created();
    // Also an administrator does not exceed it.
    let by_admin = order(&[6]).request(&app, 0).token(&tokens::holder(1, "orders:admin")).send().await;
    by_admin.problem(429, "too_many_open_orders");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_cancelled_counts_until_its_seats_are_free_again() {
    let app = spawn_limited(2).await;
    app.take_peer_down(Peer::Payment).await;
    // Nobody knows what became of the charges, so the seats stay held.
    for seat in 1..=2 {
        let placed = place(&app, &order(&[seat]), 101).await.document(202);
        let path = format!("/v1/orders/{}/cancel", placed.id());
        let cancelled = app.request(Method::POST, &path).token(&tokens::user(101)).send().await.document(200);
        assert_eq!(cancelled.status(), "CANCELLED");
        assert_eq!(app.seat(seat).await.status, SeatStatus::Reserved);
    }
    let refused = place(&app, &order(&[3]), 101).await;
    refused.problem(429, "too_many_open_orders");
    assert!(refused.header("retry-after").is_some());
    place(&app, &order(&[3]), 102).await.document(202);

    app.take_peer_up(Peer::Payment).await;
    eventually("the seats are given back", async || {
        app.sweep().await;
        let seats = [app.seat(1).await.status, app.seat(2).await.status];
        seats.iter().all(|status| *status == SeatStatus::Available).then_some(())
    })
    .await;
    place(&app, &order(&[1]), 101).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_at_once_at_two_copies_leave_as_many_as_are_allowed() {
    let app = limited(5).replicas(2).start().await;
    app.never_fail_overlapping_reserves().await;
    let requests: Vec<OrderRequest> = (1..=500).map(|seat| order(&[seat])).collect();
    // Somebody else's are in between.
    let others: Vec<OrderRequest> = (1_001..=1_010).map(|seat| order(&[seat]).event(104)).collect();
    let of_one = (0..).zip(&requests).map(|(at, request)| place_at(&app, at % 2, request, 101));
    let of_others =
        (0..).zip(&others).map(|(at, request)| place_at(&app, at % 2, request, 1_000 + at as i64));
    let (of_one, of_others) = tokio::join!(join_all(of_one), join_all(of_others));
    assert_eq!(of_one.len(), 500);
    for answer in of_others {
        assert!(matches!(answer.status, 201 | 202), "{answer:?}");
    }
    let mut placed = 0;
    for answer in of_one {
        match answer.status {
            201 | 202 => placed += 1,
            429 => drop(answer.problem(429, "too_many_open_orders")),
            _ => drop(answer.problem(503, "database_unavailable")),
        }
    }
    assert_eq!(placed, 5);
    let stored = app.store.value("SELECT count(*)::int FROM orders WHERE user_id = 101").await;
    assert_eq!(stored, 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_for_the_users_other_request_is_told_to_come_again() {
    let app = spawn_limited(5).await;
    place(&app, &order(&[1]), 101).await.created();
    // As a request that does not end.
    let holder = app.store.database().connect().await.expect("a session");
    holder.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1869767, 101)").await.expect("the lock");
    let answer = place(&app, &order(&[2]), 101).await;
    answer.problem(503, "database_unavailable");
    assert!(answer.header("retry-after").is_some());
    place(&app, &order(&[3]), 102).await.created();
    holder.batch_execute("COMMIT").await.expect("the lock is given back");
    place(&app, &order(&[2]), 101).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_authentication_there_is_no_limit() {
    let app =
        Spawn::new().variable("max_open_orders_per_user", "1").payment_mode(Mode::Pending).start().await;
    for seat in 1..=3 {
        app.place(&order(&[seat])).await.created();
    }
    app.finish().await;
}
