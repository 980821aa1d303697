//! Parked orders and dead letters: they alert the operator, and recover when the peer is back.

use crate::metrics::scrape;
use crate::refund::confirmed;
use crate::support::*;

const PARKED: &str = "order_service_orders_parked";

/// A service with an operator.
pub async fn with_operator(mode: Mode) -> App {
    Spawn::new().variable("internal_token", TOKEN).payment_mode(mode).start().await
}

/// The fifteenth attempt in the order's phase is due, and a sweep makes it.
pub async fn fifteenth_attempt(app: &App, id: &str) {
    let due = "attempts = 14, due_at = timezone('utc', clock_timestamp())";
    app.store.run(&format!("UPDATE orders SET {due} WHERE id = '{id}'")).await;
    app.sweep().await;
}

/// The log's error lines about this order.
async fn errors_about(app: &App, id: &str) -> Vec<Value> {
    let lines = app.hosts[0].log_lines();
    logs::errors(&lines).into_iter().filter(|line| line["order_id"] == id).cloned().collect()
}

/// The operator is told of this order, once, in every way there is.
async fn is_told(app: &App, id: &str, status: &str, phase: &str) {
    let journal = app.journal(id).await;
    let entry = journal.last().expect("a journal");
    assert_eq!((&entry["type"], &entry["actor"]), (&json!("parked"), &json!("sweep")), "{journal:?}");
    let reason = entry["data"]["reason"].as_str().expect("a reason");

    let stuck = app.stuck().await;
    assert_eq!((stuck.orders.len(), stuck.messages.len()), (1, 0), "{stuck:?}");
    let listed = &stuck.orders[0];
    assert_eq!(
        (&listed["order_id"], &listed["why"], &listed["status"], &listed["phase"], &listed["attempts"]),
        (&json!(id), &json!("no_answer"), &json!(status), &json!(phase), &json!(15)),
    );
    assert_eq!((&listed["reason"], &listed["since"]), (&json!(reason), &entry["at"]));

    assert_eq!(scrape(app).await.get(PARKED), Some(&1.0));
    let error = eventually("an error is logged", async || errors_about(app, id).await.pop()).await;
    assert_eq!(error["message"], "an order needs a person");
}

/// It is tried again, in vain, and nobody is told a second time.
async fn is_told_once(app: &App, id: &str) {
    let parked_since = app.stuck().await.orders[0]["since"].clone();
    app.store
        .run("UPDATE orders SET due_at = timezone('utc', clock_timestamp()) WHERE phase <> 'done'")
        .await;
    app.sweep().await;
    let journal = app.journal(id).await;
    let parked = journal.iter().find(|entry| entry["type"] == "parked").expect("an entry");
    assert!(parked.get("count").is_none(), "{journal:?}");
    let attempt = journal.iter().rev().find(|entry| entry["type"] == "no_answer").expect("an entry");
    let last = attempt.get("last_at").unwrap_or(&attempt["at"]);
    assert!(last.as_str() > parked["at"].as_str(), "it is tried again: {journal:?}");
    let stuck = app.stuck().await;
    assert_eq!((stuck.orders.len(), &stuck.orders[0]["since"]), (1, &parked_since), "{stuck:?}");
    assert_eq!(errors_about(app, id).await.len(), 1);
}

/// The peer is back: the order goes on by itself, and the operator's list is empty.
async fn heals(mut app: App, id: &str, outcome: Outcome) {
    app.peers.clear_faults().await.unwrap();
    app.quiesce().await;
    assert_eq!(app.outcome(id).await, outcome);
    assert!(app.stuck().await.orders.is_empty());
    assert_eq!(scrape(&app).await.get(PARKED), Some(&0.0));
    app.expect_errors_in_the_log();
    app.finish().await;
}

async fn is_parked_and_heals(app: App, id: &str, status: &str, phase: &str, outcome: Outcome) {
    app.read(id).await.assert_is(status, phase);
    assert!(app.stuck().await.orders.is_empty(), "a few attempts are nothing to tell of");
    fifteenth_attempt(&app, id).await;
    app.read(id).await.assert_is(status, phase);
    is_told(&app, id, status, phase).await;
    is_told_once(&app, id).await;
    heals(app, id, outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_seating_does_not_reserve_is_parked() {
    let app = with_operator(Mode::Succeed).await;
    app.take_peer_down(Peer::Seating).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    is_parked_and_heals(app, &id, "PENDING", "reserving", Outcome::confirmed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_payment_does_not_charge_is_parked() {
    let app = with_operator(Mode::Succeed).await;
    app.take_peer_down(Peer::Payment).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    is_parked_and_heals(app, &id, "PENDING", "charging", Outcome::confirmed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_payment_cannot_be_asked_about_is_parked() {
    let app = with_operator(Mode::Pending).await;
    let document = app.place(&order(&[1])).await.created();
    app.take_peer_down(Peer::Payment).await;
    app.store.expire(document.id()).await;
    app.sweep().await;
    let outcome = Outcome::cancelled(Some(PaymentStatus::Pending));
    is_parked_and_heals(app, document.id(), "PENDING", "awaiting_payment", outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_seating_does_not_allocate_is_parked() {
    let app = with_operator(Mode::Silent).await;
    app.fault(FaultRule::on(CallName::Allocate, fail(500)).always()).await;
    let document = app.place(&order(&[1])).await.created();
    is_parked_and_heals(app, document.id(), "PENDING", "allocating", Outcome::confirmed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_refund_payment_refuses_is_parked() {
    let app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    app.fault(FaultRule::on(CallName::Refund, Action::Refuse).always()).await;
    app.refund(document.id()).await.document(202);
    is_parked_and_heals(app, document.id(), "CONFIRMED", "refunding", Outcome::refunded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_seats_seating_does_not_release_is_parked() {
    let app = with_operator(Mode::Decline).await;
    app.fault(FaultRule::on(CallName::Release, fail(500)).always()).await;
    let id = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    is_parked_and_heals(app, &id, "FAILED", "releasing", Outcome::declined()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_ends_the_operators_worry_before_the_order_is_done() {
    let mut app = with_operator(Mode::Silent).await;
    app.take_peer_down(Peer::Payment).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    fifteenth_attempt(&app, &id).await;
    is_told(&app, &id, "PENDING", "charging").await;
    // Payment is back, and now Seating does not allocate.
    app.take_peer_up(Peer::Payment).await;
    app.fault(FaultRule::on(CallName::Allocate, fail(500)).always()).await;
    app.expire_waits().await;
    app.sweep().await;
    app.read(&id).await.assert_is("PENDING", "allocating");
    assert!(app.stuck().await.orders.is_empty());
    app.peers.clear_faults().await.unwrap();
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_sweeps_is_listed() {
    let app = with_operator(Mode::Succeed).await;
    app.take_peer_down(Peer::Payment).await;
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    app.store.block_claims("11 minutes").await;
    let stuck = app.stuck().await;
    assert_eq!(stuck.orders.len(), 1, "{stuck:?}");
    let listed = &stuck.orders[0];
    assert_eq!((&listed["order_id"], &listed["why"]), (&json!(id), &json!("overdue")));
    assert_eq!((&listed["status"], &listed["phase"]), (&json!("PENDING"), &json!("charging")));
    app.store.unblock_claims().await;
    app.take_peer_up(Peer::Payment).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_all_is_well_the_list_is_empty() {
    let app = with_operator(Mode::Succeed).await;
    app.set_payment_mode_of_user(13, Mode::Pending).await;
    app.set_payment_mode_of_user(14, Mode::Decline).await;
    confirmed(&app, &[1]).await;
    app.place(&order(&[2]).user(13)).await.created();
    app.place(&order(&[3]).user(14)).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let list = app.operator(Method::GET, "/internal/stuck").send().await.json(200);
    assert_eq!(list, json!({ "orders": [], "messages": [], "truncated": false }));
    app.finish().await;
}
