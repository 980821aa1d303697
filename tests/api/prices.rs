//! Amounts are exact, whatever Seating's prices look like.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tax_is_rounded_up_in_exact_arithmetic() {
    // Each of these goes wrong by a cent in binary floating point, or when it is rounded in the usual way.
    for (percent, prices, subtotal, tax) in [
        ("7.5", vec!["1.00", "0.33"], 133, 10),
        ("0.1", vec!["10.00"], 1000, 1),
        ("0.100001", vec!["10.00"], 1000, 2),
        ("18", vec!["1.15"], 115, 21),
        ("5", vec!["1.00"], 100, 5),
        ("0", vec!["1.00"], 100, 0),
        ("100", vec!["0.01"], 1, 1),
    ] {
        let app = Spawn::new().variable("tax_percent", percent).start().await;
        let ids: Vec<i64> = (1..=prices.len() as i64).collect();
        let seats: Vec<SeatSpec> =
            ids.iter().zip(&prices).map(|(id, price)| SeatSpec::priced(*id, price)).collect();
        app.peers.put_seats(101, &seats).await.unwrap();
        let document = app.place(&order(&ids)).await.created();
        let order = &document["order"];
        let amounts = json!([order["subtotal_cents"], order["tax_cents"], order["total_cents"]]);
        assert_eq!(amounts, json!([subtotal, tax, subtotal + tax]), "{percent} % of {prices:?}");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_are_read_without_a_detour_through_binary_fractions() {
    let app = Spawn::new().variable("tax_percent", "0").start().await;
    let prices = [
        ("0.29", 29),
        ("1.15", 115),
        ("4.35", 435),
        ("1001.10", 100110),
        ("150", 15000),
        ("150.0", 15000),
        ("19999999.99", 1999999999),
        ("21474836.47", 2147483647),
        ("1.5e2", 15000),
        ("12.340", 1234),
    ];
    for (id, (price, cents)) in (1..).zip(prices) {
        app.put_seat(SeatSpec::priced(id, price)).await;
        let document = app.place(&order(&[id])).await.created();
        assert_eq!(document["items"][0]["seat_price_cents"], cents, "{price}");
        assert_eq!(document["payment"]["amount_cents"], cents, "{price}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seats_own_cents_win_over_its_price() {
    let app = spawn().await;
    let cents = serde_json::value::to_raw_value(&1234).unwrap();
    let seat = SeatSpec { price_cents: Some(cents), ..SeatSpec::priced(1, "99.99") };
    app.put_seat(seat).await;
    let document = app.place(&order(&[1])).await.created();
    assert_eq!(document["items"][0]["seat_price_cents"], 1234);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_that_cannot_be_charged_fails_the_order_and_frees_the_seats() {
    let app = spawn().await;
    let cases: [&[&str]; 4] = [
        &["21474836.47"],                // tax brings it beyond the column
        &["20000000.00", "20000000.00"], // each fits, the sum does not
        &["1000000000000"],
        &["1e12"],
    ];
    let mut next = 1;
    for prices in cases {
        let ids: Vec<i64> = (next..).take(prices.len()).collect();
        next += prices.len() as i64;
        let seats: Vec<SeatSpec> =
            ids.iter().zip(prices).map(|(id, price)| SeatSpec::priced(*id, price)).collect();
        app.peers.put_seats(101, &seats).await.unwrap();
        let id = app.place(&order(&ids)).await.problem_of_order(422, "amount_out_of_range");
        let document = app.read(&id).await;
        assert_eq!(
            (document.status(), document.failure()),
            ("FAILED", Some("amount_out_of_range")),
            "{prices:?}"
        );
        app.quiesce().await;
        for seat in ids {
            assert_eq!(app.seat(seat).await.status, SeatStatus::Available, "{prices:?}");
        }
    }
    assert_eq!(app.calls("payment.charge").await, 0);
    app.finish().await;
}
