//! `Retry-After`: every peer is left alone for as long as it asks, up to ten minutes, and never beyond the order's own time.

use std::ops::RangeInclusive;

use crate::callback::pending;
use crate::payment_odd::expired;
use crate::refund::confirmed;
use crate::support::*;

/// What a peer asks for, and for how many seconds it is left alone.
const ASKED: [(RetryAfter, RangeInclusive<i64>); 3] = [
    (RetryAfter::Seconds(300), 280..=300),
    (RetryAfter::Date(300), 280..=300),
    (RetryAfter::Seconds(86_400), 580..=600),
];

/// The peer, or what stands before it, has no time for this order's next such call.
async fn busy(app: &App, call: CallName, seat: i64, asked: RetryAfter) {
    let fault = FaultRule::on(call, gateway(503, Page::Html)).retry_after(asked);
    // Calls to Catalog are about no seat.
    app.fault(if call == CallName::Event { fault } else { fault.seat(seat) }).await;
}

/// Seconds until the order's next attempt.
async fn left(app: &App, id: &str) -> i64 {
    left_until(app, "due_at", &format!("orders WHERE id = '{id}'")).await
}

/// Seconds until the time in a column of a row.
async fn left_until(app: &App, column: &str, row: &str) -> i64 {
    let seconds = format!("ceil(extract(epoch FROM {column} - timezone('utc', clock_timestamp())))");
    app.store.count(&format!("SELECT {seconds} FROM {row}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seating_is_left_alone_for_as_long_as_it_asks() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let [reserving, allocating, releasing] = [seat, seat + 3, seat + 6];
        busy(&app, CallName::Reserve, reserving, asked).await;
        let document = app.place(&order(&[reserving])).await.accepted();
        document.assert_is("PENDING", "reserving");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "reserve: {wait} seconds after {asked:?}");

        busy(&app, CallName::Allocate, allocating, asked).await;
        let document = app.place(&order(&[allocating])).await.created_or_accepted();
        document.assert_is("PENDING", "allocating");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "allocate: {wait} seconds after {asked:?}");

        let document = confirmed(&app, &[releasing]).await;
        busy(&app, CallName::Release, releasing, asked).await;
        app.refund(document.id()).await.document(200).assert_is("REFUNDED", "releasing");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "release: {wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_left_alone_when_it_is_asked_for_a_refund() {
    let app = spawn().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let document = confirmed(&app, &[seat]).await;
        busy(&app, CallName::Refund, seat, asked).await;
        app.refund(document.id()).await.document(202).assert_is("CONFIRMED", "refunding");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

/// The order ends, and its seats are released at once; the charge that is repeated then waits for as long as Payment has asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_left_alone_when_the_order_of_a_charge_ends_meanwhile() {
    let app = spawn().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let fault = FaultRule::on(CallName::Charge, gateway(503, Page::Html)).retry_after(asked);
        app.fault(fault.times(2).seat(seat)).await;
        let document = app.place(&order(&[seat])).await.accepted();
        document.assert_is("PENDING", "charging");
        app.store.expire(document.id()).await;
        eventually("the order expires and its seats are released", async || {
            app.sweep().await;
            let now = app.read(document.id()).await;
            (now.status() == "CANCELLED" && now.phase() == "charging").then_some(())
        })
        .await;
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available);
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

/// The look at the seats has no answer when the time to pay is over: their release is asked of the same peer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seating_is_left_alone_when_the_order_of_a_reserve_ends_meanwhile() {
    let app = spawn().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        busy(&app, CallName::Reserve, seat, asked).await;
        let document = app.place(&order(&[seat])).await.accepted();
        document.assert_is("PENDING", "reserving");
        busy(&app, CallName::Seat, seat, asked).await;
        app.store.expire(document.id()).await;
        eventually("the order expires", async || {
            app.sweep().await;
            (app.read(document.id()).await.status() == "CANCELLED").then_some(())
        })
        .await;
        app.read(document.id()).await.assert_is("CANCELLED", "releasing");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_left_alone_when_it_cannot_be_asked_about_a_callback() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let document = pending(&app, &[seat]).await;
        busy(&app, CallName::Payment, seat, asked).await;
        let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_left_alone_when_it_cannot_be_asked_about_another_payment() {
    let app = spawn().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let document = confirmed(&app, &[seat]).await;
        let fault = FaultRule::on(CallName::Payment, gateway(503, Page::Html)).retry_after(asked);
        app.fault(fault).await;
        let told = format!("01980000-0000-7000-8000-{seat:012}");
        let answer = app.call_back(document.id(), &told, "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
        let row = format!("payment_refunds WHERE told_payment_id = '{told}'");
        let wait = left_until(&app, "due_at", &row).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_left_alone_when_an_order_at_rest_is_looked_after() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let document = pending(&app, &[seat]).await;
        expired(&app, &document).await;
        busy(&app, CallName::Payment, seat, asked).await;
        let watch = format!(
            "orders SET watch_at = timezone('utc', clock_timestamp()) WHERE id = '{}'",
            document.id()
        );
        app.store.run(&format!("UPDATE {watch}")).await;
        let row = format!("orders WHERE id = '{}'", document.id());
        let wait = eventually("Payment is asked", async || {
            app.sweep().await;
            Some(left_until(&app, "watch_at", &row).await).filter(|wait| *wait > 60)
        })
        .await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_is_left_alone_for_as_long_as_it_asks() {
    let app = spawn().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        busy(&app, CallName::Notify, seat, asked).await;
        let document = app.place(&order(&[seat])).await.created();
        let sql = format!(
            "SELECT ceil(extract(epoch FROM due_at - timezone('utc', clock_timestamp())))::int AS wait FROM outbox
             WHERE order_id = '{}' AND last_error IS NOT NULL",
            document.id()
        );
        let wait = async || app.store.rows(&sql).await.pop()?["wait"].as_i64();
        let wait = eventually("the message is put off", wait).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalog_is_left_alone_when_it_is_asked_about_late_money() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, (asked, expected)) in (1..).zip(ASKED) {
        let document = pending(&app, &[seat]).await;
        expired(&app, &document).await;
        busy(&app, CallName::Event, seat, asked).await;
        app.settle(&document, PaymentStatus::Success).await;
        app.read(document.id()).await.assert_is("CANCELLED", "reserving");
        let wait = left(&app, document.id()).await;
        assert!(expected.contains(&wait), "{wait} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyer_is_told_how_long_catalog_asks_to_wait() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").start().await;
    for (asked, expected) in ASKED {
        busy(&app, CallName::Event, 1, asked).await;
        let answer = app.place(&order(&[1])).await;
        answer.problem(503, "peer_unavailable");
        let told: i64 = answer.header("retry-after").and_then(|told| told.parse().ok()).expect("seconds");
        assert!(expected.contains(&told), "{told} seconds after {asked:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wait_goes_beyond_the_end_of_the_time_to_pay() {
    let app = Spawn::new().variable("order_ttl_seconds", "60").payment_mode(Mode::Silent).start().await;
    for (seat, call) in (1..).zip([CallName::Reserve, CallName::Charge, CallName::Allocate]) {
        for (seat, asked) in [(seat, RetryAfter::Seconds(300)), (seat + 3, RetryAfter::Date(300))] {
            busy(&app, call, seat, asked).await;
            let document = app.place(&order(&[seat])).await.created_or_accepted();
            assert_eq!(document.status(), "PENDING");
            let wait = left(&app, document.id()).await;
            assert!((30..=60).contains(&wait), "{wait} seconds after {asked:?} of {call:?}");
        }
    }
    app.quiesce().await;
    app.finish().await;
}

/// Payment does not answer when the time to pay is over: the order is kept while its seats are held, and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_payment_does_not_go_beyond_the_end_of_the_hold() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let now = "timezone('utc', clock_timestamp())";
    busy(&app, CallName::Payment, 1, RetryAfter::Seconds(300)).await;
    app.store
        .run(&format!(
            "UPDATE orders SET expires_at = {now}, due_at = {now}, hold_until = {now} + interval '30 seconds'
             WHERE id = '{}'",
            document.id()
        ))
        .await;
    app.sweep().await;
    app.read(document.id()).await.assert_is("PENDING", "awaiting_payment");
    let wait = left(&app, document.id()).await;
    assert!((10..=30).contains(&wait), "{wait} seconds");
    app.quiesce().await;
    app.finish().await;
}

/// How much of its time is left was read before the attempts, which took a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_follows_slow_attempts_does_not_go_beyond_the_end_of_the_time_to_pay_either() {
    let app = Spawn::new().variable("order_ttl_seconds", "60").start().await;
    app.fault(stall(CallName::Seat, 700, Moment::Before).always()).await;
    app.fault(FaultRule::on(CallName::Reserve, fail(503)).times(2)).await;
    app.fault(FaultRule::on(CallName::Reserve, fail(503)).always().retry_after(RetryAfter::Seconds(300)))
        .await;
    let document = app.place(&order(&[1])).await.accepted();
    let beyond = "SELECT round(1000 * extract(epoch FROM due_at - expires_at)) FROM orders WHERE id = ";
    let beyond = app.store.count(&format!("{beyond}'{}'", document.id())).await;
    assert!(beyond <= 100, "due {beyond} ms after the end");
    app.abandon().await;
}
