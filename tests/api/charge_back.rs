//! Payment takes a confirmed order's money back by itself.

use futures::future::join_all;

use crate::callback::applied;
use crate::refund::{confirmed, row};
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_back_is_kept_as_a_refund_that_nobody_asked_for() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.settle(&document, PaymentStatus::Refunded).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    assert_eq!(app.calls("payment.refund").await, 0);
    let row = row(&app, document.id()).await;
    assert_eq!((&row["outcome"], &row["reason"]), (&json!("REFUNDED"), &json!("payment_refunded")));
    app.refund(document.id()).await.document(200).assert_is("REFUNDED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_back_is_found_out_when_payment_can_be_asked_again() {
    for silence in [fail(503), Action::LoseRequest, garbage("<html>busy</html>", false)] {
        let app = spawn().await;
        let document = confirmed(&app, &[1]).await;
        app.settle_silently(&document, PaymentStatus::Refunded).await;
        let fault = app.fault(FaultRule::on(CallName::Payment, silence).always()).await;
        let answer = app.call_back(document.id(), document.payment_id(), "REFUNDED").await;
        assert_eq!(answer.problem_of_order(503, "peer_unavailable"), document.id());
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
        for _ in 0..3 {
            app.expire_waits().await;
            app.sweep().await;
        }
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
        app.remove_fault(fault).await;
        app.quiesce().await;
        assert_eq!(app.read(document.id()).await.tickets("status"), ["VOID"]);
        assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
        app.place(&order(&[1]).user(7)).await.created();
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_back_that_was_none_changes_nothing_when_payment_can_be_asked_again() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    for _ in 0..3 {
        let answer = app.call_back(document.id(), document.payment_id(), "REFUNDED").await;
        assert_eq!(answer.problem_of_order(503, "peer_unavailable"), document.id());
    }
    app.remove_fault(fault).await;
    app.peers.clear_calls().await.unwrap();
    app.quiesce().await;
    assert_eq!(app.calls("payment.payment").await, 1);
    let after = app.read(document.id()).await;
    after.assert_is("CONFIRMED", "done");
    assert_eq!(after.tickets("status"), ["VALID"]);
    let asked_again = "SELECT count(*) FROM orders WHERE watch_at IS NOT NULL OR payment_unsure";
    assert_eq!(app.store.count(asked_again).await, 0, "the doubt is over");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_and_a_charge_back_at_once_are_one_refund() {
    let app = Spawn::new().replicas(2).start().await;
    let order_requests: Vec<OrderRequest> = (1..=30).map(|seat| order(&[seat])).collect();
    let placed = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    let documents: Vec<Document> = placed.iter().map(Answer::created).collect();
    app.quiesce().await;
    let both = documents.iter().map(|document| async {
        let charge_back = app.peers.settle(document.id(), PaymentStatus::Refunded);
        tokio::join!(app.refund(document.id()), charge_back)
    });
    for (refund, charge_back) in join_all(both).await {
        assert!([200, 202].contains(&refund.status), "{refund:?}");
        let record = charge_back.unwrap().callback.unwrap();
        assert_eq!(record.status, Some(200), "{record:?}");
    }
    app.quiesce().await;
    for document in documents {
        assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
        assert_eq!(row(&app, document.id()).await["outcome"], "REFUNDED");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_back_ends_a_refund_that_had_no_answer() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Refund, Action::LoseRequest).always()).await;
    app.refund(document.id()).await.document(202).assert_is("CONFIRMED", "refunding");
    app.settle_silently(&document, PaymentStatus::Refunded).await;
    let (note, refunded) = applied(&app.call_back(document.id(), document.payment_id(), "REFUNDED").await);
    assert_eq!(note, None);
    assert_eq!(refunded.status(), "REFUNDED");
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_back_of_an_order_that_is_being_allocated_ends_it() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    for (seat, lost) in [(1, Action::LoseRequest), (2, Action::LoseAnswer), (3, fail(500))] {
        let fault = app.fault(FaultRule::on(CallName::Allocate, lost).always().seat(seat)).await;
        let document = app.place(&order(&[seat])).await.created();
        document.assert_is("PENDING", "allocating");
        app.settle(&document, PaymentStatus::Refunded).await;
        app.remove_fault(fault).await;
        app.quiesce().await;
        assert_eq!(app.outcome(document.id()).await, Outcome::paid_back());
    }
    app.finish().await;
}
