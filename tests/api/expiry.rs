//! Orders that are not paid in time, and payments that come after all.

use std::time::Duration;

use crate::callback::{applied, pending};
use crate::support::*;

/// The order's time is over.
async fn time_passes(app: &App, document: &Document) {
    app.store.expire(document.id()).await;
    app.quiesce().await;
    assert_eq!(app.read(document.id()).await.failure(), Some("expired"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_not_paid_in_time_expires_and_its_seats_can_be_sold() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let order_request = order(&[1, 2]);
    let document = app.place(&order_request).await.created();
    time_passes(&app, &document).await;
    let expired = app.read(document.id()).await;
    expired.assert_is("CANCELLED", "done");
    assert_eq!((expired.failure(), &expired["order"]["expires_at"]), (Some("expired"), &Value::Null));
    assert_eq!(expired["tickets"], json!([]));
    // Payment was asked before the order was given up, and Seating does not have to wait for its own expiry.
    assert_eq!(app.calls("payment.payment").await, 1);
    assert_eq!([app.seat(1).await.status, app.seat(2).await.status], [SeatStatus::Available; 2]);

    let again = app.place(&order_request).await;
    assert!(again.is_replayed());
    app.set_payment_mode(Mode::Succeed).await;
    app.place(&order(&[1]).user(7)).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_to_pay_is_a_variable_and_the_sweep_ends_it() {
    let app = Spawn::new().variable("order_ttl_seconds", "1").payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    eventually("the order expires", async || {
        app.sweep().await;
        (app.read(document.id()).await.status() == "CANCELLED").then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_seating_freed_and_gave_to_somebody_else_is_not_released() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, 9)).await;
    app.put_seat(seat_sold_to(2, "01980000-0000-7000-8000-00000000000f")).await;
    app.store.lapse(document.id()).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    let seats = [app.seat(1).await, app.seat(2).await];
    assert_eq!((seats[0].status, seats[0].reserved_by), (SeatStatus::Reserved, Some(9)));
    assert_eq!(seats[1].status, SeatStatus::Allocated);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_at_the_last_moment_gets_the_seats_again_or_goes_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let [free, sold] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    app.peers.expire_holds().await.unwrap();
    app.put_seat(seat_of_somebody(2, SeatStatus::Reserved, 9)).await;
    for document in [&free, &sold] {
        app.settle_silently(document, PaymentStatus::Success).await;
        app.store.lapse(document.id()).await;
    }
    app.quiesce().await;
    app.read(free.id()).await.assert_is("CONFIRMED", "done");
    let paid_back = app.read(sold.id()).await;
    assert_eq!((&paid_back["payment"]["status"], paid_back.phase()), (&json!("REFUNDED"), "done"));
    assert_eq!(app.seat(2).await.reserved_by, Some(9));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_callback_was_lost_is_found_when_the_time_is_over() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let [paid, failed] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    app.settle_silently(&paid, PaymentStatus::Success).await;
    app.settle_silently(&failed, PaymentStatus::Failed).await;
    app.store.expire(paid.id()).await;
    app.store.expire(failed.id()).await;
    app.quiesce().await;
    app.read(paid.id()).await.assert_is("CONFIRMED", "done");
    let failed = app.read(failed.id()).await;
    assert_eq!((failed.status(), failed.failure()), ("FAILED", Some("payment_declined")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_payment_cannot_be_asked_an_order_is_not_given_up() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.take_peer_down(Peer::Payment).await;
    app.store.expire(document.id()).await;
    let asked = async || app.peers.calls().await.unwrap().counts.get("payment.payment").copied().unwrap_or(0);
    eventually("Payment is asked three times", async || {
        app.sweep().await;
        app.expire_waits().await;
        (asked().await >= 3).then_some(())
    })
    .await;
    app.read(document.id()).await.assert_is("PENDING", "awaiting_payment");
    app.take_peer_up(Peer::Payment).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_after_expiry_gets_the_same_seats_when_they_are_free() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    time_passes(&app, &document).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    let (note, _) = applied(&app.call_back(document.id(), document.payment_id(), "SUCCESS").await);
    assert_eq!(note, None);
    app.quiesce().await;
    let confirmed = app.read(document.id()).await;
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!((confirmed.failure(), confirmed.tickets("seat_id")), (None, vec![json!(1), json!(2)]));
    assert_eq!(confirmed["order"]["total_cents"], document["order"]["total_cents"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_after_expiry_keeps_the_price_that_was_paid() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    time_passes(&app, &document).await;
    app.put_seat(SeatSpec::priced(1, "999.00")).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    let confirmed = app.read(document.id()).await;
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed["order"]["total_cents"], 15750);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_after_expiry_is_paid_back_when_a_seat_is_gone() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    // Sold by us to somebody else.
    let document = pending(&app, &[1, 2]).await;
    time_passes(&app, &document).await;
    app.set_payment_mode(Mode::Succeed).await;
    let buyer = app.place(&order(&[2]).user(7)).await.created();
    // Sold by somebody else at Seating.
    app.set_payment_mode(Mode::Pending).await;
    let elsewhere = pending(&app, &[3]).await;
    time_passes(&app, &elsewhere).await;
    app.put_seat(seat_of_somebody(3, SeatStatus::Allocated, 9)).await;

    for late in [&document, &elsewhere] {
        app.settle(late, PaymentStatus::Success).await;
        app.quiesce().await;
        let paid_back = app.read(late.id()).await;
        paid_back.assert_is("CANCELLED", "done");
        assert_eq!(paid_back["payment"]["status"], "REFUNDED");
        assert_eq!(paid_back["tickets"], json!([]));
    }
    app.read(buyer.id()).await.assert_is("CONFIRMED", "done");
    assert_eq!(app.seat(3).await.status, SeatStatus::Allocated);
    assert_eq!(app.calls("payment.refund").await, 2);
    app.finish().await;
}

/// The hold of the other seat is the order's still, because nothing has released it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_is_still_held_is_released_when_late_money_goes_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    app.store.lapse(document.id()).await;
    app.put_seat(seat_of_somebody(2, SeatStatus::Reserved, 9)).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.read(document.id()).await["payment"]["status"], "REFUNDED");
    assert_eq!(app.seat(2).await.reserved_by, Some(9));
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    app.abandon().await;
}

/// The hold is over at Seating, whose job has not freed the seats yet: they show as held by the order's user.
async fn with_lapsed_hold() -> (App, Document) {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    app.peers.set_hold(Duration::ZERO).await.unwrap();
    let document = pending(&app, &[1, 2]).await;
    app.peers.set_hold(Duration::from_secs(15 * 60)).await.unwrap();
    (app, document)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapsed_hold_that_seating_has_not_freed_yet_is_allocated_after_a_look() {
    let (app, document) = with_lapsed_hold().await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.store.lapse(document.id()).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    assert_eq!((app.calls("seating.seat").await, app.calls("seating.reserve").await), (2, 1));
    assert_eq!(app.peers.free_lapsed_holds().await.unwrap(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapsed_hold_that_seating_has_not_freed_yet_is_released_when_the_order_expires() {
    let (app, document) = with_lapsed_hold().await;
    app.store.lapse(document.id()).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    assert_eq!([app.seat(1).await.status, app.seat(2).await.status], [SeatStatus::Available; 2]);
    app.set_payment_mode(Mode::Succeed).await;
    app.place(&order(&[1, 2])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapsed_hold_that_seating_frees_before_the_late_money_comes_is_made_anew() {
    let (app, document) = with_lapsed_hold().await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    assert_eq!(app.peers.free_lapsed_holds().await.unwrap(), 2);
    app.store.lapse(document.id()).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    assert_eq!(app.calls("seating.reserve").await, 2);
    app.finish().await;
}
