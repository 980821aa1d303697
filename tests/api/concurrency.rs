//! Many requests at once.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::support::*;

const MANY: usize = 200;

/// How many answers there are of each status.
fn by_status(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_with_the_same_key_are_one_order() {
    for replicas in [1, 2] {
        let app = Spawn::new().replicas(replicas).start().await;
        let order_request = order(&[1, 2, 3]);
        let answers = join_all((0..MANY).map(|n| app.place_at(n % replicas, &order_request))).await;
        let counts = by_status(&answers);
        assert!(counts.keys().all(|status| [201, 202].contains(status)), "{counts:?}");
        assert!(counts.contains_key(&201), "{counts:?}");
        let placed: Vec<&Answer> = answers.iter().filter(|answer| !answer.is_replayed()).collect();
        assert_eq!(placed.len(), 1, "one request places the order, the others are told of it: {counts:?}");
        let id = placed[0].created().id().to_owned();
        for answer in &answers {
            assert_eq!(answer.created_or_accepted().id(), id);
        }

        app.quiesce().await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
        let counts = app.peers.calls().await.unwrap().counts;
        for call in ["seating.reserve", "payment.charge", "seating.allocate"] {
            assert_eq!(counts.get(call), Some(&1), "{call}: {counts:?}");
        }
        assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 1);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_with_different_keys_for_the_same_seat_are_one_order_and_199_refusals() {
    for replicas in [1, 2] {
        let app = Spawn::new().replicas(replicas).start().await;
        let order_requests: Vec<OrderRequest> =
            (0..MANY).map(|n| order(&[7]).user(1 + n as i64 % 3)).collect();
        let answers =
            join_all(order_requests.iter().enumerate().map(|(n, p)| app.place_at(n % replicas, p))).await;
        assert_eq!(by_status(&answers), BTreeMap::from([(201, 1), (409, MANY - 1)]));
        for answer in &answers {
            if answer.status == 409 {
                answer.problem(409, "seats_unavailable");
            } else {
                answer.created().assert_is("CONFIRMED", "done");
            }
        }
        // Those that were refused by our own claim stored nothing and asked Seating nothing.
        assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 1);
        assert_eq!(app.calls("seating.reserve").await, 1);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_orders_neither_deadlock_nor_share_a_seat() {
    let app = Spawn::new().replicas(2).start().await;
    // Neighbours overlap, and every other one names its seats the other way round.
    let order_requests: Vec<OrderRequest> = (1..=60)
        .map(|n| if n % 2 == 0 { order(&[n, n + 1, n + 2]) } else { order(&[n + 2, n + 1, n]) })
        .collect();
    let answers = join_all(order_requests.iter().enumerate().map(|(n, p)| app.place_at(n % 2, p))).await;
    let mut sold = Vec::new();
    for answer in &answers {
        match answer.status {
            409 => drop(answer.json_body()),
            _ => sold.extend(answer.created_or_accepted()["items"].as_array().unwrap().clone()),
        }
    }
    let counts = by_status(&answers);
    assert!(counts.keys().all(|status| [201, 202, 409].contains(status)), "{counts:?}");
    let seats: Vec<i64> = sold.iter().filter_map(|item| item["seat_id"].as_i64()).collect();
    let distinct: std::collections::BTreeSet<&i64> = seats.iter().collect();
    assert_eq!(distinct.len(), seats.len(), "{seats:?}");
    // Of three neighbours at least one gets its seats.
    assert!(seats.len() >= 36, "{seats:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_orders_at_once_are_all_confirmed() {
    let app = Spawn::new().replicas(2).start().await;
    let order_requests: Vec<OrderRequest> =
        (0..100).map(|n| order(&[3001 + n]).event(106).user(1 + n % 7)).collect();
    let answers = join_all(order_requests.iter().enumerate().map(|(n, p)| app.place_at(n % 2, p))).await;
    let ids: Vec<String> =
        answers.iter().map(|answer| answer.created_or_accepted().id().to_owned()).collect();
    app.quiesce().await;
    for id in ids {
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callbacks_at_once_confirm_an_order_once() {
    let app = Spawn::new().payment_mode(Mode::Pending).replicas(2).start().await;
    let document = app.place(&order(&[1, 2])).await.created();
    let settled = app.settle_silently(&document, PaymentStatus::Success).await;
    let body = json!({ "order_id": document.id(), "payment_id": settled.id, "status": "SUCCESS" });
    let callbacks =
        (0..50).map(|n| app.request_to(n % 2, Method::POST, "/v1/payments/callback").json(&body).send());
    for answer in join_all(callbacks).await {
        assert_eq!(answer.json(200)["ok"], true);
    }
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    let state = app.peers.state().await.unwrap();
    assert_eq!(state.notifications_of(document.id()).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_requests_at_once_with_the_same_key_are_one_order_and_refusals() {
    let app = Spawn::new().replicas(2).start().await;
    for round in 0..5 {
        let first = order(&[100 + round]);
        let second = order(&[200 + round]).key(&first.key);
        let answers =
            join_all((0..20).map(|n| app.place_at(n / 2 % 2, if n % 2 == 0 { &first } else { &second })));
        let answers = answers.await;
        let id = app.id_of(&first).await;
        let (refused, accepted): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 422);
        assert_eq!(refused.len(), 10);
        for answer in refused {
            answer.problem(422, "idempotency_key_reused");
        }
        for answer in accepted {
            assert_eq!(answer.created_or_accepted().id(), id);
        }
    }
    app.quiesce().await;
    assert_eq!(app.calls("payment.charge").await, 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradictory_callbacks_at_once_neither_keep_money_nor_give_tickets_away() {
    let app = Spawn::new()
        .payment_mode(Mode::Pending)
        .variable("payment_webhook_secret", webhook::SECRET)
        .start()
        .await;
    for seat in 1..=10 {
        let document = app.place(&order(&[seat])).await.created();
        app.settle_silently(&document, PaymentStatus::Success).await;
        let tell = |status| crate::callback_signed::signed_callback(&app, &document, status);
        let (paid, failed) = tokio::join!(tell("SUCCESS"), tell("FAILED"));
        assert_eq!(
            (paid.json(200)["ok"].clone(), failed.json(200)["ok"].clone()),
            (json!(true), json!(true))
        );
        app.quiesce().await;
        let document = app.read(document.id()).await;
        let outcome = (document.status(), document["payment"]["status"].as_str().unwrap_or_default());
        assert!([("CONFIRMED", "SUCCESS"), ("FAILED", "REFUNDED")].contains(&outcome), "{outcome:?}");
    }
    app.finish().await;
}
