//! `POST /v1/orders/{id}/cancel`: in every status and phase.

use futures::future::join_all;

use crate::callback::pending;
use crate::support::*;

/// The order is cancelled for good, with this payment left, and repeating the request changes nothing.
async fn stays_cancelled(app: App, id: &str, outcome: Outcome) {
    app.quiesce().await;
    assert_eq!(app.outcome(id).await, outcome);
    let before = app.state_of(id).await;
    let again = app.cancel(id).await;
    assert_eq!(again.document(200), before.0);
    assert_eq!(app.state_of(id).await, before);
    app.finish().await;
}

/// Given up before any money was taken for good.
fn cancelled(payment: PaymentStatus) -> Outcome {
    Outcome::cancelled(Some(payment))
}

/// Given up when the money had been taken.
fn cancelled_and_paid_back() -> Outcome {
    cancelled(PaymentStatus::Refunded).after_telling("ORDER_REFUNDED")
}

/// Cancels the order while a call about it is disturbed.
async fn cancelled_meanwhile(app: &App, fault: u64, order_request: &OrderRequest) -> String {
    app.until_fault_hit(fault).await;
    let id = app.id_of(order_request).await;
    assert_eq!(app.cancel(&id).await.document(200).status(), "CANCELLED");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_awaits_its_payment_is_cancelled_and_its_seats_are_free() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    let answered = app.cancel(document.id()).await.document(200);
    // The answer waits for the seats.
    answered.assert_is("CANCELLED", "done");
    assert_eq!((answered.failure(), &answered["order"]["expires_at"]), (None, &Value::Null));
    assert_eq!(app.read(document.id()).await, answered);
    let other = app.place(&order(&[2, 1]).user(7)).await.created();
    app.cancel(other.id()).await.document(200).assert_is("CANCELLED", "done");
    stays_cancelled(app, document.id(), cancelled(PaymentStatus::Pending)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_seats_are_being_reserved_is_cancelled_and_never_charged() {
    for lost in [Action::LoseRequest, Action::LoseAnswer, fail(500)] {
        let app = spawn().await;
        let fault = app.fault(FaultRule::on(CallName::Reserve, lost).always()).await;
        let seat = app.fault(FaultRule::on(CallName::Seat, fail(500)).always()).await;
        let document = app.place(&order(&[1])).await.accepted();
        document.assert_is("PENDING", "reserving");
        assert_eq!(app.cancel(document.id()).await.document(200).status(), "CANCELLED");
        app.remove_fault(fault).await;
        app.remove_fault(seat).await;
        app.quiesce().await;
        assert_eq!(app.calls("payment.charge").await, 0);
        stays_cancelled(app, document.id(), Outcome::cancelled(None)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_cancelled_while_its_reserve_is_under_way_is_not_charged() {
    let app = spawn().await;
    let fault = app.fault(stall(CallName::Reserve, 1500, Moment::After)).await;
    let order_request = order(&[1]);
    let (placed, id) =
        tokio::join!(app.place(&order_request), cancelled_meanwhile(&app, fault, &order_request));
    assert_eq!(placed.document(201).status(), "CANCELLED");
    assert_eq!(app.calls("payment.charge").await, 0);
    stays_cancelled(app, &id, Outcome::cancelled(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_charge_has_no_answer_is_cancelled_and_what_was_paid_goes_back() {
    for (lost, mode, outcome) in [
        (Action::LoseAnswer, Mode::Silent, cancelled_and_paid_back()),
        (Action::LoseAnswer, Mode::Pending, cancelled(PaymentStatus::Pending)),
        (Action::LoseAnswer, Mode::Decline, cancelled(PaymentStatus::Failed)),
        // Only by charging again under the same key it can be found out that nothing was charged.
        (Action::LoseRequest, Mode::Silent, cancelled_and_paid_back()),
    ] {
        let app = Spawn::new().payment_mode(mode).start().await;
        // Payment cannot even be asked, so that a callback does not tell either.
        app.fault(FaultRule::on(CallName::Charge, lost).always()).await;
        app.fault(FaultRule::on(CallName::Payment, Action::LoseRequest).always()).await;
        let document = app.place(&order(&[1])).await.accepted();
        document.assert_is("PENDING", "charging");
        assert_eq!(app.cancel(document.id()).await.document(200).status(), "CANCELLED");
        app.peers.clear_faults().await.unwrap();
        stays_cancelled(app, document.id(), outcome).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_cancelled_while_its_charge_is_under_way_gets_its_money_back() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    let fault = app.fault(stall(CallName::Charge, 1500, Moment::After)).await;
    let order_request = order(&[1]);
    let (placed, id) =
        tokio::join!(app.place(&order_request), cancelled_meanwhile(&app, fault, &order_request));
    assert_eq!(placed.document(201).status(), "CANCELLED");
    stays_cancelled(app, &id, cancelled_and_paid_back()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_paid_and_not_yet_allocated_is_cancelled_and_paid_back() {
    for lost in [Action::LoseRequest, Action::LoseAnswer, fail(500)] {
        let app = Spawn::new().payment_mode(Mode::Silent).start().await;
        app.fault(FaultRule::on(CallName::Allocate, lost).always()).await;
        let document = app.place(&order(&[1])).await.created();
        document.assert_is("PENDING", "allocating");
        assert_eq!(app.cancel(document.id()).await.document(200).status(), "CANCELLED");
        app.peers.clear_faults().await.unwrap();
        stays_cancelled(app, document.id(), cancelled_and_paid_back()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_lost_its_seats_is_cancelled_and_paid_back() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    app.fault(FaultRule::on(CallName::Allocate, Action::Refuse).always()).await;
    app.fault(FaultRule::on(CallName::Refund, Action::LoseRequest).always()).await;
    let document = app.place(&order(&[1])).await.accepted();
    document.assert_is("PENDING", "refunding");
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "refunding");
    app.peers.clear_faults().await.unwrap();
    stays_cancelled(app, document.id(), cancelled_and_paid_back()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_expired_is_cancelled_already() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Release, fail(500)).always()).await;
    app.store.expire(document.id()).await;
    app.sweep().await;
    app.read(document.id()).await.assert_is("CANCELLED", "releasing");
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "releasing");
    app.peers.clear_faults().await.unwrap();
    stays_cancelled(app, document.id(), cancelled(PaymentStatus::Pending)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_confirmed_failed_or_refunded_cannot_be_cancelled() {
    let app = spawn().await;
    app.set_payment_mode_of_user(13, Mode::Decline).await;
    let confirmed = app.place(&order(&[1])).await.created().id().to_owned();
    let failed = app.place(&order(&[2]).user(13)).await.problem_of_order(402, "payment_declined");
    let refunded = app.place(&order(&[3])).await.created().id().to_owned();
    app.refund(&refunded).await.document(200).assert_is("REFUNDED", "done");
    // Failed, and its seats are not free yet.
    app.fault(FaultRule::on(CallName::Release, fail(500)).always().seat(4)).await;
    let releasing = app.place(&order(&[4]).user(13)).await.problem_of_order(402, "payment_declined");
    // Confirmed, and its money is on its way back.
    app.fault(FaultRule::on(CallName::Refund, fail(500)).always().seat(5)).await;
    let refunding = app.place(&order(&[5])).await.created().id().to_owned();
    app.refund(&refunding).await.document(202).assert_is("CONFIRMED", "refunding");

    for (id, status, phase) in [
        (&confirmed, "CONFIRMED", "done"),
        (&failed, "FAILED", "done"),
        (&refunded, "REFUNDED", "done"),
        (&releasing, "FAILED", "releasing"),
        (&refunding, "CONFIRMED", "refunding"),
    ] {
        let before = app.state_of(id).await;
        before.0.assert_is(status, phase);
        for _ in 0..2 {
            assert_eq!(app.cancel(id).await.problem_of_order(409, "order_not_cancellable"), *id);
        }
        assert_eq!(app.state_of(id).await, before);
    }
    app.peers.clear_faults().await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_cancels_at_once_cancel_once() {
    let app = Spawn::new().payment_mode(Mode::Pending).replicas(2).start().await;
    let document = pending(&app, &[1]).await;
    let answers = join_all((0..20).map(|n| app.cancel_at(n % 2, document.id()))).await;
    for answer in answers {
        assert_eq!(answer.document(200).status(), "CANCELLED");
    }
    app.quiesce().await;
    let entries = "SELECT count(*) FROM order_events WHERE type = 'cancel_requested'";
    assert_eq!(app.store.count(entries).await, 1);
    assert_eq!(app.notifications(document.id()).await.len(), 1);
    stays_cancelled(app, document.id(), cancelled(PaymentStatus::Pending)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_order_cannot_be_cancelled() {
    let app = spawn().await;
    app.cancel("01980000-0000-7000-8000-000000000000").await.problem(404, "order_not_found");
    for id in ["x", "1", "'; DROP TABLE orders; --", "01980000000070008000000000000000"] {
        let id = id.replace(' ', "%20");
        app.cancel(&id).await.problem(400, "invalid_order_id");
    }
    app.finish().await;
}
