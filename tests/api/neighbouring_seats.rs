//! Buyers of neighbouring seats at once: Seating answers 500 to all but one, and takes the others a moment later.

use crate::support::*;
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buyers_of_neighbouring_seats_at_once_hear_201() {
    let app = spawn().await;
    let mut created = 0;
    for round in 0..5 {
        let buyers: Vec<OrderRequest> = (1..=8).map(|n| order(&[round * 10 + n]).user(100 + n)).collect();
        let answers = join_all(buyers.iter().map(|buyer| app.place(buyer))).await;
        created += answers.iter().filter(|answer| answer.status == 201).count();
        assert!(answers.iter().all(|answer| [201, 202].contains(&answer.status)), "{answers:?}");
    }
    assert!(created >= 35, "{created} of 40");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_is_answered_500_is_repeated_within_the_request() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Reserve, fail(500)).times(3)).await;
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    assert_eq!(app.calls("seating.reserve").await, 4);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_repeated_four_times_at_most_and_left_to_the_sweep() {
    let app = spawn().await;
    let fault = app.fault(FaultRule::on(CallName::Reserve, fail(500)).always()).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    assert_eq!(app.calls("seating.reserve").await, 4);
    app.remove_fault(fault).await;
    app.quiesce().await;
    assert_eq!(app.outcome(&id).await, Outcome::confirmed());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_took_effect_although_it_was_answered_500_is_found_by_looking() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Reserve, garbage_with(500, "<html></html>", true))).await;
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    assert_eq!(app.calls("seating.reserve").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_500_the_claims_of_a_refused_order_stay_until_nothing_can_land() {
    let app = spawn().await;
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, 7)).await;
    app.fault(FaultRule::on(CallName::Reserve, garbage_with(502, "<html></html>", false))).await;
    let id = app.place(&order(&[1])).await.problem_of_order(409, "seats_unavailable");
    app.read(&id).await.assert_is("FAILED", "releasing");
    let seat = app.seat(1).await;
    assert_eq!((seat.status, seat.reserved_by), (SeatStatus::Reserved, Some(7)));
    app.quiesce().await;
    app.read(&id).await.assert_is("FAILED", "done");
    let seat = app.seat(1).await;
    assert_eq!((seat.status, seat.reserved_by), (SeatStatus::Reserved, Some(7)), "somebody else's");
    app.abandon().await;
}
