//! Seating's reserves of neighbouring seats that overlap in time, and holds that are older than the order.

use std::time::Duration;

use futures::future::join_all;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buyers_of_neighbouring_seats_at_once_all_get_them_in_the_end() {
    let app = spawn().await;
    app.set_reserve_time(Duration::from_millis(100)).await;
    let orders: Vec<OrderRequest> = (1..=8).map(|seat| order(&[seat]).user(seat)).collect();
    let answers = join_all(orders.iter().map(|order| app.place(order))).await;
    let failures = app.peers.state().await.unwrap().serialization_failures;
    assert!(failures > 0, "no two reserves overlapped");
    app.quiesce().await;
    for answer in answers {
        app.read(answer.created_or_accepted().id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_a_stranger_holds_is_free_when_seating_has_freed_the_lapsed_hold() {
    let app = spawn().await;
    let minute = 60_000;
    app.put_seat(seat_held_since(1, 9, 14 * minute)).await;
    app.free_lapsed_holds().await;
    app.place(&order(&[1])).await.problem_of_order(409, "seats_unavailable");
    app.put_seat(seat_held_since(1, 9, 16 * minute)).await;
    app.place(&order(&[1])).await.problem_of_order(409, "seats_unavailable");
    app.free_lapsed_holds().await;
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}
