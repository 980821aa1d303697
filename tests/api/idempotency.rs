//! The same request again.

use crate::support::*;

/// Replays the request: the same document, and no calls to peers.
async fn replay(app: &App, order_request: &OrderRequest) -> Answer {
    app.quiesce().await;
    app.peers.clear_calls().await.unwrap();
    let answer = app.place(order_request).await;
    assert!(answer.is_replayed(), "{answer:?}");
    app.assert_no_calls().await;
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_again_gives_the_same_order_and_calls_nobody() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").start().await;
    let order_request = order(&[1, 2, 3]);
    let first = app.place(&order_request).await.created();
    assert_eq!(replay(&app, &order_request).await.created(), first);
    // Not even when nobody could be called.
    for peer in [Peer::Catalog, Peer::Seating, Peer::Payment, Peer::Notification] {
        app.take_peer_down(peer).await;
    }
    assert_eq!(replay(&app, &order_request).await.created(), first);
    app.peers.clear_faults().await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spelling_of_a_request_does_not_matter() {
    let app = spawn().await;
    let order_request = order(&[1, 2, 3]).key("abc123");
    let first = app.place(&order_request).await.created();
    for same in [
        order_request.clone().key("\"abc123\""),
        order_request.clone().user("101").event("101"),
        order_request.clone().with("seats", json!(["3", 1, "2"])),
        order_request.clone().with("comment", "now with a comment"),
    ] {
        assert_eq!(replay(&app, &same).await.created(), first, "{same:?}");
    }
    let escaped = order(&[4]).key(r#""a\"b\\c""#);
    let document = app.place(&escaped).await.created();
    assert_eq!(document["order"]["idempotency_key"], r#"a"b\c"#);
    assert_eq!(replay(&app, &escaped).await.created(), document);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_used_for_another_request_is_refused_and_shows_nothing_of_the_order() {
    let app = spawn().await;
    let order_request = order(&[1, 2, 3]);
    let first = app.place(&order_request).await.created();
    app.quiesce().await;
    for other in [
        order_request.clone().user(102),
        order_request.clone().event(104),
        order_request.clone().with("seats", json!([1, 2])),
        order_request.clone().with("seats", json!([1, 2, 4])),
        order_request.clone().with("seats", json!([11, 12])),
    ] {
        let answer = app.place(&other).await;
        answer.problem(422, "idempotency_key_reused");
        assert!(!answer.is_replayed());
        let text = answer.text();
        let code = first.tickets("ticket_code")[0].to_string();
        for secret in [first.id(), first.payment_id(), code.trim_matches('"'), "CONFIRMED"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert_eq!(app.read(first.id()).await, first);
    assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_order_again_gives_its_failure() {
    let app = spawn().await;
    let declined = Matching { seat_id: Some(1), ..Matching::default() };
    app.peers.payment_mode_for(declined, Mode::Decline).await.unwrap();
    app.put_seat(SeatSpec::priced(2, "1e12")).await;
    let taken = SeatSpec { status: Some(SeatStatus::Allocated), ..SeatSpec::priced(3, "10") };
    app.put_seat(taken).await;
    for (seat, status, code) in [
        (1, 402, "payment_declined"),
        (2, 422, "amount_out_of_range"),
        (3, 409, "seats_unavailable"),
        (999_999, 422, "seat_not_found"),
    ] {
        let order_request = order(&[seat]);
        let first = app.place(&order_request).await;
        assert!(!first.is_replayed());
        let id = first.problem_of_order(status, code);
        let again = replay(&app, &order_request).await;
        assert_eq!(again.problem_of_order(status, code), id);
        assert_eq!(again.json_body()["detail"], first.json_body()["detail"]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_follows_the_orders_present_state() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let order_request = order(&[1]);
    let first = app.place(&order_request).await.created();
    replay(&app, &order_request).await.created().assert_is("PENDING", "awaiting_payment");
    app.settle(&first, PaymentStatus::Success).await;
    replay(&app, &order_request).await.created().assert_is("CONFIRMED", "done");

    let order_request = order(&[2]);
    let first = app.place(&order_request).await.created();
    app.settle(&first, PaymentStatus::Failed).await;
    assert_eq!(replay(&app, &order_request).await.problem_of_order(402, "payment_declined"), first.id());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_still_under_way_is_not_started_twice() {
    let app = spawn().await;
    let order_request = order(&[1]);
    let fault = app.fault(stall(CallName::Charge, 1500, Moment::After)).await;
    let (first, second) = tokio::join!(app.place(&order_request), async {
        app.until_fault_hit(fault).await;
        app.place(&order_request).await
    });
    assert!(second.is_replayed() && !first.is_replayed());
    let document = second.accepted();
    document.assert_is("PENDING", "charging");
    assert_eq!(first.created().id(), document.id());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seats_of_an_order_are_no_obstacle_to_its_own_replay() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let order_request = order(&[1]);
    let id = app.place(&order_request).await.created().id().to_owned();
    app.place(&order_request.clone().key("another-key")).await.problem(409, "seats_unavailable");
    assert_eq!(replay(&app, &order_request).await.created().id(), id);
    app.finish().await;
}
