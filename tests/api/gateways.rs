//! Gateways: one in front of a peer that answers for it, one in front of us that answers our peers.

use futures::future::join_all;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_whose_callback_a_gateway_answered_is_paid_all_the_same() {
    let app = spawn().await;
    let cases = [(404, false), (409, true), (503, false), (503, true)];
    for (user, (seat, (status, arrives))) in (1..).zip((1..).step_by(3).zip(cases)) {
        app.answer_callback_of_user(user, status, arrives).await;
        let id = app.place(&order(&[seat]).user(user)).await.created_or_accepted().id().to_owned();
        let calls = app.peers.calls().await.unwrap().about(&id);
        let first = calls.of(CallName::Charge).next().expect("a charge");
        assert_eq!(first.status, Some(status), "the charge echoes what the callback was answered");
        app.quiesce().await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_answered_for_may_take_effect_later() {
    let app = spawn().await;
    let calls = [CallName::Reserve, CallName::Charge, CallName::Allocate];
    let mut orders = Vec::new();
    for (seat, call) in (1..).step_by(3).zip(calls) {
        app.fault(FaultRule::on(call, late_effect(504, 400)).seat(seat)).await;
        orders.push(order(&[seat]));
    }
    for answer in join_all(orders.iter().map(|order| app.place(order))).await {
        let id = answer.created_or_accepted().id().to_owned();
        app.quiesce().await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_out_of_order_costs_time_and_not_the_order() {
    let app = spawn().await;
    let calls = [CallName::Charge, CallName::Allocate];
    for (seat, call) in (1..).step_by(3).zip(calls) {
        let busy = FaultRule::on(call, gateway(503, Page::Html)).seat(seat);
        app.fault(busy.retry_after(RetryAfter::Seconds(1))).await;
        let id = app.place(&order(&[seat])).await.created_or_accepted().id().to_owned();
        app.quiesce().await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}
