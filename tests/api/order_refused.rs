//! An order that does not go well, for reasons that the buyer is told.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_payment_fails_the_order_and_frees_the_seats() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let id = app.place(&order(&[1, 2])).await.problem_of_order(402, "payment_declined");
    let document = app.read(&id).await;
    assert_eq!((document.status(), document.failure()), ("FAILED", Some("payment_declined")));
    assert_eq!((&document["payment"]["status"], &document["tickets"]), (&json!("FAILED"), &json!([])));
    app.quiesce().await;
    app.read(&id).await.assert_is("FAILED", "done");
    for seat in [1, 2] {
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available);
    }

    // Somebody else can buy them now.
    app.set_payment_mode(Mode::Succeed).await;
    app.place(&order(&[2, 1]).user(7)).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_payment_refuses_to_make_fails_the_order() {
    let app = spawn().await;
    // Only Payment's own validation error says that no payment was made.
    let refusal = json!({ "message": ["currency must be an ISO 4217 code"], "statusCode": 400 });
    let refusal = garbage_with(400, &refusal.to_string(), false);
    app.fault(FaultRule::on(CallName::Charge, refusal).always().seat(3)).await;
    let id = app.place(&order(&[3])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    app.read(&id).await.assert_is("FAILED", "done");
    assert_eq!(app.seat(3).await.status, SeatStatus::Available);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_not_on_sale_stores_no_order() {
    let app = spawn().await;
    app.put_event(107, "POSTPONED").await;
    for (event, seat) in [(102, 701), (103, 801), (107, 1)] {
        app.place(&order(&[seat]).event(event)).await.problem(409, "event_not_on_sale");
    }
    assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 0);
    assert_eq!(app.calls("seating.reserve").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_event_stores_no_order() {
    let app = spawn().await;
    app.place(&order(&[1]).event(999)).await.problem(422, "event_not_found");
    assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_stored_no_order_is_free() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").start().await;
    let order_request = order(&[1]).event(108);
    app.place(&order_request).await.problem(422, "event_not_found");
    app.put_event(108, "SOLD_OUT").await;
    app.peers.put_seats(108, &[SeatSpec::priced(1, "10")]).await.unwrap();
    app.place(&order_request).await.problem(409, "event_not_on_sale");
    app.put_event(108, "ON_SALE").await;
    let answer = app.place(&order_request).await;
    assert!(!answer.is_replayed());
    answer.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_seat_or_one_of_another_event_fails_the_order() {
    let app = spawn().await;
    for seats in [[1, 999_999], [1, 1001], [2147483647, 1]] {
        let id = app.place(&order(&seats)).await.problem_of_order(422, "seat_not_found");
        let document = app.read(&id).await;
        assert_eq!((document.status(), document.failure()), ("FAILED", Some("seat_not_found")));
        assert_eq!((&document["items"], &document["payment"]), (&json!([]), &Value::Null));
    }
    app.quiesce().await;
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    assert_eq!(app.calls("payment.charge").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_seating_gave_to_somebody_else_fails_the_order_and_stays_theirs() {
    let app = spawn().await;
    for (seat, status) in [(11, SeatStatus::Reserved), (12, SeatStatus::Allocated), (13, SeatStatus::Blocked)]
    {
        app.put_seat(seat_of_somebody(seat, status, 5)).await;
        let id = app.place(&order(&[seat, seat + 10])).await.problem_of_order(409, "seats_unavailable");
        let document = app.read(&id).await;
        assert_eq!((document.status(), document.failure()), ("FAILED", Some("seats_unavailable")));
        app.quiesce().await;
        assert_eq!(app.seat(seat).await.status, status);
        assert_eq!(app.seat(seat + 10).await.status, SeatStatus::Available);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_catalog_no_order_is_stored_and_the_key_stays_free() {
    let app = spawn().await;
    let order_request = order(&[1]);
    app.take_peer_down(Peer::Catalog).await;
    let answer = app.place(&order_request).await;
    answer.problem(503, "peer_unavailable");
    answer.retry_after();
    assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 0);

    app.take_peer_up(Peer::Catalog).await;
    let answer = app.place(&order_request).await;
    assert!(!answer.is_replayed());
    answer.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}
