//! A cancel while a peer is silent, and money that comes after it.

use crate::callback::pending;
use crate::support::*;

const NEVER_MS: u64 = 3_600_000;

fn paid_back() -> Outcome {
    Outcome::cancelled(Some(PaymentStatus::Refunded)).after_telling("ORDER_REFUNDED")
}

/// The money comes, and goes back. The buyer is told once that the order is over.
async fn is_paid_and_paid_back(app: App, document: &Document) {
    app.settle(document, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, paid_back());
    assert_eq!(app.calls("seating.reserve").await, 1, "the seats are not asked for again");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_payment_is_down_an_order_is_cancelled_at_once_and_the_seats_are_freed_later() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.take_peer_down(Peer::Payment).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "awaiting_payment");
    // Whether it is paid is not known: the seats stay with it.
    app.place(&order(&[1]).user(7)).await.problem(409, "seats_unavailable");
    app.take_peer_up(Peer::Payment).await;
    app.quiesce().await;
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    assert_eq!(app.outcome(document.id()).await, outcome);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_was_made_while_payment_was_down_goes_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.take_peer_down(Peer::Payment).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "awaiting_payment");
    app.take_peer_up(Peer::Payment).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, paid_back());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_does_not_wait_for_a_payment_that_says_nothing() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.fault(stall(CallName::Payment, NEVER_MS, Moment::Before)).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "awaiting_payment");
    // Not even until the deadline of the question had passed.
    let given_up = "SELECT count(*) FROM order_events WHERE type = 'no_answer'";
    assert_eq!(app.store.count(given_up).await, 0);
    app.peers.clear_calls().await.unwrap();
    app.quiesce().await;
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    assert_eq!(app.outcome(document.id()).await, outcome);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_seating_is_down_the_seats_stay_with_the_cancelled_order() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.take_peer_down(Peer::Seating).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "releasing");
    app.place(&order(&[1]).user(7)).await.problem(409, "seats_unavailable");
    app.take_peer_up(Peer::Seating).await;
    app.quiesce().await;
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    assert_eq!(app.outcome(document.id()).await, outcome);
    app.place(&order(&[1]).user(7)).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_fails_at_first_is_made_good() {
    for lost in [Action::LoseRequest, Action::LoseAnswer, fail(500), Action::Refuse] {
        let app = Spawn::new().payment_mode(Mode::Pending).start().await;
        let document = pending(&app, &[1]).await;
        app.settle_silently(&document, PaymentStatus::Success).await;
        app.fault(FaultRule::on(CallName::Refund, lost.clone()).times(2)).await;
        assert_eq!(app.cancel(document.id()).await.document(200).status(), "CANCELLED");
        app.quiesce().await;
        assert_eq!(app.outcome(document.id()).await, paid_back(), "{lost:?}");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_after_a_cancel_goes_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "done");
    is_paid_and_paid_back(app, &document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_after_the_time_was_over_goes_back_when_the_order_was_cancelled_since() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    let expired = app.read(document.id()).await;
    assert_eq!(expired.failure(), Some("expired"));
    for _ in 0..2 {
        app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "done");
    }
    is_paid_and_paid_back(app, &document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_while_a_late_payment_gets_its_seats_again_sends_the_money_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    // The placing request's reserve is over: this is the second one.
    let fault = app.fault(stall(CallName::Reserve, 1500, Moment::Before)).await;
    let (_, cancelled) =
        tokio::join!(app.call_back(document.id(), document.payment_id(), "SUCCESS"), async {
            app.until_fault_hit(fault).await;
            app.cancel(document.id()).await
        });
    assert_eq!(cancelled.document(200).status(), "CANCELLED");
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, paid_back());
    app.finish().await;
}
