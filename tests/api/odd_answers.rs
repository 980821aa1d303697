//! Answers that are the peers' own, and are written in another way: they count all the same. And answers that are not the peers'
//! own: they do not, whatever their status is.

use crate::callback::{applied, pending};
use crate::refund::confirmed;
use crate::support::*;

/// A byte order mark, another 2xx, and what else is odd.
fn odd(status: u16, patch: Value) -> Action {
    Action::Rewrite { status: Some(status), patch: Some(patch), both_spellings: false, byte_order_mark: true }
}

/// Every member in both spellings, and nothing else changed.
fn both_spellings() -> Action {
    Action::Rewrite { status: None, patch: None, both_spellings: true, byte_order_mark: false }
}

/// Whatever may stand in front of a peer.
const PAGES: [Page; 6] = [Page::Html, Page::Spring, Page::Nest, Page::Json, Page::Map, Page::Empty];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_members_make_no_answer_unreadable() {
    let app = spawn().await;
    let seat =
        json!({ "orderId": 4711, "reservedBy": "admin", "seatNumber": 12, "section": {}, "row_number": [] });
    let payment = json!({ "amount_cents": 15750.0, "currency": "inr", "provider_txn_id": { "n": 7 } });
    for (call, action) in [
        (CallName::Event, odd(203, json!({ "title": 7, "venue": "none", "type": [] }))),
        (
            CallName::Reserve,
            odd(201, json!({ "reservedSeats": { "0": seat }, "totalPrice": "?", "expiresAt": 0 })),
        ),
        (CallName::Payment, odd(202, payment.clone())),
        (CallName::Charge, odd(200, payment)),
        (CallName::Refund, odd(200, json!({ "amount": "all", "currency": 356 }))),
    ] {
        app.fault(FaultRule::on(call, action)).await;
    }
    let document = app.place(&order(&[1])).await.created();
    document.assert_is("CONFIRMED", "done");
    assert_eq!(document["payment"]["amount_cents"], 15750);
    app.refund(document.id()).await.document(200).assert_is("REFUNDED", "done");
    assert_eq!(app.calls("payment.charge").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_may_have_every_member_in_both_spellings() {
    let app = spawn().await;
    let calls = [CallName::Event, CallName::Reserve, CallName::Payment, CallName::Charge, CallName::Refund];
    for call in calls {
        app.fault(FaultRule::on(call, both_spellings())).await;
    }
    let document = app.place(&order(&[1, 2])).await.created();
    document.assert_is("CONFIRMED", "done");
    app.refund(document.id()).await.document(200).assert_is("REFUNDED", "done");
    assert_eq!((app.calls("seating.reserve").await, app.calls("payment.charge").await), (1, 1));
    // Where they disagree, it is no answer.
    let patch = json!({ "amount_cents": 1, "amountCents": 15750 });
    let action =
        Action::Rewrite { status: None, patch: Some(patch), both_spellings: true, byte_order_mark: false };
    app.fault(FaultRule::on(CallName::Charge, action)).await;
    app.set_payment_mode(Mode::Silent).await;
    let document = app.place(&order(&[3])).await.accepted();
    document.assert_is("PENDING", "charging");
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_reads_odd_seats_and_odd_lists() {
    let app = spawn().await;
    for call in [CallName::Reserve, CallName::Allocate] {
        app.fault(FaultRule::on(call, Action::LoseAnswer)).await;
    }
    let seat = json!({ "orderId": 4711, "seatNumber": 12, "reservedAt": 0 });
    app.fault(FaultRule::on(CallName::Seat, odd(203, seat))).await;
    let list = json!({ "0": { "reservedBy": "admin", "seatNumber": 12, "price": [] } });
    app.fault(FaultRule::on(CallName::OrderSeats, odd(203, list))).await;
    let document = app.place(&order(&[1])).await.created_or_accepted();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    assert_eq!((app.calls("seating.reserve").await, app.calls("seating.allocate").await), (1, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_a_gateway_says_that_there_is_no_event() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").start().await;
    for status in [400, 404] {
        for page in PAGES {
            app.fault(FaultRule::on(CallName::Event, gateway(status, page))).await;
            app.place(&order(&[1])).await.problem(503, "peer_unavailable");
        }
    }
    app.place(&order(&[1]).event(999_999)).await.problem(422, "event_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_a_gateway_rejects_a_true_callback() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let answers = [400, 403, 404, 409].into_iter().flat_map(|status| PAGES.map(|page| (status, page)));
    for (seat, (status, page)) in (1..).zip(answers) {
        let document = pending(&app, &[seat]).await;
        app.settle_silently(&document, PaymentStatus::Success).await;
        app.fault(FaultRule::on(CallName::Payment, gateway(status, page)).seat(seat)).await;
        let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
        // It is not sent again.
        app.quiesce().await;
        let now = app.read(document.id()).await;
        assert_eq!((now.status(), now.phase()), ("CONFIRMED", "done"), "{status} {page:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_a_gateway_refuses_a_refund() {
    let app = spawn().await;
    let answers = [400, 403, 404, 409].into_iter().flat_map(|status| PAGES.map(|page| (status, page)));
    for (seat, (status, page)) in (1..).zip(answers) {
        let document = app.place(&order(&[seat])).await.created();
        app.fault(FaultRule::on(CallName::Refund, gateway(status, page)).seat(seat)).await;
        app.refund(document.id()).await.document(202).assert_is("CONFIRMED", "refunding");
        let entry = app.journal(document.id()).await.pop().expect("an entry");
        assert_eq!(entry["type"], "no_answer", "{status} {page:?}");
        app.quiesce().await;
        assert_eq!(app.outcome(document.id()).await, Outcome::refunded(), "{status} {page:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_a_gateway_refuses_seats() {
    let app = spawn().await;
    let mut seat = 0;
    for call in [CallName::Reserve, CallName::Allocate] {
        for status in [400, 404, 409] {
            for page in PAGES {
                seat += 1;
                app.fault(FaultRule::on(call, gateway(status, page)).seat(seat)).await;
                let document = app.place(&order(&[seat])).await.created_or_accepted();
                app.quiesce().await;
                let now = app.read(document.id()).await;
                assert_eq!(now.status(), "CONFIRMED", "{call:?} {status} {page:?}");
            }
        }
    }
    assert_eq!(app.calls("payment.refund").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_or_a_release_that_is_answered_with_a_body_is_looked_at() {
    let app = spawn().await;
    for (seat, body) in (1..).step_by(2).zip(["<html>Sign in</html>", "{}", r#"{"status":"ok"}"#]) {
        for (seat, effect) in [(seat, false), (seat + 1, true)] {
            app.fault(FaultRule::on(CallName::Allocate, garbage(body, effect)).seat(seat)).await;
            let document = app.place(&order(&[seat])).await.created_or_accepted();
            app.quiesce().await;
            assert_eq!(app.outcome(document.id()).await, Outcome::confirmed(), "{body} {effect}");
            app.fault(FaultRule::on(CallName::Release, garbage(body, effect)).seat(seat)).await;
            app.refund(document.id()).await.document(200).assert_is("REFUNDED", "releasing");
            app.quiesce().await;
            assert_eq!(app.outcome(document.id()).await, Outcome::refunded(), "{body} {effect}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_whose_connection_broke_is_asked_once_more_at_once() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").payment_mode(Mode::Pending).start().await;
    app.fault(FaultRule::on(CallName::Event, Action::LoseRequest)).await;
    let document = pending(&app, &[1]).await;
    assert_eq!(app.calls("catalog.event").await, 2);
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.fault(FaultRule::on(CallName::Payment, Action::LoseAnswer)).await;
    let (_, now) = applied(&app.call_back(document.id(), document.payment_id(), "SUCCESS").await);
    now.assert_is("CONFIRMED", "done");
    assert_eq!(app.calls("payment.payment").await, 2);
    app.finish().await;
}

/// Within one sweep each: without a second question nothing would be known before the next attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_to_seating_whose_connection_broke_is_asked_once_more_at_once() {
    for breaks in [Action::LoseRequest, Action::LoseAnswer] {
        let app = Spawn::new().payment_mode(Mode::Pending).start().await;
        // Are the seats still held, before they are released?
        let document = pending(&app, &[1]).await;
        app.fault(FaultRule::on(CallName::Seat, breaks.clone())).await;
        app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "done");
        assert_eq!((app.calls("seating.seat").await, app.calls("seating.release").await), (2, 1));

        // Which seats are allocated to the order, after an allocation that was refused?
        let document = pending(&app, &[2]).await;
        app.fault(FaultRule::on(CallName::Allocate, Action::Refuse)).await;
        app.fault(FaultRule::on(CallName::OrderSeats, breaks.clone())).await;
        app.set_refund_mode(RefundMode::AtOnce).await;
        app.settle(&document, PaymentStatus::Success).await;
        app.quiesce().await;
        app.read(document.id()).await.assert_is("REFUNDED", "done");
        let journal = app.journal(document.id()).await;
        assert!(journal.iter().all(|entry| entry["type"] != "no_answer"), "{breaks:?}: {journal:?}");
        app.finish().await;
    }
}

/// A question that breaks twice has no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_whose_connection_broke_is_repeated_no_more_than_once() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let broken = app.fault(FaultRule::on(CallName::Seat, Action::LoseRequest).times(2)).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "releasing");
    assert_eq!((app.peers.fault_hits(broken).await.unwrap(), app.calls("seating.seat").await), (2, 2));
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    app.finish().await;
}

/// What changes something may have been done: the next attempt looks before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_connection_broke_is_not_repeated_at_once() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Release, Action::LoseRequest)).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "releasing");
    assert_eq!(app.calls("seating.release").await, 1);
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_that_breaks_under_a_question_costs_nothing() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").start().await;
    app.place(&order(&[1])).await.created();
    let broken = app.fault(FaultRule::on(CallName::Event, Action::BreakKept)).await;
    app.place(&order(&[2])).await.created().assert_is("CONFIRMED", "done");
    assert_eq!(app.peers.fault_hits(broken).await.unwrap(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_has_a_key_of_its_payment() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Refund, Action::LoseRequest)).await;
    app.refund(document.id()).await;
    app.quiesce().await;
    let calls = app.peers.calls().await.unwrap();
    let keys: Vec<_> = calls.of(CallName::Refund).map(|call| call.idempotency_key.clone()).collect();
    assert_eq!(keys, vec![Some(format!("refund-{}", document.payment_id())); 2]);
    app.finish().await;
}
