//! The metrics of what must never be: zero while all is well, and not when somebody has tampered with the rows.

use crate::metrics::scrape;
use crate::refund::confirmed;
use crate::stuck::with_operator;
use crate::support::*;

const ALL: [&str; 5] =
    ["paid_without_ticket", "ticket_without_payment", "claim_of_dead_order", "refund_unknown", "overdue"];

/// Only these are violated, each once.
async fn violated(app: &App, expected: &[&str]) {
    let series = scrape(app).await;
    for invariant in ALL {
        let name = format!("order_service_invariant_violations{{invariant=\"{invariant}\"}}");
        let value = if expected.contains(&invariant) { 1.0 } else { 0.0 };
        assert_eq!(series.get(&name), Some(&value), "{invariant}: {series:?}");
    }
}

/// After `tamper` this is violated and listed; after `restore` it is not any more.
async fn shows(app: &App, id: &str, tamper: &str, invariant: &str, restore: &str) {
    violated(app, &[]).await;
    app.store.run(&format!("UPDATE orders SET {tamper} WHERE id = '{id}'")).await;
    violated(app, &[invariant]).await;
    let stuck = app.stuck().await;
    let listed: Vec<(&Value, &Value)> =
        stuck.orders.iter().map(|order| (&order["order_id"], &order["why"])).collect();
    assert_eq!(listed, [(&json!(id), &json!(invariant))]);
    app.store.run(&format!("UPDATE orders SET {restore} WHERE id = '{id}'")).await;
    violated(app, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_order_without_a_ticket_for_each_seat_shows() {
    let app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1, 2]).await;
    for tickets in ["valid_tickets = 0", "valid_tickets = 1", "valid_tickets = 3"] {
        shows(&app, document.id(), tickets, "paid_without_ticket", "valid_tickets = 2").await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_without_a_payment_shows() {
    let app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    let paid = "payment_status = 'SUCCESS'";
    for status in ["payment_status = 'REFUNDED'", "payment_status = 'FAILED'"] {
        shows(&app, document.id(), status, "ticket_without_payment", paid).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_dead_order_shows() {
    let app = with_operator(Mode::Decline).await;
    let id = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    shows(&app, &id, "claimed = 1", "claim_of_dead_order", "claimed = 0").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_unknown_fate_shows_after_a_minute() {
    let app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Refund, Action::LoseRequest).always()).await;
    app.refund(document.id()).await.document(202);
    violated(&app, &[]).await;
    let earlier = "requested_at = requested_at - interval '61 seconds'";
    app.store.run(&format!("UPDATE refunds SET {earlier}")).await;
    violated(&app, &["refund_unknown"]).await;
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    violated(&app, &[]).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_sweeps_shows_after_a_minute() {
    let app = with_operator(Mode::Succeed).await;
    app.take_peer_down(Peer::Payment).await;
    app.place(&order(&[1])).await.accepted();
    violated(&app, &[]).await;
    app.store.block_claims("61 seconds").await;
    violated(&app, &["overdue"]).await;
    app.store.unblock_claims().await;
    app.take_peer_up(Peer::Payment).await;
    app.quiesce().await;
    violated(&app, &[]).await;
    app.finish().await;
}
