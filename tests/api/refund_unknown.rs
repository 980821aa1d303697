//! A refund whose answer does not come says nothing about the money.

use futures::future::join_all;

use crate::refund::{confirmed, row};
use crate::support::*;

/// The refund is accepted, and nobody enters with the tickets any more.
async fn accepted(app: &App, id: &str) -> Document {
    let answer = app.refund(id).await;
    let document = answer.document(202);
    answer.retry_after();
    document.assert_is("CONFIRMED", "refunding");
    assert!(document.tickets("status").iter().all(|status| status == "VOID"), "{document:?}");
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_payment_is_down_the_tickets_are_void_and_the_money_goes_back_later() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.take_peer_down(Peer::Payment).await;
    for _ in 0..2 {
        accepted(&app, document.id()).await;
    }
    assert_eq!(row(&app, document.id()).await["settled"], false);
    // Until the money is back the seats are not sold again.
    app.place(&order(&[1]).user(7)).await.problem(409, "seats_unavailable");
    app.take_peer_up(Peer::Payment).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    app.refund(document.id()).await.document(200).assert_is("REFUNDED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_does_not_wait_for_a_payment_that_says_nothing() {
    for effect in [Moment::Before, Moment::After] {
        let app = spawn().await;
        let document = confirmed(&app, &[1]).await;
        app.fault(stall(CallName::Refund, 9_000, effect)).await;
        accepted(&app, document.id()).await;
        assert!(app.has_open_call(CallName::Refund).await, "Payment is still at it");
        // Nor had its deadline passed.
        let given_up = "SELECT count(*) FROM order_events WHERE type = 'no_answer'";
        assert_eq!(app.store.count(given_up).await, 0);
        app.quiesce().await;
        assert_eq!(app.outcome(document.id()).await, Outcome::refunded(), "{effect:?}");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_money_goes_back_once_whatever_happens_to_the_answer() {
    let app = spawn().await;
    let html = |effect| garbage_with(502, "<html><body>Bad Gateway</body></html>", effect);
    let json = |effect| garbage_with(500, r#"{"error":"internal"}"#, effect);
    let mut cases = Vec::new();
    for times in [1, 3] {
        for action in [
            Action::LoseRequest,
            Action::LoseAnswer,
            fail(500),
            fail(503),
            html(false),
            html(true),
            json(false),
            json(true),
            garbage("", true),
            garbage("[]", true),
            Action::Refuse,
        ] {
            let seat = 1 + cases.len() as i64;
            let document = confirmed(&app, &[seat]).await;
            app.fault(FaultRule::on(CallName::Refund, action.clone()).times(times).seat(seat)).await;
            cases.push((document, format!("{times} times {action:?}")));
        }
    }
    let answers = join_all(cases.iter().map(|(document, _)| app.refund(document.id()))).await;
    for (answer, (_, case)) in answers.iter().zip(&cases) {
        assert!([200, 202].contains(&answer.status), "{case}: {answer:?}");
    }
    app.quiesce().await;
    for (document, case) in cases {
        assert_eq!(app.outcome(document.id()).await, Outcome::refunded(), "{case}");
        assert_eq!(row(&app, document.id()).await["outcome"], "REFUNDED", "{case}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_asking_what_became_of_it_has_to_work_at_once() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Refund, Action::LoseAnswer)).await;
    app.fault(FaultRule::on(CallName::Payment, fail(500)).times(3)).await;
    accepted(&app, document.id()).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    assert_eq!(app.calls("payment.refund").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_payment_refuses_is_asked_for_again_until_it_does_not() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let fault = app.fault(FaultRule::on(CallName::Refund, Action::Refuse).always()).await;
    accepted(&app, document.id()).await;
    app.expire_waits().await;
    app.sweep().await;
    accepted(&app, document.id()).await;
    app.remove_fault(fault).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_seating_is_down_the_money_is_back_and_the_seats_are_not() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.take_peer_down(Peer::Seating).await;
    app.refund(document.id()).await.document(200).assert_is("REFUNDED", "releasing");
    app.place(&order(&[1]).user(7)).await.problem(409, "seats_unavailable");
    app.take_peer_up(Peer::Seating).await;
    app.quiesce().await;
    assert_eq!(app.outcome(document.id()).await, Outcome::refunded());
    app.place(&order(&[1]).user(7)).await.created();
    app.finish().await;
}
