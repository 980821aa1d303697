//! `POST /v1/orders/{id}/refund`.

use futures::future::join_all;

use crate::callback::pending;
use crate::support::*;

/// A confirmed order of these seats, of which the buyer has been told.
pub async fn confirmed(app: &App, seats: &[i64]) -> Document {
    let document = app.place(&order(seats)).await.created();
    document.assert_is("CONFIRMED", "done");
    app.quiesce().await;
    document
}

/// The row of an order's refund.
pub async fn row(app: &App, order_id: &str) -> Value {
    let sql =
        "SELECT payment_id, amount_cents, reason, outcome, settled_at IS NOT NULL AS settled FROM refunds";
    let mut rows = app.store.rows(&format!("{sql} WHERE order_id = '{order_id}'")).await;
    assert!(rows.len() <= 1, "{rows:?}");
    rows.pop().unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_order_is_refunded_and_its_seats_can_be_sold_again() {
    let app = spawn().await;
    let document = confirmed(&app, &[1, 2]).await;
    let refunded = app.refund(document.id()).await.document(200);
    refunded.assert_is("REFUNDED", "done");
    assert_eq!(refunded["payment"]["status"], "REFUNDED");
    assert_eq!(refunded.tickets("status"), ["VOID", "VOID"]);
    assert_eq!(refunded.tickets("ticket_code"), document.tickets("ticket_code"));
    assert_eq!(refunded["items"], document["items"]);
    assert_eq!(app.read(document.id()).await, refunded);
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    let row = row(&app, document.id()).await;
    let expected = json!({
        "payment_id": document.payment_id(), "amount_cents": document["payment"]["amount_cents"],
        "reason": "refund_requested", "outcome": "REFUNDED", "settled": true,
    });
    assert_eq!(row, expected);
    app.place(&order(&[2, 1]).user(7)).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_refund_is_answered_alike_and_changes_nothing() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.refund(document.id()).await.document(200);
    app.quiesce().await;
    let before = app.state_of(document.id()).await;
    app.peers.clear_calls().await.unwrap();
    for _ in 0..3 {
        assert_eq!(app.refund(document.id()).await.document(200), before.0);
    }
    assert_eq!(app.state_of(document.id()).await, before);
    app.assert_no_calls().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_refunds_at_once_pay_back_once() {
    let app = Spawn::new().replicas(2).start().await;
    let document = confirmed(&app, &[1]).await;
    let path = format!("/v1/orders/{}/refund", document.id());
    let answers = join_all((0..20).map(|n| app.request_to(n % 2, Method::POST, &path).send())).await;
    for answer in answers {
        if answer.status == 202 {
            answer.retry_after();
            answer.document(202).assert_is("CONFIRMED", "refunding");
        } else {
            assert_eq!(answer.document(200).status(), "REFUNDED");
        }
    }
    app.quiesce().await;
    assert_eq!(app.calls("payment.refund").await, 1);
    let entries = "SELECT count(*) FROM order_events WHERE type = 'refund_requested'";
    assert_eq!(app.store.count(entries).await, 1);
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_confirmed_cannot_be_refunded() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let waiting = pending(&app, &[1]).await.id().to_owned();
    let expired = pending(&app, &[2]).await.id().to_owned();
    app.store.expire(&expired).await;
    let given_up = pending(&app, &[3]).await.id().to_owned();
    app.cancel(&given_up).await.document(200);
    app.set_payment_mode(Mode::Decline).await;
    let failed = app.place(&order(&[4])).await.problem_of_order(402, "payment_declined");
    app.set_payment_mode(Mode::Silent).await;
    app.fault(FaultRule::on(CallName::Allocate, fail(500)).always().seat(5)).await;
    let allocating = app.place(&order(&[5])).await.created();
    allocating.assert_is("PENDING", "allocating");
    app.sweep().await;
    for (id, status) in [
        (waiting.as_str(), "PENDING"),
        (&expired, "CANCELLED"),
        (&given_up, "CANCELLED"),
        (&failed, "FAILED"),
        (allocating.id(), "PENDING"),
    ] {
        let before = app.read(id).await;
        assert_eq!(before.status(), status);
        assert_eq!(app.refund(id).await.problem_of_order(409, "order_not_refundable"), id);
        let after = app.read(id).await;
        assert_eq!((after.status(), after.phase()), (status, before.phase()));
        assert_eq!(row(&app, id).await, Value::Null);
    }
    assert_eq!(app.calls("payment.refund").await, 0);
    app.peers.clear_faults().await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_order_cannot_be_refunded() {
    let app = spawn().await;
    app.refund("01980000-0000-7000-8000-000000000000").await.problem(404, "order_not_found");
    for id in ["x", "1", "01980000000070008000000000000000"] {
        app.refund(id).await.problem(400, "invalid_order_id");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_buyer_who_asks_again_under_the_same_key_is_told_that_the_order_was_refunded() {
    let app = spawn().await;
    let order_request = order(&[1]);
    let document = app.place(&order_request).await.created();
    app.refund(document.id()).await.document(200);
    let again = app.place(&order_request).await;
    assert!(again.is_replayed());
    assert_eq!(again.created().status(), "REFUNDED");
    app.finish().await;
}
