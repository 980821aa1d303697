//! Something in front of Seating answers every path in its place: that says nothing about the seats.

use crate::callback::pending;
use crate::refund::confirmed;
use crate::support::*;

/// An ingress without a backend.
async fn ingress_answers(app: &App) -> u64 {
    let page = garbage_with(404, "<html><body><h1>404 Not Found</h1></body></html>", false);
    app.fault(FaultRule::on_any(Peer::Seating, page).always()).await
}

/// Sweeps go on for a while, and the order makes no progress.
pub async fn is_swept(app: &App, id: &str) {
    for _ in 0..3 {
        app.store
            .run(&format!("UPDATE orders SET due_at = timezone('utc', clock_timestamp()) WHERE id = '{id}'"))
            .await;
        app.sweep().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_placed_does_not_fail_as_seat_not_found() {
    let app = spawn().await;
    let ingress = ingress_answers(&app).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    is_swept(&app, &id).await;
    app.read(&id).await.assert_is("PENDING", "reserving");
    app.remove_fault(ingress).await;
    app.quiesce().await;
    assert_eq!(app.outcome(&id).await, Outcome::confirmed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_order_is_not_refunded() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    let ingress = ingress_answers(&app).await;
    app.settle(&document, PaymentStatus::Success).await;
    is_swept(&app, document.id()).await;
    app.read(document.id()).await.assert_is("PENDING", "allocating");
    app.remove_fault(ingress).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_order_whose_hold_is_over_is_not_refunded() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let ingress = ingress_answers(&app).await;
    let over = "timezone('utc', clock_timestamp()) - interval '1 second'";
    let sql =
        format!("UPDATE orders SET expires_at = {over}, hold_until = {over} WHERE id = '{}'", document.id());
    app.store.run(&sql).await;
    app.settle(&document, PaymentStatus::Success).await;
    is_swept(&app, document.id()).await;
    app.read(document.id()).await.assert_is("PENDING", "allocating");
    app.remove_fault(ingress).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::confirmed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_keeps_the_claims_of_seats_that_seating_keeps_allocated() {
    let app = spawn().await;
    let document = confirmed(&app, &[1, 2]).await;
    let ingress = ingress_answers(&app).await;
    assert_eq!(app.refund(document.id()).await.document(200).status(), "REFUNDED");
    is_swept(&app, document.id()).await;
    app.read(document.id()).await.assert_is("REFUNDED", "releasing");
    app.place(&order(&[1]).user(7)).await.problem(409, "seats_unavailable");
    app.remove_fault(ingress).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    app.finish().await;
}
