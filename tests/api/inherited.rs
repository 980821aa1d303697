//! A database that the service before this one filled.

use crate::callback::applied;
use crate::support::*;

/// Its tables as its ORM made them, and what was in them.
pub const DATABASE: &str = "
    CREATE TABLE orders (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        idempotency_key text UNIQUE,
        user_id int, event_id int,
        status varchar(20) NOT NULL DEFAULT 'PENDING',
        tax_cents int NOT NULL DEFAULT 0, total_cents int NOT NULL DEFAULT 0,
        created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now()
    );
    CREATE TABLE order_items (
        id serial PRIMARY KEY, order_id uuid REFERENCES orders (id), seat_id int NOT NULL,
        seat_code text, seat_price_cents int NOT NULL DEFAULT 0
    );
    CREATE TABLE tickets (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), order_id uuid REFERENCES orders (id),
        seat_id int, ticket_code text UNIQUE, issued_at timestamp DEFAULT now()
    );
    INSERT INTO orders (id, idempotency_key, user_id, event_id, status, tax_cents, total_cents, created_at) VALUES
        ('00000000-0000-4000-8000-000000000001', 'old-1', 7, 101, 'CONFIRMED', 1500, 31500, '2025-01-02 03:04:05'),
        ('00000000-0000-4000-8000-000000000002', 'old-2', 8, 101, 'PENDING', 0, 0, '2025-01-02 03:04:06'),
        ('00000000-0000-4000-8000-000000000003', 'old-3', 9, 101, 'FAILED', 750, 15750, '2025-01-02 03:04:07'),
        -- Sold seat 1 a second time.
        ('00000000-0000-4000-8000-000000000004', NULL, 10, 101, 'CONFIRMED', 750, 15750, '2025-01-02 03:04:08'),
        ('00000000-0000-4000-8000-000000000005', 'old-5', NULL, NULL, 'CANCELLED', 0, 0, '2025-01-02 03:04:09'),
        ('00000000-0000-4000-8000-000000000006', 'old-6', 8, 101, 'PENDING', 750, 15750, '2025-01-02 03:04:10');
    INSERT INTO order_items (order_id, seat_id, seat_code, seat_price_cents) VALUES
        ('00000000-0000-4000-8000-000000000001', 1, 'A1', 15000),
        ('00000000-0000-4000-8000-000000000001', 2, 'A2', 15000),
        ('00000000-0000-4000-8000-000000000002', 3, 'A3', 15000),
        ('00000000-0000-4000-8000-000000000003', 4, 'A4', 15000),
        ('00000000-0000-4000-8000-000000000004', 1, NULL, 15000),
        ('00000000-0000-4000-8000-000000000006', 6, 'A6', 15000);
    INSERT INTO tickets (order_id, seat_id, ticket_code, issued_at) VALUES
        ('00000000-0000-4000-8000-000000000001', 1, 'TKT-1-OLD-A', '2025-01-02 03:05:00'),
        ('00000000-0000-4000-8000-000000000001', 2, 'TKT-1-OLD-B', '2025-01-02 03:05:00'),
        ('00000000-0000-4000-8000-000000000004', 1, 'TKT-4-OLD-A', '2025-01-02 03:06:00');
";

/// The id of an order in it.
pub fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-00000000000{number}")
}

/// A service with that database. On Seating, too, the seats are sold.
pub async fn inherited() -> App {
    let app = Spawn::new().inherited(DATABASE).start().await;
    for seat in [1, 2] {
        app.put_seat(seat_sold_to(seat, &id(1))).await;
    }
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inherited_orders_read_as_they_are_and_nothing_is_done_to_them() {
    let app = inherited().await;
    crate::metrics::assert_agrees(&app).await;
    let mut before = Vec::new();
    for (number, status, total) in [
        (1, "CONFIRMED", 31500),
        (2, "PENDING", 0),
        (3, "FAILED", 15750),
        (4, "CONFIRMED", 15750),
        (5, "CANCELLED", 0),
        (6, "PENDING", 15750),
    ] {
        let document = app.read(&id(number)).await;
        document.assert_is(status, "done");
        assert_eq!(document["order"]["total_cents"], total);
        assert_eq!(document["payment"], Value::Null);
        before.push(document);
    }
    let confirmed = &before[0];
    assert_eq!(confirmed["order"]["created_at"], "2025-01-02T03:04:05.000000Z");
    assert_eq!(
        (&confirmed["order"]["idempotency_key"], &confirmed["order"]["user_id"]),
        (&json!("old-1"), &json!(7))
    );
    assert_eq!(
        (&confirmed["order"]["tax_cents"], &confirmed["order"]["subtotal_cents"]),
        (&json!(1500), &json!(30000))
    );
    assert_eq!(confirmed["items"][1], json!({ "seat_id": 2, "seat_code": "A2", "seat_price_cents": 15000 }));
    assert_eq!(confirmed.tickets("ticket_code"), ["TKT-1-OLD-A", "TKT-1-OLD-B"]);
    assert_eq!(confirmed.tickets("issued_at")[0], "2025-01-02T03:05:00.000000Z");
    assert_eq!(before[3].tickets("ticket_code"), ["TKT-4-OLD-A"]);
    assert_eq!(before[3].tickets("status"), ["VALID"]);

    app.quiesce().await;
    for (number, document) in (1..).zip(before) {
        assert_eq!(app.read(&id(number)).await, document);
    }
    app.assert_no_calls().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_was_sold_cannot_be_sold_again_and_others_can() {
    let app = inherited().await;
    // Whatever Seating believes of it.
    app.peers.put_seats(101, &[SeatSpec::priced(1, "150.00"), SeatSpec::priced(2, "150.00")]).await.unwrap();
    for seats in [&[1][..], &[2], &[2, 5], &[1, 2]] {
        app.place(&order(seats)).await.problem(409, "seats_unavailable");
    }
    assert_eq!(app.calls("seating.reserve").await, 0);
    // Those of pending and failed orders were never sold.
    app.place(&order(&[3, 4])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_key_is_still_in_use() {
    let app = inherited().await;
    let answer = app.place(&order(&[1, 2]).user(7).key("old-1")).await;
    assert!(answer.is_replayed());
    assert_eq!(answer.created().id(), id(1));
    app.place(&order(&[1, 2]).user(8).key("old-1")).await.problem(422, "idempotency_key_reused");
    app.place(&order(&[9]).user(7).key("old-1")).await.problem(422, "idempotency_key_reused");
    let failed = app.place(&order(&[4]).user(9).key("old-3")).await;
    assert!(failed.is_replayed());
    let code = failed.json_body()["code"].as_str().expect("a problem").to_owned();
    assert_eq!(failed.problem_of_order(failed.status, &code), id(3));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_for_an_inherited_order_does_no_harm() {
    let app = inherited().await;
    let before = app.read(&id(1)).await;
    let payment = "01980000-0000-7000-8000-00000000000e";
    let (note, same) = applied(&app.call_back(&id(1), payment, "FAILED").await);
    assert_eq!((note.as_deref(), &same), (Some("already processed"), &before));
    assert_eq!(app.read(&id(1)).await, before);
    assert_eq!(app.calls("payment.payment").await, 0);
    app.finish().await;
}

/// Payment takes the money for an inherited order, and tells so.
pub async fn pay(app: &App, number: u8) {
    let charge = json!({ "merchant_order_id": id(number), "amount_cents": 15750, "currency": "INR" });
    app.charge_directly(&id(number), &charge).await;
    app.quiesce().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_that_is_paid_after_all_gets_its_seats() {
    let app = inherited().await;
    app.put_seat(seat_of_somebody(6, SeatStatus::Reserved, 8)).await;
    pay(&app, 6).await;
    let confirmed = app.read(&id(6)).await;
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed.tickets("seat_id"), [6]);
    assert_eq!(confirmed["payment"]["status"], "SUCCESS");
    app.place(&order(&[6])).await.problem(409, "seats_unavailable");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_order_that_is_paid_after_its_seat_was_sold_is_paid_back() {
    let app = inherited().await;
    let buyer = app.place(&order(&[6])).await.created();
    pay(&app, 6).await;
    let paid_back = app.read(&id(6)).await;
    assert_eq!(paid_back["payment"]["status"], "REFUNDED");
    assert_eq!((paid_back.phase(), &paid_back["tickets"]), ("done", &json!([])));
    assert_ne!(paid_back.status(), "CONFIRMED");
    app.read(buyer.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

/// Not every installation has the defaults of the ORM. What was to be paid is not known, and no rule says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_of_money_for_an_inherited_order_without_a_total() {
    let unknown = DATABASE.replace("cents int NOT NULL DEFAULT 0", "cents int").replace(
        "(id, idempotency_key, user_id, event_id, status, tax_cents, total_cents, created_at) VALUES",
        "(id, idempotency_key, user_id, event_id, status, tax_cents, total_cents, created_at) VALUES
         ('00000000-0000-4000-8000-000000000007', 'old-7', 8, 101, 'PENDING', NULL, NULL, '2025-01-02 03:04:11'),",
    );
    let spawn = Spawn::new().variable("internal_token", TOKEN).payment_mode(Mode::Silent);
    let mut app = spawn.inherited(&unknown).start().await;
    let before = app.read(&id(7)).await;
    before.assert_is("PENDING", "done");
    assert_eq!(before["order"]["total_cents"], Value::Null);
    pay(&app, 7).await;
    let payment = app.peers.state().await.unwrap().payments.pop().expect("a payment").id;
    let answer = app.call_back(&id(7), &payment, "SUCCESS").await;
    assert_eq!(answer.problem_of_order(403, "callback_rejected"), id(7));
    let heard = eventually("an operator hears of it", async || {
        app.sweep().await;
        app.stuck().await.orders.pop()
    })
    .await;
    assert_eq!((&heard["order_id"], &heard["why"]), (&json!(id(7)), &json!("second_payment")), "{heard}");
    assert_eq!(app.read(&id(7)).await, before);

    app.peers.settle_payment(&payment, &[], PaymentStatus::Refunded).await.unwrap();
    app.watch().await;
    assert!(app.stuck().await.orders.is_empty());
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inherited_database_without_anything_in_it_serves() {
    let (tables, _) = DATABASE.split_once("INSERT INTO orders").unwrap();
    let app = Spawn::new().inherited(tables).start().await;
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}
