//! Orders that cost nothing: they are confirmed without a charge, and Payment is never asked.

use crate::metrics::scrape;
use crate::support::*;

async fn placed(app: &App, seats: &[i64]) -> Document {
    for seat in seats {
        app.put_seat(SeatSpec::priced(*seat, "0.00")).await;
    }
    let document = app.place(&order(seats)).await.created();
    document.assert_is("CONFIRMED", "done");
    document
}

async fn never_asked(app: &App) {
    let counts = app.peers.calls().await.unwrap().counts;
    assert!(!counts.keys().any(|call| call.starts_with("payment.")), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_costs_nothing_is_confirmed_without_a_payment() {
    let app = spawn().await;
    let document = placed(&app, &[1, 2]).await;
    assert_eq!((&document["order"]["total_cents"], &document["payment"]), (&json!(0), &Value::Null));
    assert_eq!(document.tickets("status"), ["VALID", "VALID"]);
    app.quiesce().await;
    let gauges = scrape(&app).await;
    let violations = gauges.iter().filter(|(name, _)| name.starts_with("order_service_invariant_violations"));
    assert!(violations.map(|(_, value)| value).all(|value| *value == 0.0), "{gauges:?}");
    never_asked(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_refund_voids_the_tickets_and_frees_the_seats() {
    let app = spawn().await;
    let document = placed(&app, &[1]).await;
    let refunded = app.refund(document.id()).await.document(200);
    refunded.assert_is("REFUNDED", "done");
    assert_eq!((refunded.tickets("status"), &refunded["payment"]), (vec![json!("VOID")], &Value::Null));
    assert_eq!(app.refund(document.id()).await.document(200), refunded);
    assert_eq!(app.seat(1).await.status, SeatStatus::Available);
    never_asked(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_cancelled_while_its_seats_are_allocated_and_fails_when_they_are_lost() {
    let app = spawn().await;
    app.put_seat(SeatSpec::priced(1, "0")).await;
    let fault = app.fault(FaultRule::on(CallName::Allocate, Action::LoseRequest).always()).await;
    let document = app.place(&order(&[1])).await.created();
    document.assert_is("PENDING", "allocating");
    let cancelled = app.cancel(document.id()).await.document(200);
    assert_eq!(cancelled.status(), "CANCELLED");
    app.remove_fault(fault).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");

    app.put_seat(SeatSpec::priced(2, "0")).await;
    let fault = app.fault(FaultRule::on(CallName::Allocate, Action::LoseRequest).always()).await;
    let lost = app.place(&order(&[2])).await.created();
    app.put_seat(seat_of_somebody(2, SeatStatus::Allocated, 9)).await;
    app.remove_fault(fault).await;
    app.quiesce().await;
    let lost = app.read(lost.id()).await;
    lost.assert_is("FAILED", "done");
    assert_eq!(lost.failure(), Some("seats_unavailable"));
    never_asked(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_about_it_changes_nothing_and_asks_payment_nothing() {
    let app = spawn().await;
    let document = placed(&app, &[1]).await;
    for status in ["SUCCESS", "REFUNDED"] {
        app.call_back(document.id(), document.id(), status).await.problem_of_order(403, "callback_rejected");
    }
    assert_eq!(app.read(document.id()).await, document);
    never_asked(&app).await;
    app.finish().await;
}
