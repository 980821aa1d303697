//! A hold of the buyer's that is older than the order: Seating does not tell how old, so it may lapse at any time, and a stranger
//! may have the seat then.

use crate::callback::pending;
use crate::support::*;

/// The buyer of every order here.
const BUYER: i64 = 101;
const STRANGER: i64 = 7;

/// An order on a hold that is older than it, whose payment is pending.
async fn on_an_older_hold() -> (App, Document) {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, BUYER)).await;
    let document = pending(&app, &[1]).await;
    (app, document)
}

/// The hold lapses, and a stranger reserves the seat.
async fn a_stranger_reserves(app: &App) {
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, STRANGER)).await;
}

async fn is_the_strangers(app: &App) {
    let seat = app.seat(1).await;
    assert_eq!((seat.status, seat.reserved_by), (SeatStatus::Reserved, Some(STRANGER)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_hold_that_lasts_is_allocated() {
    let (app, document) = on_an_older_hold().await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_hold_that_lapsed_is_made_anew_when_the_seat_is_free() {
    let (app, document) = on_an_older_hold().await;
    app.put_seat(SeatSpec::priced(1, "150.00")).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_hold_is_not_allocated_when_the_money_comes() {
    let (app, document) = on_an_older_hold().await;
    a_stranger_reserves(&app).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    let refunded = app.read(document.id()).await;
    refunded.assert_is("REFUNDED", "done");
    assert_eq!(refunded.failure(), Some("seats_unavailable"));
    is_the_strangers(&app).await;
    assert_eq!((app.calls("seating.allocate").await, app.calls("seating.release").await), (0, 0));
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_hold_is_not_released_when_the_order_is_cancelled() {
    let (app, document) = on_an_older_hold().await;
    a_stranger_reserves(&app).await;
    assert_eq!(app.cancel(document.id()).await.document(200).status(), "CANCELLED");
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    is_the_strangers(&app).await;
    assert_eq!(app.calls("seating.release").await, 0);
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_hold_within_its_window_is_allocated_without_a_look() {
    let app = spawn().await;
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    assert_eq!((app.calls("seating.seat").await, app.calls("seating.reserve").await), (0, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_on_an_older_hold_does_not_expire_because_payment_cannot_be_asked() {
    let (app, document) = on_an_older_hold().await;
    let payment = document.payment_id();
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    app.call_back(document.id(), payment, "SUCCESS").await.problem_of_order(503, "peer_unavailable");
    app.sweep().await;
    app.read(document.id()).await.assert_is("PENDING", "awaiting_payment");
    app.remove_fault(fault).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    app.finish().await;
}
