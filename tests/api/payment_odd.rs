//! What else Payment may show of a payment, and how long it may ask to be left alone.

use crate::callback::pending;
use crate::support::*;
use order_dev::peers::RetryAfter;

/// Moves the end of the order's time to pay, and sweeps until it is over.
pub async fn expired(app: &App, document: &Document) -> Document {
    app.store.expire(document.id()).await;
    eventually("the order expires", async || {
        app.sweep().await;
        let now = app.read(document.id()).await;
        (now.phase() == "done").then_some(now)
    })
    .await
}

/// Sweeps until the order is listed as stuck.
async fn an_operator_hears_of(app: &App, document: &Document) {
    eventually("the order is listed as stuck", async || {
        app.sweep().await;
        let stuck = app.stuck().await.orders;
        stuck.iter().any(|listed| listed["order_id"] == document.id()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_cancelled_or_expired_took_nothing() {
    let app = spawn().await;
    for (seat, status) in [(1, PaymentStatus::Cancelled), (2, PaymentStatus::Expired)] {
        app.set_payment_mode(Mode::Ends(status)).await;
        let id = app.place(&order(&[seat])).await.problem_of_order(402, "payment_declined");
        app.quiesce().await;
        app.read(&id).await.assert_is("FAILED", "done");
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available);
    }
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undecided_payment_does_not_keep_the_seats_and_an_operator_hears_of_it() {
    let mut app = Spawn::new().variable("internal_token", TOKEN).start().await;
    for (seat, status, shown) in
        [(1, PaymentStatus::Processing, "PROCESSING"), (2, PaymentStatus::OnHold, "ON_HOLD")]
    {
        app.set_payment_mode(Mode::Ends(status)).await;
        let document = app.place(&order(&[seat])).await.created();
        document.assert_is("PENDING", "awaiting_payment");
        let expired = expired(&app, &document).await;
        assert_eq!((expired.status(), expired.failure()), ("CANCELLED", Some("expired")));
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available);
        let journal = app.journal(document.id()).await;
        let told = journal.iter().find(|entry| entry["type"] == "payment_unfamiliar").expect("an entry");
        assert!(told["data"]["reason"].as_str().unwrap().ends_with(shown), "{told}");
        an_operator_hears_of(&app, &document).await;
    }
    app.expect_errors_in_the_log();
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_payment_is_forgotten_expires_and_an_operator_hears_of_it() {
    let mut app = Spawn::new().payment_mode(Mode::Pending).variable("internal_token", TOKEN).start().await;
    let document = pending(&app, &[1]).await;
    app.peers.forget_payment(document.payment_id(), true).await.unwrap();
    let expired = expired(&app, &document).await;
    assert_eq!((expired.status(), expired.failure()), ("CANCELLED", Some("expired")));
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    an_operator_hears_of(&app, &document).await;
    app.expect_errors_in_the_log();
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_for_a_cancelled_event_goes_back() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let [gone, unclear] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    expired(&app, &gone).await;
    expired(&app, &unclear).await;
    app.put_event(101, "CANCELLED").await;
    app.settle(&gone, PaymentStatus::Success).await;
    app.quiesce().await;
    let paid_back = app.read(gone.id()).await;
    paid_back.assert_is("CANCELLED", "done");
    assert_eq!(
        (&paid_back["payment"]["status"], app.seat(1).await.status),
        (&json!("REFUNDED"), SeatStatus::Available)
    );

    // No answer is no permission: the order waits for one.
    app.take_peer_down(Peer::Catalog).await;
    app.settle(&unclear, PaymentStatus::Success).await;
    app.sweep().await;
    app.read(unclear.id()).await.assert_is("CANCELLED", "reserving");
    app.put_event(101, "ON_SALE").await;
    app.take_peer_up(Peer::Catalog).await;
    app.quiesce().await;
    app.read(unclear.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payment_is_left_alone_for_as_long_as_it_asks_but_never_beyond_the_time_to_pay() {
    let app = spawn().await;
    let wait = "SELECT round(extract(epoch FROM due_at - updated_at)) FROM orders WHERE id = ";
    for (seat, asked, expected) in [
        (1, RetryAfter::Seconds(300), 295..=305),
        (2, RetryAfter::Date(300), 295..=305),
        (3, RetryAfter::Seconds(100_000), 595..=605),
    ] {
        app.fault(FaultRule::on(CallName::Charge, fail(503)).retry_after(asked).seat(seat)).await;
        let document = app.place(&order(&[seat])).await.accepted();
        let seconds = app.store.count(&format!("{wait}'{}'", document.id())).await;
        assert!(expected.contains(&seconds), "{seconds} seconds after {asked:?}");
    }
    app.quiesce().await;
    app.finish().await;

    let app = Spawn::new().variable("order_ttl_seconds", "60").start().await;
    app.fault(FaultRule::on(CallName::Charge, fail(503)).retry_after(RetryAfter::Seconds(300))).await;
    let document = app.place(&order(&[1])).await.accepted();
    let beyond = format!(
        "SELECT count(*) FROM orders WHERE id = '{}' AND due_at > expires_at + interval '1 second'",
        document.id()
    );
    assert_eq!(app.store.count(&beyond).await, 0);
    app.quiesce().await;
    app.finish().await;
}
