//! Payments that are still undecided when their order is over: Payment is asked now and then, so that a lost callback
//! loses no money.

use crate::callback::pending;
use crate::stuck::with_operator;
use crate::support::*;

/// An order of these seats whose time is over, and whose payment may still come.
async fn expired(app: &App, seats: &[i64]) -> Document {
    let document = pending(app, seats).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, still_pending());
    app.peers.clear_calls().await.unwrap();
    document
}

fn still_pending() -> Outcome {
    Outcome::cancelled(Some(PaymentStatus::Pending))
}

fn paid_back() -> Outcome {
    Outcome::cancelled(Some(PaymentStatus::Refunded)).after_telling("ORDER_REFUNDED")
}

async fn is_watched(app: &App, document: &Document) -> bool {
    let watched = format!("SELECT watch_at IS NOT NULL FROM orders WHERE id = '{}'", document.id());
    app.store.value(&watched).await == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_asked_again_and_again_about_what_it_has_not_decided() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app, &[1]).await;
    // Not at once: the next question is a minute away.
    app.sweep().await;
    app.assert_no_calls().await;
    for asked in 1..=3 {
        app.watch().await;
        assert_eq!(app.calls("payment.payment").await, asked);
        assert_eq!(app.outcome(document.id()).await, still_pending());
        assert!(is_watched(&app, &document).await);
        app.sweep().await;
        assert_eq!(app.calls("payment.payment").await, asked, "and no sooner");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_between_two_questions_doubles() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app, &[1]).await;
    let wait = "SELECT round(extract(epoch FROM watch_at - updated_at)) FROM orders";
    assert_eq!(app.store.count(wait).await, 60);
    for (at_rest, next) in [(30, 60), (100, 100), (4_000, 4_000), (86_400, 86_400)] {
        let since = format!("updated_at - interval '{at_rest} seconds'");
        app.store.run(&format!("UPDATE orders SET phase_since = {since}")).await;
        app.watch().await;
        let seconds = app.store.count(wait).await;
        // The test itself takes a while, too.
        assert!((next..next + 60).contains(&seconds), "{seconds} after {at_rest}");
    }
    assert!(is_watched(&app, &document).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_gets_the_same_seats_when_they_are_free() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app, &[1, 2]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.watch().await;
    let outcome = Outcome::confirmed().after_telling("ORDER_CANCELLED");
    assert_eq!(app.outcome(document.id()).await, outcome);
    assert_eq!(app.read(document.id()).await.failure(), None);
    assert!(!is_watched(&app, &document).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_goes_back_once_when_the_seats_are_sold() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app, &[1]).await;
    app.set_payment_mode(Mode::Succeed).await;
    let buyer = app.place(&order(&[1]).user(7)).await.created();
    app.settle_silently(&document, PaymentStatus::Success).await;
    for _ in 0..3 {
        app.watch().await;
    }
    assert_eq!(app.outcome(document.id()).await, paid_back().with_seats(Seats::Others));
    assert_eq!(app.outcome(buyer.id()).await, Outcome::confirmed());
    assert_eq!(app.calls("payment.refund").await, 1);
    assert!(!is_watched(&app, &document).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_of_an_order_that_the_buyer_gave_up_goes_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "done");
    assert!(is_watched(&app, &document).await);
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.watch().await;
    assert_eq!(app.outcome(document.id()).await, paid_back());
    assert!(!is_watched(&app, &document).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_or_a_refund_ends_the_watch_and_nothing_else_changes() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, status) in [(1, PaymentStatus::Failed), (2, PaymentStatus::Refunded)] {
        let document = expired(&app, &[seat]).await;
        app.settle_silently(&document, status).await;
        app.watch().await;
        assert_eq!(app.outcome(document.id()).await, Outcome::cancelled(Some(status)));
        assert!(!is_watched(&app, &document).await);
        app.peers.clear_calls().await.unwrap();
        app.watch().await;
        app.assert_no_calls().await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callback_ends_the_watch_as_well() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = expired(&app, &[1]).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    let outcome = Outcome::confirmed().after_telling("ORDER_CANCELLED");
    assert_eq!(app.outcome(document.id()).await, outcome);
    assert!(!is_watched(&app, &document).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_payment_is_silent_the_watch_goes_on() {
    for silence in [Action::LoseRequest, Action::LoseAnswer, fail(500), garbage("<html>busy</html>", false)] {
        let app = Spawn::new().payment_mode(Mode::Pending).start().await;
        let document = expired(&app, &[1]).await;
        app.settle_silently(&document, PaymentStatus::Success).await;
        let fault = app.fault(FaultRule::on(CallName::Payment, silence).always()).await;
        for _ in 0..3 {
            app.watch().await;
            assert!(is_watched(&app, &document).await);
            app.read(document.id()).await.assert_is("CANCELLED", "done");
        }
        app.remove_fault(fault).await;
        app.watch().await;
        let outcome = Outcome::confirmed().after_telling("ORDER_CANCELLED");
        assert_eq!(app.outcome(document.id()).await, outcome);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_told_when_payment_is_silent_for_long() {
    let mut app = with_operator(Mode::Pending).await;
    let document = expired(&app, &[1]).await;
    app.take_peer_down(Peer::Payment).await;
    app.store.run("UPDATE orders SET attempts = 14").await;
    app.watch().await;
    let stuck = app.stuck().await;
    assert_eq!(stuck.orders.len(), 1, "{stuck:?}");
    let listed = &stuck.orders[0];
    assert_eq!((&listed["why"], &listed["phase"]), (&json!("no_answer"), &json!("done")));
    app.take_peer_up(Peer::Payment).await;
    assert_eq!(app.redrive(&json!({ "orders": [document.id()] })).await, (1, 0));
    app.peers.clear_calls().await.unwrap();
    app.sweep().await;
    assert_eq!(app.calls("payment.payment").await, 1);
    assert!(app.stuck().await.orders.is_empty());
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_ask_once() {
    let app = Spawn::new().replicas(2).payment_mode(Mode::Pending).start().await;
    for seat in 1..=10 {
        let document = pending(&app, &[seat]).await;
        app.store.expire(document.id()).await;
    }
    app.quiesce().await;
    app.peers.clear_calls().await.unwrap();
    app.store.run("UPDATE orders SET watch_at = timezone('utc', clock_timestamp())").await;
    futures::future::join_all((0..6).map(|n| app.sweep_at(n % 2))).await;
    app.quiesce().await;
    assert_eq!(app.calls("payment.payment").await, 10);
    app.finish().await;
}
