//! Callbacks that are forged, wrong, or come when Payment cannot be asked.

use crate::callback::{applied, pending};
use crate::support::*;
use crate::validation::pointers;

const UNKNOWN: &str = "01980000-0000-7000-8000-000000000000";

/// The callback that Payment would send about a success.
async fn told(app: &App, document: &Document) -> Answer {
    app.call_back(document.id(), document.payment_id(), "SUCCESS").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_not_the_orders_is_rejected() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let other = pending(&app, &[2]).await;
    app.settle(&other, PaymentStatus::Success).await;
    app.quiesce().await;
    // A payment that nobody made, and one that was made for another order.
    for forged in [UNKNOWN, other.payment_id()] {
        let answer = app.call_back(document.id(), forged, "SUCCESS").await;
        assert_eq!(answer.problem_of_order(403, "callback_rejected"), document.id());
    }
    assert_eq!(app.read(document.id()).await, document);
    // The order's own payment, but for another amount, in another currency, of another order.
    app.settle_silently(&document, PaymentStatus::Success).await;
    for patch in
        [json!({ "amountCents": 1 }), json!({ "currency": "USD" }), json!({ "merchantOrderId": other.id() })]
    {
        app.fault(FaultRule::on(CallName::Payment, Action::Patch(patch.clone()))).await;
        let answer = told(&app, &document).await;
        assert_eq!(answer.problem_of_order(403, "callback_rejected"), document.id());
        assert_eq!(app.read(document.id()).await, document, "{patch}");
    }
    applied(&told(&app, &document).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_callback_during_the_charge_does_not_confirm_the_order() {
    let app = spawn().await;
    let stranger = app.place(&order(&[1])).await.created();
    let fault = app.fault(stall(CallName::Charge, 1000, Moment::After)).await;
    let order_request = order(&[2]);
    let (placed, ()) = tokio::join!(app.place(&order_request), async {
        app.until_fault_hit(fault).await;
        let id = app.id_of(&order_request).await;
        for forged in [UNKNOWN, stranger.payment_id()] {
            let answer = app.call_back(&id, forged, "SUCCESS").await;
            assert_eq!(answer.problem_of_order(403, "callback_rejected"), id);
        }
        app.read(&id).await.assert_is("PENDING", "charging");
    });
    placed.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_order_is_not_found() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    app.call_back(UNKNOWN, document.payment_id(), "SUCCESS").await.problem(404, "order_not_found");
    app.call_back(UNKNOWN, UNKNOWN, "SUCCESS").await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_payment_cannot_be_asked_the_sweep_resolves_the_order() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, action) in [
        (1, Action::LoseRequest),
        (2, Action::LoseAnswer),
        (3, fail(500)),
        (4, garbage("<html>busy</html>", false)),
        (5, garbage_with(503, "<html>busy</html>", false)),
        (6, stall(CallName::Payment, 4000, Moment::Before).action),
        (7, Action::Patch(json!({ "merchantOrderId": null }))),
    ] {
        let document = pending(&app, &[seat]).await;
        app.settle_silently(&document, PaymentStatus::Success).await;
        let rule = FaultRule::on(CallName::Payment, action.clone()).always().order(document.id());
        let fault = app.fault(rule).await;
        let answer = told(&app, &document).await;
        let waits = app.has_open_call(CallName::Payment).await;
        assert!(waits == (seat == 6), "a slow Payment is not waited for");
        assert_eq!(answer.problem_of_order(503, "peer_unavailable"), document.id());
        answer.retry_after();
        app.read(document.id()).await.assert_is("PENDING", "awaiting_payment");
        app.remove_fault(fault).await;
        app.quiesce().await;
        let confirmed = app.read(document.id()).await;
        assert_eq!((confirmed.status(), confirmed.phase()), ("CONFIRMED", "done"), "{action:?}");
    }
    app.finish().await;
}

/// Payment has answered: the payment is undecided, and an operator hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfamiliar_status_is_a_payment_that_is_still_pending_and_a_second_callback_changes_nothing() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let [document, other] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    let state = format!(
        "SELECT row(version, due_at, attempts, updated_at)::text FROM orders WHERE id = '{}'",
        document.id()
    );
    let due = format!("SELECT due_at::text FROM orders WHERE id = '{}'", document.id());
    let due_before = app.store.value(&due).await;
    let shown = Action::Patch(json!({ "status": "ON_HOLD" }));
    let fault = app.fault(FaultRule::on(CallName::Payment, shown).always()).await;
    let call_back = async |payment: &str, status: &str| {
        let (note, same) = applied(&app.call_back(document.id(), payment, status).await);
        assert_eq!(note.as_deref(), Some("payment still pending"));
        same.assert_is("PENDING", "awaiting_payment");
    };
    call_back(document.payment_id(), "SUCCESS").await;
    assert_eq!(app.store.value(&due).await, due_before, "it is asked about when it is due anyway");
    let journal = app.journal(document.id()).await;
    let told = journal.last().expect("an entry");
    assert_eq!((&told["type"], &told["actor"]), (&json!("payment_unfamiliar"), &json!("payment")), "{told}");
    assert!(told["data"]["reason"].as_str().unwrap().ends_with("ON_HOLD"), "{told}");
    let waiting = app.store.value(&state).await;
    for status in ["SUCCESS", "FAILED", "REFUNDED"] {
        call_back(document.payment_id(), status).await;
        app.sweep().await;
    }
    assert_eq!(app.store.value(&state).await, waiting);
    assert_eq!(app.journal(document.id()).await, journal);

    // Another order's is no news of this one.
    let answer = app.call_back(document.id(), other.payment_id(), "SUCCESS").await;
    assert_eq!(answer.problem_of_order(403, "callback_rejected"), document.id());
    assert_eq!(app.store.count("SELECT count(*) FROM payment_refunds").await, 0);
    // Of another one of this order a check is kept.
    let second =
        app.peers.second_payment(document.id(), PaymentStatus::Pending, false).await.unwrap().payment;
    let checks = "SELECT row(told_payment_id, due_at, created_at)::text FROM payment_refunds";
    call_back(&second.id, "SUCCESS").await;
    let kept = app.store.value(checks).await;
    call_back(&second.id, "SUCCESS").await;
    assert_eq!(app.store.value(checks).await, kept);
    assert_eq!(app.store.count("SELECT count(*) FROM payment_refunds WHERE due_at = created_at").await, 1);
    assert_eq!(app.journal(document.id()).await, journal);

    app.remove_fault(fault).await;
    app.peers.settle_payment(&second.id, &[], PaymentStatus::Failed).await.unwrap();
    for document in [&document, &other] {
        app.settle(document, PaymentStatus::Success).await;
        app.quiesce().await;
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_at_once_of_an_unfamiliar_status_of_an_order_that_has_ended() {
    let mut app = crate::stuck::with_operator(Mode::Pending).await;
    let document = pending(&app, &[1]).await;
    crate::payment_odd::expired(&app, &document).await;
    let shown = Action::Patch(json!({ "status": "ON_HOLD" }));
    let fault = app.fault(FaultRule::on(CallName::Payment, shown).always()).await;
    for _ in 0..3 {
        let (note, _) = applied(&told(&app, &document).await);
        assert_eq!(note.as_deref(), Some("payment still pending"));
        let stuck = app.stuck().await.orders;
        assert_eq!((stuck.len(), &stuck[0]["order_id"]), (1, &json!(document.id())), "{stuck:?}");
    }
    let journal = app.journal(document.id()).await;
    assert_eq!(journal.iter().filter(|entry| entry["type"] == "parked").count(), 1, "{journal:?}");
    app.remove_fault(fault).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.expect_errors_in_the_log();
    app.finish().await;
}

/// What an operator has heard of its seats says nothing about its money.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfamiliar_status_of_an_order_that_is_parked_for_its_seats_is_not_forgotten() {
    let mut app = crate::stuck::with_operator(Mode::Succeed).await;
    let busy = app.fault(FaultRule::on(CallName::Allocate, fail(503)).always()).await;
    let id = app.place(&order(&[1])).await.created_or_accepted().id().to_owned();
    let parked = "parked_at = timezone('utc', clock_timestamp()), parked_reason = 'Seating does not answer'";
    app.store.run(&format!("UPDATE orders SET {parked}")).await;
    let document = app.read(&id).await;
    document.assert_is("PENDING", "allocating");

    let shown = Action::Patch(json!({ "status": "CHARGED_BACK" }));
    let fault = app.fault(FaultRule::on(CallName::Payment, shown).always()).await;
    let (note, _) = applied(&app.call_back(&id, document.payment_id(), "REFUNDED").await);
    assert_eq!(note.as_deref(), Some("payment still pending"));
    app.remove_fault(busy).await;
    eventually("the seats are allocated", async || {
        app.expire_waits().await;
        app.sweep().await;
        (app.read(&id).await.status() == "CONFIRMED").then_some(())
    })
    .await;
    app.remove_fault(fault).await;
    app.peers.settle_payment(document.payment_id(), &[], PaymentStatus::Refunded).await.unwrap();
    app.quiesce().await;
    app.read(&id).await.assert_is("REFUNDED", "done");
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_does_not_wait_for_a_slow_seating() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.fault(stall(CallName::Allocate, 8000, Moment::Before)).await;
    let (note, answered) = applied(&told(&app, &document).await);
    assert!(app.has_open_call(CallName::Allocate).await, "Seating is still at it");
    // Nor had its deadline passed.
    let given_up = "SELECT count(*) FROM order_events WHERE type = 'no_answer'";
    assert_eq!(app.store.count(given_up).await, 0);
    answered.assert_is("PENDING", "allocating");
    assert_eq!((note, &answered["payment"]["status"]), (None, &json!("SUCCESS")));
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_a_callback_is_listed() {
    let app = spawn().await;
    let post = |body: Value| app.request(Method::POST, "/v1/payments/callback").json(&body);
    let good = json!({ "order_id": UNKNOWN, "payment_id": UNKNOWN, "status": "SUCCESS" });
    let problem = post(json!({})).send().await.problem(422, "validation_failed");
    assert_eq!(pointers(&problem), ["#/order_id", "#/payment_id", "#/status"]);
    for (member, wrong) in [
        ("order_id", json!("abc")),
        ("order_id", json!("'; DROP TABLE orders; --")),
        ("order_id", json!(7)),
        ("order_id", Value::Null),
        ("payment_id", json!("01980000000070008000000000000000")),
        ("payment_id", json!("../../v1/refund")),
        ("payment_id", json!(["x"])),
        ("status", json!("success!")),
        ("status", json!("PAID")),
        ("status", json!("'; DELETE FROM orders; --")),
        ("status", json!(true)),
    ] {
        let mut body = good.clone();
        body[member] = wrong;
        let problem = post(body).send().await.problem(422, "validation_failed");
        assert_eq!(pointers(&problem), [format!("#/{member}")], "{problem}");
    }
    for not_an_object in [json!([]), json!("text"), Value::Null] {
        post(not_an_object).send().await.problem(422, "validation_failed");
    }
    crate::validation::assert_no_trace(&app).await;
    app.finish().await;
}
