//! `POST /internal/orders/{id}/resolve`: an operator's word, where Payment never gives one.

use crate::callback::pending;
use crate::overtaken_charge::{charged, under_way};
use crate::refund::confirmed;
use crate::stuck::with_operator;
use crate::support::*;
use crate::validation::pointers;

const UNKNOWN: &str = "01980000-0000-7000-8000-000000000000";

async fn resolve(app: &App, id: &str, body: &Value) -> Answer {
    app.operator(Method::POST, &format!("/internal/orders/{id}/resolve")).json(body).send().await
}

/// An order whose charge never has an answer.
async fn unanswered(app: &App, seat: i64) -> Document {
    app.fault(FaultRule::on(CallName::Charge, garbage_with(404, "<html>", false)).always().seat(seat)).await;
    app.place(&order(&[seat])).await.accepted()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_charge_was_not_made_fails_and_money_that_comes_later_goes_back() {
    let app = with_operator(Mode::Succeed).await;
    let document = unanswered(&app, 1).await;
    let word = json!({ "payment": "not_taken", "reason": "not in the ledger" });
    let failed = resolve(&app, document.id(), &word).await.document(200);
    assert_eq!((failed.status(), failed.failure()), ("FAILED", Some("payment_declined")));
    app.quiesce().await;
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    let journal = app.journal(document.id()).await;
    let entry = journal.iter().find(|entry| entry["type"] == "resolved").expect("it is in the journal");
    assert_eq!((&entry["actor"], &entry["data"]["reason"]), (&json!("operator"), &word["reason"]));
    let answer = resolve(&app, document.id(), &word).await;
    assert_eq!(answer.problem_of_order(409, "order_not_resolvable"), document.id());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_after_not_taken_goes_back() {
    let app = with_operator(Mode::Pending).await;
    let document = pending(&app, &[1]).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    resolve(&app, document.id(), &json!({ "payment": "not_taken" })).await.document(200);
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    let paid_back = app.read(document.id()).await;
    paid_back.assert_is("CANCELLED", "done");
    assert_eq!(paid_back["payment"]["status"], "REFUNDED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_charge_makes_that_was_under_way_at_not_taken_goes_back() {
    for mode in [Mode::Silent, Mode::Pending] {
        let app = with_operator(mode).await;
        let (id, placed) = under_way(&app, 1, 2_000).await;
        let failed = resolve(&app, &id, &json!({ "payment": "not_taken" })).await.document(200);
        assert_eq!((failed.status(), failed.failure()), ("FAILED", Some("payment_declined")));
        placed.await.unwrap();
        app.quiesce().await;
        if mode == Mode::Pending {
            assert_eq!(app.read(&id).await["payment"]["status"], "PENDING");
            app.peers.settle_silently(&id, PaymentStatus::Success).await.unwrap();
            app.watch().await;
        }
        let paid_back = app.read(&id).await;
        paid_back.assert_is("FAILED", "done");
        assert_eq!(paid_back["payment"]["status"], "REFUNDED", "{mode:?}");
        let made = charged(&app, &id).await;
        assert_eq!((made.taken, made.returned), (1, 1));
        assert_eq!(app.calls("payment.charge").await, 1);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_was_made_confirms_the_order() {
    let app = with_operator(Mode::Silent).await;
    app.fault(FaultRule::on(CallName::Charge, garbage_with(404, "<html>", true)).always()).await;
    let document = app.place(&order(&[1])).await.accepted();
    let payment = app.peers.state().await.unwrap().payments.pop().expect("it was made");
    let nameless = resolve(&app, document.id(), &json!({ "payment": "taken" })).await;
    assert_eq!(pointers(&nameless.problem(422, "validation_failed")), ["#/payment_id"]);
    let word = json!({ "payment": "taken", "payment_id": payment.id });
    let confirmed = resolve(&app, document.id(), &word).await.document(200);
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed.payment_id(), payment.id);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_a_payment_that_payment_does_not_know_stays_parked_until_it_is_resolved() {
    let mut app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    app.peers.forget_payment(document.payment_id(), true).await.unwrap();
    app.refund(document.id()).await.document(202).assert_is("CONFIRMED", "refunding");
    app.expire_waits().await;
    app.sweep().await;
    let stuck = app.stuck().await.orders;
    assert_eq!((stuck.len(), &stuck[0]["order_id"]), (1, &json!(document.id())), "{stuck:?}");
    let taken = resolve(&app, document.id(), &json!({ "payment": "taken" })).await;
    assert_eq!(taken.problem_of_order(409, "order_not_resolvable"), document.id());
    let other = json!({ "payment": "refunded", "payment_id": UNKNOWN });
    let problem = resolve(&app, document.id(), &other).await.problem(422, "validation_failed");
    assert_eq!(pointers(&problem), ["#/payment_id"]);
    let refunded = resolve(&app, document.id(), &json!({ "payment": "refunded" })).await.document(200);
    refunded.assert_is("REFUNDED", "done");
    assert!(app.stuck().await.orders.is_empty());
    app.expect_errors_in_the_log();
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_needs_a_token_an_order_and_its_fields() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    let path = format!("/internal/orders/{}/resolve", document.id());
    app.request(Method::POST, &path).json(&json!({})).send().await.problem(403, "forbidden");
    app.finish().await;

    let app = with_operator(Mode::Succeed).await;
    let document = app.place(&order(&[1])).await.created();
    let path = format!("/internal/orders/{}/resolve", document.id());
    app.request(Method::POST, &path).json(&json!({})).send().await.problem(401, "unauthorized");
    let word = json!({ "payment": "not_taken" });
    resolve(&app, UNKNOWN, &word).await.problem(404, "order_not_found");
    resolve(&app, "x", &word).await.problem(400, "invalid_order_id");
    let answer = resolve(&app, document.id(), &word).await;
    assert_eq!(answer.problem_of_order(409, "order_not_resolvable"), document.id());
    // Valid JSON that no text can hold is a wrong value, and not the same as none.
    let path = format!("/internal/orders/{}/resolve", document.id());
    let odd = r#"{"payment":"not_taken","payment_id":"\ud800","reason":1e999}"#;
    let odd =
        app.operator(Method::POST, &path).header("content-type", "application/json").body(odd).send().await;
    assert_eq!(pointers(&odd.problem(422, "validation_failed")), ["#/payment_id", "#/reason"]);
    let wrong = json!({ "payment": "maybe", "payment_id": 7, "reason": {}, "amount": 1 });
    let problem = resolve(&app, document.id(), &wrong).await.problem(422, "validation_failed");
    assert_eq!(pointers(&problem), ["#/amount", "#/payment", "#/payment_id", "#/reason"]);
    app.finish().await;
}
