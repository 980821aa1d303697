//! A charge that has no answer: no status of it says anything about the money, but a 2xx with a payment.

use crate::support::*;

/// A charge that is answered with this status by whatever is in front of Payment, and never made.
fn no_charge(status: u16) -> Action {
    garbage_with(status, "<html>no</html>", false)
}

/// Payment's own validation error.
pub fn invalid() -> Action {
    let body =
        json!({ "message": ["amount_cents must be an integer"], "error": "Bad Request", "statusCode": 400 });
    let (body, content_type) = (body.to_string(), "application/json".to_owned());
    Action::Garbage { status: 400, body, content_type, effect: false }
}

/// An order whose charge never has an answer, from the first attempt on.
async fn unanswered(app: &App, seat: i64, action: Action) -> (Document, u64) {
    let fault = app.fault(FaultRule::on(CallName::Charge, action).always().seat(seat)).await;
    let document = app.place(&order(&[seat])).await.accepted();
    document.assert_is("PENDING", "charging");
    (document, fault)
}

/// Sweeps until the order is in this status and phase.
async fn until(app: &App, document: &Document, status: &str, phase: &str) {
    eventually("the order is there", async || {
        app.sweep().await;
        let now = app.read(document.id()).await;
        if (now.status(), now.phase()) == (status, phase) {
            return Some(());
        }
        app.expire_waits().await;
        None
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_status_but_a_payment_says_anything_about_the_money() {
    let app = spawn().await;
    // The payment is made, and Payment passes on the status with which our callback was answered on its way.
    for (seat, status) in (1..).zip([400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503]) {
        let made = garbage_with(status, &json!({ "statusCode": status, "message": "no" }).to_string(), true);
        let mode = Mode::Silent;
        app.set_payment_mode(mode).await;
        app.fault(FaultRule::on(CallName::Charge, made).seat(seat)).await;
        let document = app.place(&order(&[seat])).await.accepted();
        app.quiesce().await;
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_the_time_to_pay_the_order_is_cancelled_and_its_charge_goes_on() {
    let app = spawn().await;
    let (document, fault) = unanswered(&app, 1, no_charge(402)).await;
    let (other, _) = unanswered(&app, 2, Action::LoseRequest).await;
    for document in [&document, &other] {
        app.store.expire(document.id()).await;
        until(&app, document, "CANCELLED", "charging").await;
        assert_eq!(app.read(document.id()).await.failure(), Some("expired"));
    }
    assert_eq!([app.seat(1).await.status, app.seat(2).await.status], [SeatStatus::Available; 2]);
    let claims = "SELECT count(*) FROM seat_claims";
    assert_eq!(app.store.count(claims).await, 0);
    // The charge goes on under its key, and an operator hears of it in the end.
    let charges = async || app.peers.calls().await.unwrap().counts["payment.charge"];
    let before = charges().await;
    app.expire_waits().await;
    app.sweep().await;
    assert!(charges().await > before);

    // The first is paid in the end, and its seat is still free. The second seat is another buyer's by then.
    app.remove_fault(fault).await;
    let clear = app.peers.clear_faults();
    clear.await.unwrap();
    app.set_payment_mode_of_user(7, Mode::Succeed).await;
    app.place(&order(&[2]).user(7)).await.created();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    let paid_back = app.read(other.id()).await;
    paid_back.assert_is("CANCELLED", "done");
    assert_eq!(paid_back["payment"]["status"], "REFUNDED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_buyer_cancels_frees_its_seats_and_its_money_goes_back() {
    let app = spawn().await;
    let (document, _) = unanswered(&app, 1, no_charge(409)).await;
    app.cancel(document.id()).await.document(200);
    until(&app, &document, "CANCELLED", "charging").await;
    eventually("the seat is free", async || {
        app.expire_waits().await;
        app.sweep().await;
        (app.seat(1).await.status == SeatStatus::Available).then_some(())
    })
    .await;
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    let paid_back = app.read(document.id()).await;
    paid_back.assert_is("CANCELLED", "done");
    assert_eq!(paid_back["payment"]["status"], "REFUNDED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_payment_finds_invalid_at_once_fails_the_order() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Charge, invalid()).always()).await;
    let id = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let failed = app.read(&id).await;
    failed.assert_is("FAILED", "done");
    assert_eq!((&failed["payment"], app.seat(1).await.status), (&Value::Null, SeatStatus::Available));
    assert_eq!(app.calls("payment.charge").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_payment_finds_invalid_later_says_nothing_of_the_attempt_before() {
    let app = spawn().await;
    app.set_payment_mode(Mode::Silent).await;
    app.fault(FaultRule::on(CallName::Charge, Action::LoseAnswer).seat(1)).await;
    app.fault(FaultRule::on(CallName::Charge, invalid()).always().seat(1)).await;
    let document = app.place(&order(&[1])).await.accepted();
    app.expire_waits().await;
    app.sweep().await;
    app.read(document.id()).await.assert_is("PENDING", "charging");
    app.store.expire(document.id()).await;
    until(&app, &document, "CANCELLED", "charging").await;
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undecided_payment_that_comes_after_the_time_to_pay_is_watched() {
    let app = spawn().await;
    let (document, _) = unanswered(&app, 1, no_charge(402)).await;
    app.store.expire(document.id()).await;
    until(&app, &document, "CANCELLED", "charging").await;
    app.set_payment_mode(Mode::Pending).await;
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    let watched = "SELECT count(*) FROM orders WHERE watch_at IS NOT NULL AND due_at IS NULL";
    assert_eq!(app.store.count(watched).await, 1);
    // Nobody tells of it.
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.watch().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    let charges = app.peers.calls().await.unwrap().about(document.id());
    assert!(charges.of(CallName::Charge).all(|call| call.idempotency_key.as_deref() == Some(document.id())));
    app.finish().await;
}
