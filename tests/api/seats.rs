//! A seat belongs to one live order.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_of_a_live_order_is_refused_without_asking_seating() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    app.place(&order(&[1, 2, 3])).await.created();
    for order_request in [order(&[2]), order(&[3, 4]).user(7), order(&[5, 1])] {
        let problem = app.place(&order_request).await.problem(409, "seats_unavailable");
        let taken = order_request.body["seats"]
            .as_array()
            .unwrap()
            .iter()
            .find(|seat| seat.as_i64() <= Some(3))
            .unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(&taken.to_string()), "{problem}");
    }
    assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 1);
    assert_eq!(app.calls("seating.reserve").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mistake_of_seatings_sells_a_seat_twice() {
    let app = spawn().await;
    let first = app.place(&order(&[1])).await.created();
    // Seating has forgotten that it sold the seat.
    app.put_seat(SeatSpec::priced(1, "150.00")).await;
    app.place(&order(&[1]).user(7)).await.problem(409, "seats_unavailable");
    app.read(first.id()).await.assert_is("CONFIRMED", "done");

    app.put_seat(seat_sold_to(1, first.id())).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seats_of_a_failed_order_can_be_sold_again() {
    let app = spawn().await;
    app.set_payment_mode_of_user(13, Mode::Decline).await;
    app.place(&order(&[1, 2]).user(13)).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    app.place(&order(&[1, 2])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_failed_beside_another_does_not_free_the_others_seats() {
    let app = spawn().await;
    let first = app.place(&order(&[1])).await.created();
    // Seats 1 and 2 together are refused; seat 1 must stay sold.
    app.place(&order(&[1, 2])).await.problem(409, "seats_unavailable");
    app.quiesce().await;
    assert_eq!(app.seat(1).await.order_id.as_deref(), Some(first.id()));
    app.place(&order(&[2])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_itself_refuses_a_second_claim() {
    let app = spawn().await;
    let [first, second] = [app.place(&order(&[1])).await, app.place(&order(&[2])).await];
    let (first, second) = (first.created(), second.created());
    let steal = "UPDATE seat_claims SET seat_id = 1 WHERE order_id =";
    let client = app.store.database().connect().await.unwrap();
    let error = client.batch_execute(&format!("{steal} '{}'", second.id())).await.unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION));
    assert_ne!(first.id(), second.id());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_a_crash_made_us_forget_does_not_stand_in_its_buyers_way() {
    let app = spawn().await;
    // Reserved for user 101 by an order of which nothing is left.
    app.put_seat(seat_of_somebody(1, SeatStatus::Reserved, 101)).await;
    app.place(&order(&[1]).user(102)).await.problem_of_order(409, "seats_unavailable");
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}
