//! Seating's peculiarities.

use super::*;

#[tokio::test]
async fn reserve_answers_prices_as_decimals_and_times_without_a_zone() {
    let s = sandbox().await;
    let body = json!({ "eventId": 101, "seatIds": [1, 2, 3], "userId": 7, "orderId": ORDER });
    let answer = s.send("/seating/v1/seats/reserve", body).await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains("\"price\":150.00,") && text.contains("\"totalPrice\":450.00,"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["success"], true);
    let seat = &body["reservedSeats"][0];
    assert_eq!(
        (&seat["id"], &seat["seatNumber"], &seat["rowNumber"]),
        (&json!(1), &json!("A1"), &json!("A"))
    );
    assert_eq!(
        (&seat["status"], &seat["reservedBy"], &seat["orderId"]),
        (&json!("RESERVED"), &json!(7), &Value::Null)
    );
    let time = seat["reservationExpiresAt"].as_str().unwrap();
    assert!(time.len() == 23 && !time.ends_with('Z'), "{time}");
}

#[tokio::test]
async fn reserved_seats_come_in_storage_order() {
    let s = sandbox().await;
    let (code, body) = s.reserve(&[3, 1, 2]).await;
    assert_eq!(code, 200);
    let ids: Vec<&Value> = body["reservedSeats"].as_array().unwrap().iter().map(|seat| &seat["id"]).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[tokio::test]
async fn reserve_is_atomic_and_not_idempotent() {
    let s = sandbox().await;
    assert_eq!(s.reserve(&[2]).await.0, 200);
    let (code, body) = s.reserve(&[1, 2]).await;
    assert_eq!((code, &body["message"]), (409, &json!("Seats are not available: A2")));
    assert_eq!(s.control.seat(1).await.unwrap().status, SeatStatus::Available);
    assert_eq!(s.reserve(&[2]).await.0, 409);
}

#[tokio::test]
async fn reserve_refuses_unknown_and_foreign_seats_and_bad_bodies() {
    let s = sandbox().await;
    s.reserve(&[3]).await;
    for (seats, status) in [([1, 99999], 404), ([1, 1], 404), ([1001, 99999], 404), ([3, 1001], 400)] {
        let (code, body) = s.reserve(&seats).await;
        assert_eq!((code, &body["status"]), (status, &json!(status)), "{seats:?}");
        assert!(body["message"].is_string() && body["timestamp"].is_string(), "{body}");
    }
    let required = json!({ "seatIds": "At least one seat ID is required" });
    assert_eq!(s.reserve(&[]).await, (400, required));
    let (code, body) = s.post("/seating/v1/seats/allocate", json!({})).await;
    assert_eq!((code, &body["orderId"]), (400, &json!("Order ID is required")));
    for body in [json!({ "eventId": 101, "seatIds": ["one"], "userId": 7 }), json!([1]), json!("text")] {
        let (code, body) = s.post("/seating/v1/seats/reserve", body).await;
        assert_eq!((code, &body["status"]), (500, &json!(500)));
    }
    assert_eq!(s.control.seat(1).await.unwrap().status, SeatStatus::Available);
}

/// A sandbox whose hold of seat 1 is over, which its job has not noticed yet.
async fn with_lapsed_hold() -> Sandboxed {
    let s = sandbox().await;
    s.control.set_hold(Duration::ZERO).await.unwrap();
    assert_eq!(s.reserve(&[1]).await.0, 200);
    s.control.set_hold(Duration::from_secs(900)).await.unwrap();
    s
}

#[tokio::test]
async fn holds_end_by_seatings_job_and_on_command() {
    let s = with_lapsed_hold().await;
    assert_eq!(s.reserve(&[2]).await.0, 200);
    assert_eq!(s.control.free_lapsed_holds().await.unwrap(), 1);
    assert_eq!(s.get("/seating/v1/seats/1").await.1["status"], "AVAILABLE");
    assert_eq!(s.allocate(&[1]).await.0, 409);
    assert_eq!(s.get("/seating/v1/seats/2").await.1["status"], "RESERVED");
    s.control.expire_holds().await.unwrap();
    assert_eq!(s.get("/seating/v1/seats/2").await.1["status"], "AVAILABLE");
}

#[tokio::test]
async fn until_the_job_frees_it_a_seat_whose_hold_is_over_is_reserved_for_everybody() {
    let s = with_lapsed_hold().await;
    let seat = s.get("/seating/v1/seats/1").await.1;
    assert_eq!((&seat["status"], &seat["reservedBy"]), (&json!("RESERVED"), &json!(7)));
    assert_eq!(s.get("/seating/v1/seats/availability?eventId=101").await.1["availableSeats"], 499);
    assert_eq!(s.reserve(&[1]).await.0, 409);
    assert_eq!(s.allocate(&[1]).await.0, 200);
    assert_eq!(s.control.free_lapsed_holds().await.unwrap(), 0, "what is allocated stays so");

    let s = with_lapsed_hold().await;
    assert_eq!(s.post("/seating/v1/seats/release", json!([1])).await.0, 200);
    assert_eq!(s.reserve(&[1]).await.0, 200);
}

#[tokio::test]
async fn seatings_job_runs_now_and_then() {
    let (hold, expiry_interval) = (Duration::ZERO, Duration::from_millis(10));
    assert_eq!(Options::default().expiry_interval, Duration::from_secs(60));
    let peers = Peers::start(Options { hold, expiry_interval, ..Options::default() }).await.unwrap();
    let s = Sandboxed { control: peers.control(), peers, client: reqwest::Client::new() };
    assert_eq!(s.reserve(&[1]).await.0, 200);
    let is_freed = async {
        while s.control.seat(1).await.unwrap().status != SeatStatus::Available {
            tokio::time::sleep(expiry_interval).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_freed).await.expect("the job frees the seat");
}

#[tokio::test]
async fn allocate_stores_the_order_and_is_not_idempotent() {
    let s = sandbox().await;
    assert_eq!(s.allocate(&[1]).await.0, 409);
    s.reserve(&[1, 2]).await;
    assert_eq!(s.get(&format!("/seating/v1/seats/order/{ORDER}")).await, (200, json!([])));
    assert_eq!(s.allocate(&[1, 2]).await, (200, json!("")));
    assert_eq!(s.allocate(&[1, 2]).await.0, 409);
    assert_eq!(s.allocate(&[99999]).await.0, 404);
    let (_, seats) = s.get(&format!("/seating/v1/seats/order/{ORDER}")).await;
    assert_eq!((seats[1]["id"].as_i64(), seats[1]["orderId"].as_str()), (Some(2), Some(ORDER)));
}

#[tokio::test]
async fn release_frees_whatever_it_is_given() {
    let s = sandbox().await;
    s.reserve(&[1, 2]).await;
    s.allocate(&[2]).await;
    assert_eq!(s.post("/seating/v1/seats/release", json!([1, 2, 3, 99999])).await, (200, json!("")));
    for seat in [1, 2, 3] {
        assert_eq!(s.get(&format!("/seating/v1/seats/{seat}")).await.1["status"], "AVAILABLE");
    }
    assert_eq!(s.get(&format!("/seating/v1/seats/order/{ORDER}")).await.1, json!([]));
    assert_eq!(s.post("/seating/v1/seats/release", json!({ "seatIds": [1] })).await.0, 500);
}

#[tokio::test]
async fn availability_lists_every_free_seat() {
    let s = sandbox().await;
    s.reserve(&[1]).await;
    let (_, body) = s.get("/seating/v1/seats/availability?eventId=101").await;
    assert_eq!((&body["totalSeats"], &body["availableSeats"]), (&json!(500), &json!(499)));
    assert_eq!(body["availableSeatsList"][0]["id"], 2);
    assert_eq!(s.get("/seating/v1/seats/99999").await.0, 404);
    assert_eq!(s.get("/seating/v1/seats/availability?eventId=x").await.0, 500);
    assert_eq!(s.get("/seating/v1/seats/order/nobody").await, (200, json!([])));
    assert_eq!(s.get("/seating/v1/seats/1200").await.1["status"], "BLOCKED");
}

#[tokio::test]
async fn strange_prices_are_shown_as_they_were_given() {
    let s = sandbox().await;
    for price in ["12.345", "1e12", "-5", "\"150.00\"", "null", "9007199254740993.01"] {
        s.control.put_seats(101, &[SeatSpec::priced(9000, price)]).await.unwrap();
        let url = format!("{}/seating/v1/seats/9000", s.peers.url());
        let text = s.client.get(url).send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!("\"price\":{price},")), "{text}");
    }
    let cents = SeatSpec { price_cents: Some(state::raw("777")), ..SeatSpec::priced(9000, "1.00") };
    s.control.put_seats(101, &[cents]).await.unwrap();
    assert_eq!(s.get("/seating/v1/seats/9000").await.1["price_cents"], 777);
}

#[tokio::test]
async fn a_wrong_method_or_id_is_500_and_a_path_without_a_route_is_what_spring_says_it_is() {
    let s = sandbox().await;
    for path in ["/seating/v1/seats/reserve", "/seating/v1/seats/abc"] {
        let (code, body) = s.get(path).await;
        assert_eq!((code, &body["status"]), (500, &json!(500)), "{path}");
    }
    assert_eq!(s.post("/seating/v1/seats/1", json!({})).await.0, 500);
    let (code, body) = s.get("/seating/v2/seats").await;
    assert_eq!((code, &body["path"], &body["error"]), (404, &json!("/v2/seats"), &json!("Not Found")));
    assert!(body["message"].is_null() && body["timestamp"].is_string(), "{body}");
}

#[tokio::test]
async fn of_reserves_that_overlap_and_touch_neighbours_all_but_the_first_fail() {
    let s = sandbox().await;
    s.control.set_reserve_time(Duration::from_millis(300)).await.unwrap();
    let seats = [[1], [2], [3], [2], [10]];
    let reserves = seats.iter().map(|seats| s.reserve(seats));
    let answers = futures::future::join_all(reserves).await;
    let (apart, touching) = answers.split_last().unwrap();
    assert_eq!(apart.0, 200);
    assert_eq!(touching.iter().filter(|(code, _)| *code == 200).count(), 1, "{touching:?}");
    for (code, body) in touching.iter().filter(|(code, _)| *code != 200) {
        assert_eq!((*code, &body["status"]), (500, &json!(500)));
        assert!(body["message"].as_str().unwrap().starts_with("could not serialize access"), "{body}");
    }
    let state = s.control.state().await.unwrap();
    assert_eq!((state.seat_counts[&SeatStatus::Reserved], state.serialization_failures), (2, 3));
}

#[tokio::test]
async fn reserves_can_be_kept_from_failing_because_they_overlap() {
    let s = sandbox().await;
    s.control.set_reserve_time(Duration::from_millis(100)).await.unwrap();
    s.control.set_serializable(false).await.unwrap();
    s.control.reset().await.unwrap();
    let seats = [[1], [2], [2]];
    let answers = futures::future::join_all(seats.iter().map(|seats| s.reserve(seats))).await;
    let mut codes: Vec<u16> = answers.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 200, 409]);
}

#[tokio::test]
async fn a_seat_may_have_been_held_for_a_while() {
    let s = sandbox().await;
    s.control.set_hold(Duration::from_secs(60)).await.unwrap();
    let held = |id, ms_ago| SeatSpec {
        status: Some(SeatStatus::Reserved),
        reserved_by: Some(7),
        reserved_ms_ago: Some(ms_ago),
        ..SeatSpec::priced(id, "150.00")
    };
    s.control.put_seats(101, &[held(1, 59_000), held(2, 61_000)]).await.unwrap();
    let seat = s.get("/seating/v1/seats/1").await.1;
    assert_eq!((&seat["status"], &seat["reservedBy"]), (&json!("RESERVED"), &json!(7)));
    assert_eq!(s.control.free_lapsed_holds().await.unwrap(), 1);
    assert_eq!(s.get("/seating/v1/seats/1").await.1["status"], "RESERVED");
    assert_eq!(s.get("/seating/v1/seats/2").await.1["status"], "AVAILABLE");
}
