//! Every call of every step, lost in every way: a call without an answer says nothing about its effect.

use crate::support::*;
use futures::future::join_all;

/// What no answer looks like.
fn no_answers() -> Vec<Action> {
    let html = |effect| garbage_with(502, "<html><body>Bad Gateway</body></html>", effect);
    vec![
        Action::LoseRequest,
        Action::LoseAnswer,
        fail(500),
        Action::Fail { status: 503, body: Some("busy".into()) },
        html(false),
        html(true),
    ]
}

/// Each way of losing `call`, once and three times, with a seat of its own.
async fn disturb(app: &App, call: CallName) -> Vec<(i64, String)> {
    let mut cases = Vec::new();
    for times in [1, 3] {
        for action in no_answers() {
            let seat = 1 + cases.len() as i64;
            let rule = FaultRule::on(call, action.clone()).times(times).seat(seat);
            app.fault(rule).await;
            cases.push((seat, format!("{call:?} {times} times {action:?}")));
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_confirmed_whatever_happens_to_a_call_on_the_way() {
    for call in [CallName::Reserve, CallName::Charge, CallName::Allocate] {
        let app = spawn().await;
        let cases = disturb(&app, call).await;
        let order_requests: Vec<OrderRequest> = cases.iter().map(|(seat, _)| order(&[*seat])).collect();
        let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
        app.quiesce().await;
        for (answer, (seat, case)) in answers.iter().zip(&cases) {
            let id = answer.created_or_accepted().id().to_owned();
            let document = app.read(&id).await;
            assert_eq!((document.status(), document.phase()), ("CONFIRMED", "done"), "{case}");
            assert_eq!(app.seat(*seat).await.order_id.as_deref(), Some(id.as_str()), "{case}");
        }
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seats_of_a_failed_order_are_free_whatever_happens_to_the_release() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let cases = disturb(&app, CallName::Release).await;
    let order_requests: Vec<OrderRequest> = cases.iter().map(|(seat, _)| order(&[*seat])).collect();
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    app.quiesce().await;
    for (answer, (seat, case)) in answers.iter().zip(&cases) {
        let id = answer.problem_of_order(402, "payment_declined");
        let document = app.read(&id).await;
        assert_eq!((document.status(), document.phase()), ("FAILED", "done"), "{case}");
        assert_eq!(app.seat(*seat).await.status, SeatStatus::Available, "{case}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_money_goes_back_whatever_happens_to_the_refund() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let mut cases = disturb(&app, CallName::Refund).await;
    // Payment says no to the first, although nothing was paid back.
    app.fault(FaultRule::on(CallName::Refund, Action::Refuse).seat(99)).await;
    cases.push((99, "refused".into()));
    for (seat, case) in cases {
        let id = app.place(&order(&[seat])).await.problem_of_order(402, "payment_declined");
        app.quiesce().await;
        // A success that comes after the failure: the money is not wanted any more.
        app.peers.settle(&id, PaymentStatus::Success).await.unwrap();
        app.quiesce().await;
        let document = app.read(&id).await;
        assert_eq!((document.status(), document.phase()), ("FAILED", "done"), "{case}");
        assert_eq!(document["payment"]["status"], "REFUNDED", "{case}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_asking_what_happened_has_to_work_at_once() {
    let app = spawn().await;
    let fail = |call, seat| FaultRule::on(call, fail(500)).times(2).seat(seat);
    let lose = |call, seat| FaultRule::on(call, Action::LoseAnswer).seat(seat);
    for rule in [
        lose(CallName::Reserve, 1),
        fail(CallName::Seat, 1),
        lose(CallName::Allocate, 2),
        fail(CallName::OrderSeats, 2),
        lose(CallName::Charge, 3),
        fail(CallName::Charge, 3),
        // Four calls to Seating in a row, whichever they are, and then three to Payment.
        FaultRule::on_any(Peer::Seating, Action::LoseAnswer).times(4).seat(4),
        FaultRule::on_any(Peer::Payment, Action::LoseRequest).times(3).seat(4),
    ] {
        app.fault(rule).await;
    }
    for seat in 1..=4 {
        let id = app.place(&order(&[seat, seat + 10])).await.created_or_accepted().id().to_owned();
        app.quiesce().await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_outlives_its_deadline_counts_as_unknown() {
    let app = spawn().await;
    let cases =
        [(1, CallName::Reserve, 4_000), (2, CallName::Charge, 10_000), (3, CallName::Allocate, 4_000)];
    let mut order_requests = Vec::new();
    for (seat, call, ms) in cases {
        for (seat, effect) in [(seat, Moment::Before), (seat + 10, Moment::After)] {
            app.fault(stall(call, ms, effect).seat(seat)).await;
            order_requests.push(order(&[seat]));
        }
    }
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    app.quiesce().await;
    for answer in answers {
        let id = answer.created_or_accepted().id().to_owned();
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_waits_for_a_peer_says_so() {
    let app = spawn().await;
    for (seat, call, phase) in [
        (1, CallName::Reserve, "reserving"),
        (2, CallName::Charge, "charging"),
        (3, CallName::Allocate, "allocating"),
    ] {
        let down = FaultRule::on(call, Action::LoseRequest).always().seat(seat);
        let fault = app.fault(down).await;
        let order_request = order(&[seat]);
        let document = app.place(&order_request).await.created_or_accepted();
        document.assert_is("PENDING", phase);
        let again = app.place(&order_request).await;
        assert!(again.is_replayed());
        assert_eq!(again.created_or_accepted().id(), document.id());
        app.remove_fault(fault).await;
        app.quiesce().await;
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_somebody_else_took_after_a_lost_reserve_is_not_ours() {
    let app = spawn().await;
    let fault = FaultRule::on(CallName::Reserve, Action::LoseRequest).always().seat(1);
    let fault = app.fault(fault).await;
    let document = app.place(&order(&[1, 2])).await.accepted();
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, 5)).await;
    app.remove_fault(fault).await;
    app.quiesce().await;
    let failed = app.read(document.id()).await;
    failed.assert_is("FAILED", "done");
    assert_eq!(failed.failure(), Some("seats_unavailable"));
    let seat = app.seat(1).await;
    assert_eq!((seat.status, seat.reserved_by), (SeatStatus::Reserved, Some(5)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_order_releases_those_of_its_seats_that_are_held_for_its_user() {
    let app = spawn().await;
    let user = 101;
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, user)).await;
    app.put_seat(seat_of_somebody(2, SeatStatus::Reserved, user + 1)).await;
    let id = app.place(&order(&[1, 2])).await.problem_of_order(409, "seats_unavailable");
    app.quiesce().await;
    app.read(&id).await.assert_is("FAILED", "done");
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    assert_eq!(app.seat(2).await.reserved_by, Some(user + 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_is_held_never_ends_as_one_that_does_not_exist() {
    let app = spawn().await;
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, 101)).await;
    app.fault(FaultRule::on(CallName::Reserve, fail(500)).seat(1)).await;
    let id = app.place(&order(&[1, 99_999])).await.problem_of_order(409, "seats_unavailable");
    app.quiesce().await;
    app.read(&id).await.assert_is("FAILED", "done");
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_cannot_be_reserved_in_time_expires_without_a_charge() {
    let app = spawn().await;
    app.take_peer_down(Peer::Seating).await;
    let document = app.place(&order(&[1])).await.accepted();
    app.store.expire(document.id()).await;
    let expired = eventually("it expires", async || {
        app.sweep().await;
        Some(app.read(document.id()).await).filter(|order| order.status() == "CANCELLED")
    })
    .await;
    assert_eq!((expired.phase(), expired.failure()), ("releasing", Some("expired")), "nobody has looked");
    app.take_peer_up(Peer::Seating).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    assert_eq!(app.calls("payment.charge").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_confirms_an_order_whose_charge_has_no_answer_yet() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let fault = app.fault(FaultRule::on(CallName::Charge, Action::LoseAnswer).always()).await;
    let document = app.place(&order(&[1])).await.accepted();
    document.assert_is("PENDING", "charging");
    app.settle(&document, PaymentStatus::Success).await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.remove_fault(fault).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_failed_or_was_paid_back_before_its_answer_came_fails_the_order() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, status) in [(1, PaymentStatus::Failed), (2, PaymentStatus::Refunded)] {
        let fault = app.fault(FaultRule::on(CallName::Charge, Action::LoseAnswer).always()).await;
        let document = app.place(&order(&[seat])).await.accepted();
        app.settle_silently(&document, status).await;
        app.remove_fault(fault).await;
        app.quiesce().await;
        let failed = app.read(document.id()).await;
        failed.assert_is("FAILED", "done");
        assert_eq!(failed.failure(), Some("payment_declined"));
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available);
    }
    app.finish().await;
}
