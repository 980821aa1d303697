//! Orders of the service before this one are given up, or cannot be paid back.

use crate::inherited::{id, inherited, pay};
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_that_is_pending_is_cancelled() {
    let app = inherited().await;
    for _ in 0..2 {
        app.cancel(&id(2)).await.document(200).assert_is("CANCELLED", "done");
    }
    app.quiesce().await;
    assert_eq!(app.notifications(&id(2)).await.len(), 1);
    // Its seat was never sold, and nobody was asked to free it.
    assert_eq!(app.calls("seating.release").await, 0);
    app.place(&order(&[3])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_that_is_paid_after_it_was_cancelled_is_paid_back() {
    let app = inherited().await;
    app.cancel(&id(6)).await.document(200).assert_is("CANCELLED", "done");
    pay(&app, 6).await;
    let paid_back = app.read(&id(6)).await;
    paid_back.assert_is("CANCELLED", "done");
    assert_eq!((&paid_back["payment"]["status"], &paid_back["tickets"]), (&json!("REFUNDED"), &json!([])));
    assert_eq!(app.calls("payment.refund").await, 1);
    assert_eq!(app.calls("seating.allocate").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_that_is_over_stays_as_it_is() {
    let app = inherited().await;
    for (number, cancelled) in [(1, false), (3, false), (4, false), (5, true)] {
        let before = app.state_of(&id(number)).await;
        let answer = app.cancel(&id(number)).await;
        if cancelled {
            assert_eq!(answer.document(200), before.0);
        } else {
            assert_eq!(answer.problem_of_order(409, "order_not_cancellable"), id(number));
        }
        assert_eq!(app.state_of(&id(number)).await, before);
    }
    app.assert_no_calls().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_cannot_be_refunded_because_its_payment_is_not_known() {
    let app = inherited().await;
    for number in 1..=6 {
        let before = app.state_of(&id(number)).await;
        let answer = app.refund(&id(number)).await;
        assert_eq!(answer.problem_of_order(409, "order_not_refundable"), id(number));
        assert_eq!(app.state_of(&id(number)).await, before);
    }
    app.assert_no_calls().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_that_this_service_confirmed_can_be_refunded() {
    let app = inherited().await;
    app.put_seat(seat_of_somebody(6, SeatStatus::Reserved, 8)).await;
    pay(&app, 6).await;
    app.read(&id(6)).await.assert_is("CONFIRMED", "done");
    app.refund(&id(6)).await.document(200).assert_is("REFUNDED", "done");
    app.quiesce().await;
    assert_eq!(app.outcome(&id(6)).await, Outcome::refunded());
    app.place(&order(&[6])).await.created();
    app.finish().await;
}
