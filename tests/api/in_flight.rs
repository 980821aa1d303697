//! Requests in flight: an abandoned request to Seating may still take effect. Until it cannot, the order keeps its claims, so
//! that it does not hit another buyer's hold.

use crate::callback::pending;
use crate::refund::confirmed;
use crate::support::*;

/// Past the time that Seating may take for an answer.
const LATE_MS: u64 = 5_000;

const NOW: &str = "timezone('utc', clock_timestamp())";

/// The order waits for a request that may still land. The wait is made longer, so that no test has to hurry.
async fn waits_for_what_may_land(app: &App, id: &str) {
    let longer = format!("in_flight_until = {NOW} + interval '1 hour'");
    let waits = format!("id = '{id}' AND in_flight_until > {NOW}");
    let sql =
        format!("WITH x AS (UPDATE orders SET {longer} WHERE {waits} RETURNING 1) SELECT count(*) FROM x");
    let rows = app.store.rows("SELECT phase, in_flight_until FROM orders").await;
    assert_eq!(app.store.count(&format!("SELECT count(*) FROM orders WHERE {waits}")).await, 1, "{rows:?}");
    app.store.run(&sql).await;
}

/// A sweep deals with the order now, whatever it waits for.
async fn swept(app: &App, id: &str) {
    app.store.run(&format!("UPDATE orders SET due_at = {NOW} WHERE id = '{id}' AND due_at > {NOW}")).await;
    app.sweep().await;
    // The sweep behind some other answer may have been faster, and be at it.
    let at_work = format!("SELECT count(*) FROM orders WHERE id = '{id}' AND leased");
    eventually("nobody works on it", async || (app.store.count(&at_work).await == 0).then_some(())).await;
}

/// Seating has the seat to sell, but nobody gets it yet.
async fn is_kept(app: &App, id: &str, seat: i64) {
    assert_eq!(app.read(id).await.phase(), "releasing");
    app.place(&order(&[seat]).user(7)).await.problem(409, "seats_unavailable");
}

/// The late request has landed, and the time is over: the seat is the next buyer's.
async fn can_be_sold(app: App, id: &str, seat: i64, outcome: Outcome) {
    app.quiesce().await;
    assert_eq!(app.outcome(id).await, outcome);
    app.set_payment_mode(Mode::Succeed).await;
    let buyer = app.place(&order(&[seat]).user(7)).await.created();
    app.quiesce().await;
    assert_eq!(app.outcome(buyer.id()).await, Outcome::confirmed());
    app.finish().await;
}

/// A release that is late has no answer, and the second one works while it is still under way.
async fn is_released_once_more(app: &App, id: &str, late: u64) {
    had_no_answer(app, id).await;
    waits_for_what_may_land(app, id).await;
    app.remove_fault(late).await;
    swept(app, id).await;
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    is_kept(app, id, 1).await;
}

/// Waits until a reserve that was late takes its effect.
async fn reserve_lands(app: &App, seat: i64) {
    let reserved = async || (app.seat(seat).await.status == SeatStatus::Reserved).then_some(());
    eventually("the reserve lands", reserved).await;
}

/// Waits until a call had no answer in time.
async fn had_no_answer(app: &App, id: &str) {
    let sql = format!("SELECT count(*) FROM order_events WHERE order_id = '{id}' AND type = 'no_answer'");
    eventually("the call has no answer", async || (app.store.count(&sql).await > 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_release_does_not_free_the_next_buyers_hold() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let late = app.fault(stall(CallName::Release, LATE_MS, Moment::After)).await;
    assert_eq!(app.cancel(document.id()).await.document(200).status(), "CANCELLED");
    is_released_once_more(&app, document.id(), late).await;
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    can_be_sold(app, document.id(), 1, outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_release_of_a_refunded_order_does_not_take_the_next_buyers_seat() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let late = app.fault(stall(CallName::Release, LATE_MS, Moment::After)).await;
    assert_eq!(app.refund(document.id()).await.document(200).status(), "REFUNDED");
    is_released_once_more(&app, document.id(), late).await;
    can_be_sold(app, document.id(), 1, Outcome::refunded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_that_a_cancel_overtakes_does_not_take_the_next_buyers_hold() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    let late = app.fault(stall(CallName::Allocate, LATE_MS, Moment::After)).await;
    let order_request = order(&[1]);
    let (_, id) = tokio::join!(app.place(&order_request), async {
        app.until_fault_hit(late).await;
        let id = app.id_of(&order_request).await;
        assert_eq!(app.cancel(&id).await.document(200).status(), "CANCELLED");
        waits_for_what_may_land(&app, &id).await;
        swept(&app, &id).await;
        assert_eq!(app.seat(1).await.status, SeatStatus::Available);
        is_kept(&app, &id, 1).await;
        id
    });
    let outcome = Outcome::cancelled(Some(PaymentStatus::Refunded)).after_telling("ORDER_REFUNDED");
    can_be_sold(app, &id, 1, outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_that_lands_after_a_cancel_is_undone() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    let late = app.fault(stall(CallName::Allocate, 2_000, Moment::After)).await;
    // Nothing frees the seat before the allocation comes.
    let release = app.fault(FaultRule::on(CallName::Release, fail(500)).always()).await;
    let order_request = order(&[1]);
    let (_, id) = tokio::join!(app.place(&order_request), async {
        app.until_fault_hit(late).await;
        let id = app.id_of(&order_request).await;
        assert_eq!(app.cancel(&id).await.document(200).status(), "CANCELLED");
        id
    });
    eventually("the allocation lands", async || {
        (app.seat(1).await.status == SeatStatus::Allocated).then_some(())
    })
    .await;
    app.remove_fault(release).await;
    let outcome = Outcome::cancelled(Some(PaymentStatus::Refunded)).after_telling("ORDER_REFUNDED");
    can_be_sold(app, &id, 1, outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_lands_after_its_sender_died_is_undone() {
    let mut app = spawn().await;
    let late = app.fault(stall(CallName::Reserve, LATE_MS, Moment::After)).await;
    let (detached_client, order_request) = (app.detached_client(0), order(&[1]));
    let key = order_request.key.clone();
    let client = tokio::spawn(async move { drop(detached_client.place(&order_request).await) });
    app.until_fault_hit(late).await;
    app.hosts[0].kill();
    client.await.unwrap();
    app.hosts[0].start_again().await.unwrap();
    let id = app.id_of(&order(&[1]).key(&key)).await;
    assert_eq!(app.cancel(&id).await.document(200).status(), "CANCELLED");
    // The dead one's lease is over, and nothing is held yet.
    swept(&app, &id).await;
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    waits_for_what_may_land(&app, &id).await;
    is_kept(&app, &id, 1).await;
    reserve_lands(&app, 1).await;
    can_be_sold(app, &id, 1, Outcome::cancelled(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_that_a_charge_back_overtakes_does_not_take_the_next_buyers_hold() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    let late = app.fault(stall(CallName::Allocate, LATE_MS, Moment::After)).await;
    let order_request = order(&[1]);
    let (_, id) = tokio::join!(app.place(&order_request), async {
        app.until_fault_hit(late).await;
        let document = app.read(&app.id_of(&order_request).await).await;
        app.settle(&document, PaymentStatus::Refunded).await;
        waits_for_what_may_land(&app, document.id()).await;
        swept(&app, document.id()).await;
        assert_eq!(app.seat(1).await.status, SeatStatus::Available);
        is_kept(&app, document.id(), 1).await;
        document.id().to_owned()
    });
    can_be_sold(app, &id, 1, Outcome::paid_back()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_lands_after_its_order_expired_is_undone() {
    let app = spawn().await;
    let late = app.fault(stall(CallName::Reserve, LATE_MS, Moment::After)).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    assert!(app.has_open_call(CallName::Reserve).await, "Seating is still at it");
    app.remove_fault(late).await;
    app.store.run(&format!("UPDATE orders SET expires_at = {NOW} WHERE id = '{id}'")).await;
    swept(&app, &id).await;
    waits_for_what_may_land(&app, &id).await;
    is_kept(&app, &id, 1).await;
    reserve_lands(&app, 1).await;
    can_be_sold(app, &id, 1, Outcome::cancelled(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_lands_after_its_sender_died_does_not_free_the_next_buyers_hold() {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let late = app.fault(stall(CallName::Release, LATE_MS, Moment::After)).await;
    let (detached_client, path) = (app.detached_client(0), format!("/v1/orders/{}/cancel", document.id()));
    let client = tokio::spawn(async move { drop(detached_client.post(&path).await) });
    app.until_fault_hit(late).await;
    app.hosts[0].kill();
    client.await.unwrap();
    app.hosts[0].start_again().await.unwrap();
    swept(&app, document.id()).await;
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    waits_for_what_may_land(&app, document.id()).await;
    is_kept(&app, document.id(), 1).await;
    can_be_sold(app, document.id(), 1, Outcome::cancelled(Some(PaymentStatus::Pending))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_was_answered_500_may_land_and_is_waited_for() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let failed = app.fault(FaultRule::on(CallName::Release, fail(500))).await;
    app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "releasing");
    is_released_once_more(&app, document.id(), failed).await;
    can_be_sold(app, document.id(), 1, Outcome::cancelled(Some(PaymentStatus::Pending))).await;
}

/// Of everything that changes something at Seating, a release does the most harm when it comes late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_takes_effect_after_its_answer_does_not_free_the_next_buyers_hold() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let mut released = Vec::new();
    for (seat, status) in (1..).zip([408, 429, 500, 502, 503, 504, 507]) {
        let document = pending(&app, &[seat]).await;
        app.fault(FaultRule::on(CallName::Release, late_effect(status, 4_000)).seat(seat)).await;
        app.cancel(document.id()).await.document(200).assert_is("CANCELLED", "releasing");
        waits_for_what_may_land(&app, document.id()).await;
        // The next release takes effect at once; the first one is still to come.
        swept(&app, document.id()).await;
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available, "{status}");
        is_kept(&app, document.id(), seat).await;
        released.push((seat, document));
    }
    let landed = async || (app.peers.open_calls().await.unwrap() == 0).then_some(());
    eventually("every release has taken effect", landed).await;
    app.quiesce().await;
    app.set_payment_mode(Mode::Succeed).await;
    for (seat, document) in released {
        assert_eq!(app.outcome(document.id()).await, Outcome::cancelled(Some(PaymentStatus::Pending)));
        let buyer = app.place(&order(&[seat]).user(7)).await.created();
        app.quiesce().await;
        assert_eq!(app.outcome(buyer.id()).await, Outcome::confirmed());
    }
    app.finish().await;
}
