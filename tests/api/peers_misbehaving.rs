//! Peers that answer nonsense: a clear error or a retry, never a panic, never a wrong charge.

use futures::future::join_all;

use crate::support::*;

/// What any endpoint may answer instead of what it should.
fn nonsense() -> Vec<Action> {
    let huge = format!("\"{}\"", "x".repeat(3 << 20));
    let nested = "[".repeat(20_000);
    let bodies = [
        "",
        "<html><body>Sign in to the guest network</body></html>",
        "{",
        r#"{"id": 1, "reservedSeats": [{"id": 1, "pri"#,
        "null",
        "[]",
        "{}",
        "\"OK\"",
        r#"{"error":"something went wrong"}"#,
        r#"{"success":false,"message":"something went wrong"}"#,
        &huge,
        &nested,
    ];
    let mut all: Vec<Action> = bodies.iter().map(|body| garbage(body, false)).collect();
    all.push(garbage_with(302, "", false));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sensible_answer_of_catalog_no_order_is_stored() {
    let app = Spawn::new().variable("catalog_cache_seconds", "0").start().await;
    let mut actions = nonsense();
    actions.extend([
        Action::LoseAnswer,
        fail(500),
        Action::Fail { status: 503, body: Some("<html>".into()) },
        stall(CallName::Event, 3000, Moment::Before).action,
        Action::Patch(json!({ "status": null })),
        Action::Patch(json!({ "status": 7 })),
    ]);
    for action in actions {
        // A question whose connection broke is repeated once, every other one is not.
        let times = if matches!(action, Action::LoseAnswer) { 2 } else { 1 };
        app.fault(FaultRule::on(CallName::Event, action.clone()).times(times)).await;
        let answer = app.place(&order(&[1])).await;
        answer.problem(503, "peer_unavailable");
        answer.retry_after();
        assert_eq!(app.store.count("SELECT count(*) FROM orders").await, 0, "{action:?}");
    }
    app.place(&order(&[1])).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_from_reserve_never_costs_a_wrong_amount() {
    let app = spawn().await;
    let mut actions = nonsense();
    actions.extend(nonsense().into_iter().map(|action| match action {
        Action::Garbage { body, content_type, status, .. } => {
            Action::Garbage { body, content_type, status, effect: true }
        }
        other => other,
    }));
    let first = |change: Value| Action::Patch(json!({ "reservedSeats": { "0": change } }));
    actions.extend([
        first(json!({ "price": -5 })),
        first(json!({ "price": -0.01 })),
        first(json!({ "price": 12.345 })),
        first(json!({ "price": 1_000_000_000_000_i64 })),
        first(json!({ "price": 1e300 })),
        first(json!({ "price": null })),
        first(json!({ "price": "free" })),
        first(json!({ "price": [150] })),
        first(json!({ "price_cents": -1 })),
        first(json!({ "price_cents": 1.5 })),
        first(json!({ "price_cents": 9_223_372_036_854_775_807_i64 })),
        first(json!({ "price_cents": "many" })),
        first(json!({ "id": 499 })),
        first(json!({ "id": null })),
        first(json!({ "id": "not a number" })),
        first(Value::Null),
        Action::Patch(json!({ "reservedSeats": null })),
        Action::Patch(json!({ "reservedSeats": [] })),
        Action::Patch(json!({ "reservedSeats": "A1" })),
        Action::Patch(json!({ "success": false })),
    ]);
    let mut order_requests = Vec::new();
    for (n, action) in (0..).zip(&actions) {
        let (first, second) = (1 + 2 * n, 2 + 2 * n);
        app.peers
            .put_seats(101, &[SeatSpec::priced(first, "150.00"), SeatSpec::priced(second, "150.00")])
            .await
            .unwrap();
        app.fault(FaultRule::on(CallName::Reserve, action.clone()).seat(first)).await;
        order_requests.push(order(&[first, second]));
    }
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    app.quiesce().await;
    for (n, answer) in answers.iter().enumerate() {
        assert!([201, 202, 409, 422].contains(&answer.status), "{:?}: {answer:?}", actions[n]);
        let body = answer.json_body();
        let id = body["order"]["id"].as_str().or(body["order_id"].as_str()).expect("an order");
        let document = app.read(id).await;
        assert!(["CONFIRMED", "FAILED"].contains(&document.status()), "{:?}: {document:?}", actions[n]);
        if document.status() == "CONFIRMED" {
            assert_eq!(document["order"]["total_cents"], 31500, "{:?}", actions[n]);
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_has_no_usable_price_is_never_charged_for() {
    let app = spawn().await;
    let prices =
        ["-5", "-0.01", "12.345", "0.001", "1000000000000", "1e300", "null", "\"free\"", "{}", "1e-7"];
    for (seat, price) in (1..).zip(prices) {
        app.put_seat(SeatSpec::priced(seat, price)).await;
        let answer = app.place(&order(&[seat])).await;
        assert!([202, 422].contains(&answer.status), "{price}: {answer:?}");
        let body = answer.json_body();
        let id = body["order"]["id"].as_str().or(body["order_id"].as_str()).expect("an order").to_owned();
        // Asked again and again it stays as it is, until the order's time is over.
        app.sweep().await;
        app.expire_waits().await;
        app.sweep().await;
        if answer.status == 202 {
            app.store.expire(&id).await;
        }
        app.quiesce().await;
        let document = app.read(&id).await;
        assert!(["FAILED", "CANCELLED"].contains(&document.status()), "{price}: {document:?}");
    }
    let state = app.peers.state().await.unwrap();
    assert!(state.payments.is_empty(), "{:?}", state.payments);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_from_charge_charges_once_and_the_right_amount() {
    let app = Spawn::new().payment_mode(Mode::Silent).start().await;
    app.never_fail_overlapping_reserves().await;
    let stranger = "01980000-0000-7000-8000-00000000000f";
    let mut actions = nonsense();
    actions.extend([
        garbage("<html>", true),
        garbage("{", true),
        Action::Patch(json!({ "id": null })),
        Action::Patch(json!({ "id": "not a uuid" })),
        Action::Patch(json!({ "status": "PERHAPS" })),
        Action::Patch(json!({ "status": null })),
        Action::Patch(json!({ "amount_cents": 1 })),
        Action::Patch(json!({ "amount_cents": -15750 })),
        Action::Patch(json!({ "currency": "USD" })),
        Action::Patch(json!({ "merchant_order_id": stranger })),
    ]);
    let mut order_requests = Vec::new();
    for (seat, action) in (1..).zip(&actions) {
        app.put_seat(SeatSpec::priced(seat, "150.00")).await;
        app.fault(FaultRule::on(CallName::Charge, action.clone()).seat(seat)).await;
        order_requests.push(order(&[seat]));
    }
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    app.quiesce().await;
    // A payment with an unfamiliar status is undecided: Payment is asked when the time to pay is over.
    let undecided = "SELECT id::text FROM orders WHERE phase = 'awaiting_payment'";
    let undecided = app.store.rows(undecided).await;
    assert_eq!(undecided.len(), 1, "{undecided:?}");
    app.store.expire(undecided[0]["id"].as_str().unwrap()).await;
    app.quiesce().await;
    for (answer, action) in answers.iter().zip(&actions) {
        let document = app.read(answer.created_or_accepted().id()).await;
        assert_eq!((document.status(), document.phase()), ("CONFIRMED", "done"), "{action:?}");
        assert_eq!(document["payment"]["amount_cents"], 15750, "{action:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_to_questions_is_asked_again() {
    let app = spawn().await;
    for (seat, action) in (1..).zip(nonsense()) {
        for call in [CallName::Reserve, CallName::Allocate] {
            app.fault(FaultRule::on(call, Action::LoseAnswer).seat(seat)).await;
        }
        // An empty list is what Seating says when nothing is allocated: a true answer to that question.
        let is_an_answer = matches!(&action, Action::Garbage { body, .. } if body == "[]");
        app.fault(FaultRule::on(CallName::Seat, action.clone()).seat(seat)).await;
        if !is_an_answer {
            app.fault(FaultRule::on(CallName::OrderSeats, action).seat(seat)).await;
        }
    }
    let order_requests: Vec<OrderRequest> = (1..).take(nonsense().len()).map(|seat| order(&[seat])).collect();
    let answers = join_all(order_requests.iter().map(|order_request| app.place(order_request))).await;
    app.quiesce().await;
    for answer in answers {
        app.read(answer.created_or_accepted().id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_may_come_as_strings_and_further_members_are_ignored() {
    let app = spawn().await;
    let mut catalog = json!({ "id": "101", "more": { "of": ["this"] } });
    catalog["venue"] = json!({ "id": "1" });
    app.fault(FaultRule::on(CallName::Event, Action::Patch(catalog)).always()).await;
    let seats = json!({ "0": { "id": "1", "eventId": "101", "reservedBy": "101", "colour": "red" } });
    let reserve = Action::Patch(json!({ "reservedSeats": seats, "totalPrice": "300.00" }));
    app.fault(FaultRule::on(CallName::Reserve, reserve)).await;
    let charge = Action::Patch(json!({ "amount_cents": "31500", "fee": { "cents": 3 } }));
    app.fault(FaultRule::on(CallName::Charge, charge)).await;
    app.place(&order(&[1, 2])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}
