//! Payments beside an order's own of which Payment cannot tell at once: they are asked about, for as long as it takes.

use crate::callback::{applied, pending};
use crate::callback_signed::{signed, with_secret};
use crate::refund::confirmed;
use crate::stuck::with_operator;
use crate::support::*;
use order_dev::peers::Payment;

/// Another payment of the order, of which nobody has told yet.
async fn second(app: &App, document: &Document, status: PaymentStatus) -> Payment {
    app.peers.second_payment(document.id(), status, false).await.unwrap().payment
}

async fn at_payment(app: &App, id: &str) -> Payment {
    let state = app.peers.state().await.unwrap();
    state.payments.into_iter().find(|payment| payment.id == id).expect("the payment")
}

async fn is_back(app: &App, id: &str) {
    let payment = at_payment(app, id).await;
    assert_eq!((payment.status, payment.taken, payment.returned), (PaymentStatus::Refunded, 1, 1));
}

/// A callback that comes when Payment cannot be asked.
async fn told_in_vain(app: &App, document: &Document, payment: &Payment) {
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    let answer = app.call_back(document.id(), &payment.id, "SUCCESS").await;
    answer.problem_of_order(503, "peer_unavailable");
    app.remove_fault(fault).await;
}

/// The next attempt at each check and each refund is due.
async fn next_attempt(app: &App) {
    app.store
        .run(
            "UPDATE payment_refunds SET due_at = timezone('utc', clock_timestamp()) WHERE due_at IS NOT NULL",
        )
        .await;
    app.sweep().await;
}

async fn checks(app: &App) -> i64 {
    app.store.count("SELECT count(*) FROM payment_refunds WHERE payment_id IS NULL").await
}

async fn note(app: &App, document: &Document, payment: &Payment) -> Option<String> {
    applied(&app.call_back(document.id(), &payment.id, "SUCCESS").await).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_still_pending_is_remembered_unless_it_is_the_orders_own() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let undecided = pending(&app, &[1]).await;
    let own = at_payment(&app, undecided.payment_id()).await;
    assert_eq!(note(&app, &undecided, &own).await.as_deref(), Some("payment still pending"));
    assert_eq!(checks(&app).await, 0);
    let first = second(&app, &undecided, PaymentStatus::Pending).await;
    for _ in 0..3 {
        assert_eq!(note(&app, &undecided, &first).await.as_deref(), Some("payment still pending"));
    }
    assert_eq!(checks(&app).await, 1);
    assert_eq!(app.read(undecided.id()).await, undecided);

    app.set_payment_mode(Mode::Succeed).await;
    let paid = confirmed(&app, &[2]).await;
    let later = second(&app, &paid, PaymentStatus::Pending).await;
    assert_eq!(note(&app, &paid, &later).await.as_deref(), Some("payment still pending"));
    next_attempt(&app).await;

    // Both succeed, and nobody tells of it.
    for payment in [&first, &later] {
        app.peers.settle_payment(&payment.id, &[], PaymentStatus::Success).await.unwrap();
    }
    next_attempt(&app).await;
    app.quiesce().await;
    let now = app.read(undecided.id()).await;
    now.assert_is("CONFIRMED", "done");
    assert_eq!(now.payment_id(), first.id);
    is_back(&app, &later.id).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_waits_for_a_pending_payment_comes_nearer_once_and_one_in_back_off_does_not() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let payment = second(&app, &document, PaymentStatus::Pending).await;
    told_in_vain(&app, &document, &payment).await;
    next_attempt(&app).await;
    app.store.run("UPDATE payment_refunds SET due_at = due_at + interval '20 days'").await;

    let seconds = "SELECT round(extract(epoch FROM due_at - timezone('utc', now()))) FROM payment_refunds";
    told_in_vain(&app, &document, &payment).await;
    let left = app.store.count(seconds).await;
    assert!((55..=60).contains(&left), "{left} seconds");
    let row = "SELECT row(xmin, due_at, attempts)::text FROM payment_refunds";
    let nearer = app.store.value(row).await;
    for _ in 0..20 {
        told_in_vain(&app, &document, &payment).await;
    }
    assert_eq!(app.store.value(row).await, nearer, "nothing is written");

    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    next_attempt(&app).await;
    app.remove_fault(fault).await;
    app.store.run("UPDATE payment_refunds SET due_at = due_at + interval '5 minutes'").await;
    let waiting = app.store.value(row).await;
    told_in_vain(&app, &document, &payment).await;
    assert_eq!(app.store.value(row).await, waiting, "the back-off is not skipped");

    app.peers.settle_payment(&payment.id, &[], PaymentStatus::Success).await.unwrap();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_payment_does_not_know_for_a_moment_is_not_forgotten() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let payment = second(&app, &document, PaymentStatus::Success).await;
    told_in_vain(&app, &document, &payment).await;
    app.peers.forget_payment(&payment.id, true).await.unwrap();
    let asked = app.calls("payment.payment").await;
    app.sweep().await;
    for _ in 0..2 {
        app.sweep().await;
        next_attempt(&app).await;
    }
    assert_eq!(app.calls("payment.payment").await, asked + 3, "after a wait each");
    app.peers.forget_payment(&payment.id, false).await.unwrap();
    app.quiesce().await;
    is_back(&app, &payment.id).await;
    app.finish().await;

    // The callback itself may come before a replica of Payment knows the payment: a signed one is true.
    let app = with_secret().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let payment = second(&app, &document, PaymentStatus::Success).await;
    app.peers.forget_payment(&payment.id, true).await.unwrap();
    let body = json!({ "order_id": document.id(), "payment_id": payment.id, "status": "SUCCESS" });
    signed(&app, &body.to_string()).await.problem_of_order(403, "callback_rejected");
    app.peers.forget_payment(&payment.id, false).await.unwrap();
    app.quiesce().await;
    let confirmed = app.read(document.id()).await;
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed.payment_id(), payment.id);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_of_an_unfamiliar_status_that_lasts() {
    let mut app = with_operator(Mode::Pending).await;
    let undecided = pending(&app, &[1]).await;
    app.set_payment_mode(Mode::Succeed).await;
    let paid = confirmed(&app, &[2]).await;
    for (document, status) in [
        (&undecided, PaymentStatus::Processing),
        (&undecided, PaymentStatus::OnHold),
        (&paid, PaymentStatus::Processing),
        (&paid, PaymentStatus::OnHold),
    ] {
        let payment = second(&app, document, status).await;
        app.call_back(document.id(), &payment.id, "SUCCESS").await;
        next_attempt(&app).await;
        assert!(app.stuck().await.orders.is_empty(), "it may pass");
        eventually("it is parked", async || {
            next_attempt(&app).await;
            (app.stuck().await.orders.len() == 1).then_some(())
        })
        .await;
        let listed = app.stuck().await.orders.remove(0);
        assert_eq!((&listed["order_id"], &listed["why"]), (&json!(document.id()), &json!("second_payment")));
        app.peers.settle_payment(&payment.id, &[], PaymentStatus::Failed).await.unwrap();
        next_attempt(&app).await;
        assert!(app.stuck().await.orders.is_empty());
    }
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_of_money_of_the_order_that_is_not_its_total() {
    let mut app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    for (patch, answered) in [
        (json!({ "amountCents": 1 }), true),
        (json!({ "currency": "USD" }), true),
        (json!({ "amountCents": 1 }), false),
    ] {
        let payment = second(&app, &document, PaymentStatus::Success).await;
        if !answered {
            told_in_vain(&app, &document, &payment).await;
        }
        let fault = app.fault(FaultRule::on(CallName::Payment, Action::Patch(patch)).always()).await;
        if answered {
            let answer = app.call_back(document.id(), &payment.id, "SUCCESS").await;
            answer.problem_of_order(403, "callback_rejected");
        }
        app.sweep().await;
        let listed = eventually("it is parked", async || app.stuck().await.orders.pop()).await;
        assert_eq!((&listed["order_id"], &listed["why"]), (&json!(document.id()), &json!("second_payment")));
        let reason = listed["reason"].as_str().unwrap();
        let wanted = format!("SUCCESS, for another amount or currency (payment {})", payment.id);
        assert!(reason.ends_with(&wanted), "{reason}");
        eventually("an error is logged", async || {
            let lines = app.hosts[0].log_lines();
            let told = logs::errors(&lines).into_iter().any(|line| line["payment"] == payment.id);
            told.then_some(())
        })
        .await;
        // The operator gives it back.
        app.peers.settle_payment(&payment.id, &[], PaymentStatus::Refunded).await.unwrap();
        next_attempt(&app).await;
        assert!(app.stuck().await.orders.is_empty());
        app.remove_fault(fault).await;
    }
    assert_eq!(app.read(document.id()).await, document);
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_about_a_payment_that_is_to_be_checked_leaves_the_orders_own_open() {
    let app = with_operator(Mode::Pending).await;
    let document = pending(&app, &[1]).await;
    let payment = second(&app, &document, PaymentStatus::Pending).await;
    told_in_vain(&app, &document, &payment).await;
    let word = json!({ "payment": "not_taken", "payment_id": payment.id });
    let path = format!("/internal/orders/{}/resolve", document.id());
    let resolved = app.operator(Method::POST, &path).json(&word).send().await.document(200);
    resolved.assert_is("PENDING", "awaiting_payment");
    assert_eq!(resolved["payment"], document["payment"]);
    assert_eq!(checks(&app).await, 0);
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}
