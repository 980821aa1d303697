//! Currencies with other minor units than hundredths (ISO 4217).

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amounts_are_in_the_minor_unit_of_the_currency() {
    // Tax is 5 %, rounded up to a minor unit.
    for (currency, prices, cents, tax) in [
        ("JPY", ["1500", "999.00"], [1500, 999], 125),
        ("KWD", ["1.505", "0.1"], [1505, 100], 81),
        ("EUR", ["15.05", "1"], [1505, 100], 81),
        ("CLF", ["1.2345", "0.0001"], [12345, 1], 618),
    ] {
        let app = Spawn::new().variable("currency", currency).start().await;
        let seats = [SeatSpec::priced(1, prices[0]), SeatSpec::priced(2, prices[1])];
        app.peers.put_seats(101, &seats).await.unwrap();
        let document = app.place(&order(&[1, 2])).await.created();
        document.assert_is("CONFIRMED", "done");
        let order = &document["order"];
        let item = |index: usize| document["items"][index]["seat_price_cents"].clone();
        assert_eq!([item(0), item(1)], cents.map(|cents| json!(cents)), "{currency}");
        let subtotal = cents[0] + cents[1];
        let amounts =
            json!([order["subtotal_cents"], order["tax_cents"], order["total_cents"], order["currency"]]);
        assert_eq!(amounts, json!([subtotal, tax, subtotal + tax, currency]));
        assert_eq!(document["payment"]["amount_cents"], json!(subtotal + tax), "{currency}");
        let charged = app.peers.state().await.unwrap();
        assert_eq!(charged.payments[0].currency, currency);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_is_finer_than_the_currency_is_no_answer() {
    for (currency, fine, exact) in
        [("JPY", "1500.5", "1500"), ("KWD", "1.5055", "1.505"), ("INR", "1.505", "1.50")]
    {
        let app = Spawn::new().variable("currency", currency).start().await;
        app.put_seat(SeatSpec::priced(1, fine)).await;
        let id = app.place(&order(&[1])).await.accepted().id().to_owned();
        app.read(&id).await.assert_is("PENDING", "reserving");
        assert_eq!(app.calls("payment.charge").await, 0, "{currency}");
        // Seating mends its price, and the hold is the order's.
        let seat = SeatSpec {
            status: Some(SeatStatus::Reserved),
            reserved_by: Some(101),
            ..SeatSpec::priced(1, exact)
        };
        app.put_seat(seat).await;
        app.quiesce().await;
        app.read(&id).await.assert_is("CONFIRMED", "done");
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_no_currency_is_no_health_and_the_variable_is_named() {
    for code in ["ABC", "inr", "XAU", "₹", "EURO", "IN R"] {
        let mut app = Spawn::new().variable("currency", code).start().await;
        let health = app.get("/health").await.json(503);
        assert_eq!(health["ok"], false, "{health}");
        assert!(health.to_string().contains("currency") && !health.to_string().contains(code), "{health}");
        app.place(&order(&[1])).await.problem(500, "internal_error");
        app.get("/health/live").await.json(200);
        app.expect_errors_in_the_log();
        app.abandon().await;
    }
}
