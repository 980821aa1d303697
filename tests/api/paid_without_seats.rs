//! The money is taken, and the seats are gone: it goes back, and nobody else's seat is touched.

use crate::callback::pending;
use crate::gateway::is_swept;
use crate::support::*;

/// The statuses that the order's allocations were answered with.
async fn allocations(app: &App, id: &str) -> Vec<Option<u16>> {
    let calls = app.peers.calls().await.unwrap().about(id);
    calls.of(CallName::Allocate).map(|call| call.status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_that_were_lost_before_the_payment_are_refunded() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    let somebody = "01980000-0000-7000-8000-00000000000f";
    app.put_seat(seat_sold_to(1, somebody)).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    let refunded = app.read(document.id()).await;
    refunded.assert_is("REFUNDED", "done");
    assert_eq!(refunded.failure(), Some("seats_unavailable"));
    assert_eq!((&refunded["payment"]["status"], &refunded["tickets"]), (&json!("REFUNDED"), &json!([])));
    let seat = app.seat(1).await;
    assert_eq!(seat.order_id.as_deref(), Some(somebody));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_that_seating_refuses_is_refunded_while_the_request_waits() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Allocate, Action::Refuse).always().seat(1)).await;
    let order_request = order(&[1]);
    let answer = app.place(&order_request).await;
    assert!([201, 202, 409].contains(&answer.status), "{answer:?}");
    app.quiesce().await;
    let refunded = app.read(&app.id_of(&order_request).await).await;
    refunded.assert_is("REFUNDED", "done");
    assert_eq!(refunded["tickets"], json!([]));
    assert_eq!(app.calls("payment.refund").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_what_already_happened_is_seen_through() {
    let app = spawn().await;
    // The answer to the first allocate is lost, and the list does not have the seats yet. The second is refused, because the seats
    // are allocated: to us.
    app.fault(FaultRule::on(CallName::Allocate, Action::LoseAnswer).seat(1)).await;
    app.fault(FaultRule::on(CallName::OrderSeats, garbage("[]", false)).seat(1)).await;
    let id = app.place(&order(&[1])).await.created_or_accepted().id().to_owned();
    app.quiesce().await;
    app.read(&id).await.assert_is("CONFIRMED", "done");
    assert_eq!(allocations(&app, &id).await, [None, Some(409)]);
    assert_eq!(app.calls("payment.refund").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_that_took_effect_and_was_refused_is_seen_in_the_list() {
    let app = spawn().await;
    for (seat, status) in [(1, 409), (4, 404)] {
        let refusal = Action::Gateway { status, page: Page::Own, effect_ms: Some(0) };
        app.fault(FaultRule::on(CallName::Allocate, refusal).seat(seat)).await;
        let id = app.place(&order(&[seat])).await.created_or_accepted().id().to_owned();
        app.quiesce().await;
        assert_eq!(app.outcome(&id).await, Outcome::confirmed(), "{status}");
        assert_eq!(allocations(&app, &id).await, [Some(status)]);
    }
    assert_eq!(app.calls("payment.refund").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_are_not_lost_by_a_refusal_while_a_gateway_answers_for_the_list() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let refused_once = pending(&app, &[1]).await;
    let refused_always = pending(&app, &[4]).await;
    let refusal = |seat| FaultRule::on(CallName::Allocate, gateway(409, Page::Own)).seat(seat);
    app.fault(refusal(1)).await;
    app.fault(refusal(4).always()).await;
    let page = app.fault(FaultRule::on(CallName::OrderSeats, gateway(404, Page::Html)).always()).await;
    for document in [&refused_once, &refused_always] {
        app.settle(document, PaymentStatus::Success).await;
        is_swept(&app, document.id()).await;
        app.read(document.id()).await.assert_is("PENDING", "allocating");
        assert_eq!(allocations(&app, document.id()).await, [Some(409)]);
        let calls = app.peers.calls().await.unwrap().about(document.id());
        assert!(calls.count(CallName::OrderSeats) > 1, "{calls:?}");
    }
    assert_eq!(app.calls("payment.refund").await, 0);
    app.remove_fault(page).await;
    app.quiesce().await;
    assert_eq!(app.outcome(refused_once.id()).await, Outcome::confirmed());
    // Now the refusal and the list agree.
    assert_eq!(app.outcome(refused_always.id()).await, Outcome::paid_back());
    app.finish().await;
}
