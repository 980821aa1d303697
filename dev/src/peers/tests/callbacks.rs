//! Faults of callbacks, and payments in the control API.

use super::payment::merchant;
use super::*;

use reqwest::StatusCode;

async fn disturb(s: &Sandboxed, fault: CallbackFault) {
    let only = Matching { order_id: Some(ORDER.into()), ..Matching::default() };
    s.control.add_callback_fault(&CallbackRule { only, fault }).await.unwrap();
}

#[tokio::test]
async fn callbacks_can_be_dropped_delayed_and_repeated() {
    let s = sandbox().await;
    let (url, mut callbacks) = merchant(StatusCode::OK, Duration::ZERO).await;
    s.control.set_callback_urls(&[url]).await.unwrap();

    disturb(&s, CallbackFault::Drop).await;
    assert_eq!(s.charge().await.0, 500);
    assert!(callbacks.try_recv().is_err());
    assert_eq!(s.control.used_callback_faults().await.unwrap().len(), 1);

    s.control.reset().await.unwrap();
    disturb(&s, CallbackFault::Repeat(3)).await;
    assert_eq!(s.charge().await.0, 201);
    for _ in 0..3 {
        assert!(callbacks.recv().await.unwrap().contains("SUCCESS"));
    }

    s.control.reset().await.unwrap();
    disturb(&s, CallbackFault::Delay(2_200)).await;
    assert_eq!(s.charge().await.0, 500, "Payment waits for two seconds at most");
    assert!(callbacks.try_recv().is_err());
    assert!(callbacks.recv().await.unwrap().contains("SUCCESS"), "it arrives all the same");

    for arrives in [false, true] {
        s.control.reset().await.unwrap();
        disturb(&s, CallbackFault::Gateway { status: 404, arrives }).await;
        assert_eq!(s.charge().await.0, 404);
        assert_eq!(callbacks.try_recv().is_ok(), arrives);
        assert_eq!(s.charge().await.0, 201);
    }
}

#[tokio::test]
async fn several_receivers_take_turns() {
    let s = sandbox().await;
    let (first, mut at_first) = merchant(StatusCode::OK, Duration::ZERO).await;
    let (second, mut at_second) = merchant(StatusCode::OK, Duration::ZERO).await;
    s.control.set_callback_urls(&[first, second]).await.unwrap();
    for _ in 0..2 {
        s.control.send_callback(&json!({ "order_id": ORDER })).await.unwrap();
    }
    assert!(at_first.try_recv().is_ok() && at_second.try_recv().is_ok());
}

#[tokio::test]
async fn money_is_counted_and_a_payment_is_only_settled_from_what_it_is() {
    use PaymentStatus::{Pending, Refunded, Success};
    let s = sandbox().await;
    s.control.payment_mode(Mode::Pending).await.unwrap();
    s.reserve(&[1]).await;
    s.charge().await;
    let new = s.control.payments_from(0).await.unwrap().remove(0);
    assert_eq!((new.user_id, new.payment.taken), (Some(7), 0));
    assert!(s.control.payments_from(1).await.unwrap().is_empty());
    let id = &new.payment.id;
    let settle = async |from, to| s.control.settle_payment(id, &[from], to).await.unwrap();
    assert_eq!(settle(Success, Refunded).await, None);
    assert_eq!(settle(Pending, Success).await.map(|payment| (payment.taken, payment.returned)), Some((1, 0)));
    assert_eq!(s.post("/payment/v1/refund", json!({ "payment_id": id })).await.0, 201);
    let state = s.control.state().await.unwrap();
    assert_eq!((state.payments[0].taken, state.payments[0].returned), (1, 1));
}

#[tokio::test]
async fn single_holds_can_be_ended() {
    let s = sandbox().await;
    s.reserve(&[1, 2]).await;
    let before = chrono::Utc::now().timestamp_millis() - 60_000;
    assert_eq!(s.control.expire_holds_of(&[1], before).await.unwrap(), 0, "this hold is younger");
    assert_eq!(s.control.expire_holds_of(&[1], i64::MAX).await.unwrap(), 1);
    assert_eq!(s.control.seat(1).await.unwrap().status, SeatStatus::Available);
    assert_eq!(s.control.seat(2).await.unwrap().status, SeatStatus::Reserved);
}

#[tokio::test]
async fn a_peer_that_goes_down_takes_its_connections_along() {
    let s = sandbox().await;
    let slow = Action::Stall { ms: 300, effect: Moment::Before };
    s.control.add_fault(FaultRule::on(CallName::Allocate, slow)).await.unwrap();
    s.reserve(&[1]).await;
    let url = "/seating/v1/seats/allocate";
    let (answer, ()) = tokio::join!(s.send(url, json!({ "orderId": ORDER, "seatIds": [1] })), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(s.control.open_calls().await.unwrap(), 1);
        s.control.set_down(Peer::Seating, true).await.unwrap();
        s.control.set_down(Peer::Seating, false).await.unwrap();
    });
    assert!(answer.is_err());
    assert_eq!(s.control.seat(1).await.unwrap().status, SeatStatus::Allocated);
    assert_eq!(s.control.open_calls().await.unwrap(), 0);
}
