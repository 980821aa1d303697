//! The money is taken, and the seats are gone: it goes back, and nobody else's seat is touched.

use crate::callback::pending;
use crate::support::*;

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
    // The answer to the first allocate is lost; the second is refused, because the seats are allocated: to us.
    app.fault(FaultRule::on(CallName::Allocate, Action::LoseAnswer).seat(1)).await;
    app.fault(FaultRule::on(CallName::OrderSeats, Action::LoseRequest).seat(1)).await;
    let id = app.place(&order(&[1])).await.created_or_accepted().id().to_owned();
    app.quiesce().await;
    app.read(&id).await.assert_is("CONFIRMED", "done");
    assert_eq!(app.calls("payment.refund").await, 0);
    app.finish().await;
}
