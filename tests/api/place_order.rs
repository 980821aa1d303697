//! An order that goes well.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_request_is_paid_and_its_answer_shows_the_tickets() {
    let app = spawn().await;
    let order_request = order(&[1, 2, 3]).user("101").key("abc123");
    let answer = app.place(&order_request).await;
    let document = answer.created();

    document.assert_is("CONFIRMED", "done");
    let mut shown = document["order"].clone();
    for name in ["id", "created_at", "updated_at"] {
        shown.as_object_mut().unwrap().remove(name);
    }
    let expected = json!({
        "idempotency_key": "abc123", "user_id": 101, "event_id": 101, "status": "CONFIRMED", "phase": "done",
        "failure": null, "currency": "INR", "subtotal_cents": 45000, "tax_cents": 2250, "total_cents": 47250,
        "expires_at": null,
    });
    assert_eq!(shown, expected);
    let items = [("A1", 1), ("A2", 2), ("A3", 3)]
        .map(|(code, id)| json!({ "seat_id": id, "seat_code": code, "seat_price_cents": 15000 }));
    assert_eq!(document["items"], json!(items));
    assert_eq!(document.tickets("seat_id"), [1, 2, 3]);
    assert_eq!(document.tickets("status"), ["VALID", "VALID", "VALID"]);
    assert_eq!(
        (&document["payment"]["status"], &document["payment"]["amount_cents"]),
        (&json!("SUCCESS"), &json!(47250))
    );
    assert_eq!(uuid::Uuid::parse_str(document.id()).unwrap().get_version_num(), 7);
    assert!(!answer.is_replayed());

    // The callback came, and was taken, while the charge was still waiting for it.
    let callbacks = app.peers.state().await.unwrap().callbacks;
    assert_eq!((callbacks.len(), callbacks[0].status), (1, Some(200)));
    assert_eq!(callbacks[0].answer["ok"], true);
    assert_eq!(app.read(document.id()).await, document);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_peer_is_asked_once_and_for_no_more_than_is_needed() {
    let app = spawn().await;
    let document = app.place(&order(&[7, 8])).await.created();
    app.quiesce().await;
    let calls = app.peers.calls().await.unwrap();
    for (call, expected) in [
        ("catalog.event", 1),
        ("seating.reserve", 1),
        ("seating.allocate", 1),
        ("payment.charge", 1),
        ("notification.notify", 1),
        ("seating.release", 0),
        ("seating.availability", 0),
        ("payment.refund", 0),
    ] {
        assert_eq!(calls.counts.get(call).copied().unwrap_or(0), expected, "{call}: {:?}", calls.counts);
    }
    let state = app.peers.state().await.unwrap();
    let payments = state.payments_of(document.id());
    assert_eq!((payments.len(), payments[0].amount_cents, payments[0].currency.as_str()), (1, 31500, "INR"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_payment_takes_its_time_is_placed_and_waits() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[5])).await.created();
    document.assert_is("PENDING", "awaiting_payment");
    assert_eq!(document["payment"]["status"], "PENDING");
    assert_eq!(document["order"]["total_cents"], 15750);
    assert_eq!(document["items"][0]["seat_code"], "A5");
    assert!(document["order"]["expires_at"].is_string());
    assert_eq!(document["tickets"], json!([]));

    app.settle(&document, PaymentStatus::Success).await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_nobody_calls_back_about_confirms_by_the_charges_own_answer() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    app.place(&order(&[5, 6])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_may_be_numbers_or_strings_of_digits_and_unknown_members_are_ignored() {
    let app = spawn().await;
    app.put_event(2147483647, "ON_SALE").await;
    app.peers.put_seats(2147483647, &[SeatSpec::priced(2147483647, "10")]).await.unwrap();
    for order_request in [
        order(&[]).with("seats", json!(["11", 12, "13"])),
        order(&[14])
            .user("101")
            .event("101")
            .with("coupon", json!({ "code": ["x"] }))
            .with("note", "é\u{1F3B6}"),
        order(&[2147483647]).user("2147483647").event(2147483647),
        order(&[1001]).user(1).event("104"),
    ] {
        app.place(&order_request).await.created().assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_type_may_have_parameters_and_any_case() {
    let app = spawn().await;
    for (seat, media_type) in [(21, "application/json; charset=utf-8"), (22, "Application/JSON")] {
        let order_request = order(&[seat]);
        let request = app.request(Method::POST, "/v1/orders").header("idempotency-key", &order_request.key);
        let request = request.header("content-type", media_type).body(order_request.body.to_string());
        request.send().await.created();
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_seats_are_allowed_unless_the_limit_is_another() {
    let app = spawn().await;
    let ten: Vec<i64> = (31..=40).collect();
    assert_eq!(app.place(&order(&ten)).await.created().tickets("seat_id").len(), 10);
    app.finish().await;

    let app = Spawn::new().variable("max_seats_per_order", "2").start().await;
    app.place(&order(&[1, 2, 3])).await.problem(422, "validation_failed");
    app.place(&order(&[1, 2])).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_currency_is_a_variable() {
    let app = Spawn::new().variable("currency", "USD").start().await;
    let document = app.place(&order(&[1])).await.created();
    assert_eq!(document["order"]["currency"], "USD");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticket_codes_are_long_random_and_carry_a_check_character() {
    let app = spawn().await;
    let mut codes = Vec::new();
    for first in [41, 51, 61] {
        let ten: Vec<i64> = (first..first + 10).collect();
        codes.extend(app.place(&order(&ten)).await.created().tickets("ticket_code"));
    }
    let numbers: Vec<u128> = codes.iter().map(|code| decode(code.as_str().unwrap())).collect();
    for (index, number) in numbers.iter().enumerate() {
        // Of 128 random bits about half differ; of a counter or of a time only a few do.
        for other in &numbers[index + 1..] {
            assert!((number ^ other).count_ones() > 20, "{codes:?}");
        }
    }
    app.finish().await;
}

/// Crockford's base32 with his check symbol.
fn decode(code: &str) -> u128 {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
    let place = |digit: u8| DIGITS.iter().position(|c| *c == digit).expect("a digit") as u128;
    let (digits, check) = code.strip_prefix("TKT-").expect("TKT-").split_at(26);
    let number = digits.bytes().fold(0u128, |number, digit| {
        assert!(place(digit) < 32, "{code}");
        number.checked_mul(32).expect("128 bits") + place(digit)
    });
    assert_eq!(check.bytes().map(place).collect::<Vec<_>>(), [number % 37], "{code}");
    number
}
