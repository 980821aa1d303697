//! A refund that Payment has accepted, and has not made after a day: it is asked for once more, and only watched then.

use crate::refund::confirmed;
use crate::second_payment::paid_again;
use crate::stuck::with_operator;
use crate::support::*;
use order_dev::peers::RefundMode;

/// An order's own refund, and that of a second payment of another order: the two orders, and their payments.
struct Accepted {
    orders: [Document; 2],
    payments: [String; 2],
}

async fn accepted(app: &App) -> Accepted {
    let orders = [confirmed(app, &[1]).await, confirmed(app, &[2]).await];
    app.peers.refund_mode(RefundMode::Accepted { after_ms: None }).await.unwrap();
    app.refund(orders[0].id()).await.document(202).assert_is("CONFIRMED", "refunding");
    let again = paid_again(app, &orders[1]).await;
    eventually("both are accepted", async || {
        app.sweep().await;
        (app.calls("payment.refund").await == 2).then_some(())
    })
    .await;
    let payments = [orders[0].payment_id().to_owned(), again.id];
    Accepted { orders, payments }
}

impl Accepted {
    /// The refunds are made at last, and nothing is left to tell an operator.
    async fn are_made(&self, mut app: App) {
        app.peers.clear_faults().await.unwrap();
        for payment in &self.payments {
            app.peers.settle_payment(payment, &[], PaymentStatus::Refunded).await.unwrap();
        }
        app.expire_waits().await;
        app.quiesce().await;
        app.read(self.orders[0].id()).await.assert_is("REFUNDED", "done");
        app.read(self.orders[1].id()).await.assert_is("CONFIRMED", "done");
        app.expect_errors_in_the_log();
        app.finish().await;
    }
}

/// So much time has passed since the refunds were accepted.
async fn days_pass(app: &App, days: u32) {
    for (table, column) in [("orders", "refund_again_at"), ("payment_refunds", "again_at")] {
        app.store.run(&format!("UPDATE {table} SET {column} = {column} - interval '{days} days'")).await;
    }
    sweep_all(app).await;
}

/// Everybody who waits with a back-off is due.
async fn sweep_all(app: &App) {
    app.expire_waits().await;
    app.sweep().await;
}

/// What an operator hears: the order, and why.
async fn told(app: &App) -> Vec<(String, String)> {
    let stuck = app.stuck().await;
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    let mut told: Vec<_> = stuck.orders.iter().map(|row| (text(row, "order_id"), text(row, "why"))).collect();
    told.sort();
    told
}

/// Both of them.
fn both(refunds: &Accepted) -> Vec<(String, String)> {
    let [own, other] = refunds.orders.each_ref().map(|order| order.id().to_owned());
    let mut both = vec![(own, "no_answer".to_owned()), (other, "second_payment".to_owned())];
    both.sort();
    both
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_asked_for_once_more_and_an_operator_hears_until_it_is_made() {
    let app = with_operator(Mode::Succeed).await;
    let refunds = accepted(&app).await;
    sweep_all(&app).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (2, vec![]));
    days_pass(&app, 1).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (4, both(&refunds)));
    // It is watched, however long that takes.
    for days in [1, 2, 400] {
        let asked = app.calls("payment.payment").await;
        days_pass(&app, days).await;
        assert_eq!(app.calls("payment.payment").await, asked + 2, "both are asked about");
        assert_eq!((app.calls("payment.refund").await, told(&app).await), (4, both(&refunds)));
    }
    // A redrive makes the next question earlier, and the operator goes on hearing of it.
    app.redrive(&json!({})).await;
    sweep_all(&app).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (4, both(&refunds)));
    refunds.are_made(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_more_without_an_answer_is_repeated_until_it_has_one() {
    let app = with_operator(Mode::Succeed).await;
    let refunds = accepted(&app).await;
    let fault = app.fault(FaultRule::on(CallName::Refund, fail(503)).always()).await;
    days_pass(&app, 1).await;
    sweep_all(&app).await;
    assert_eq!(app.calls("payment.refund").await, 6, "each is asked for twice more, without an answer");
    app.remove_fault(fault).await;
    sweep_all(&app).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (8, both(&refunds)));
    days_pass(&app, 2).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (8, both(&refunds)));
    refunds.are_made(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_an_answer_to_the_request_more() {
    let app = with_operator(Mode::Succeed).await;
    let refunds = accepted(&app).await;
    let body = json!({ "statusCode": 400, "message": "A refund is under way" });
    let refused = garbage_with(400, &body.to_string(), false);
    app.fault(FaultRule::on(CallName::Refund, refused).always()).await;
    days_pass(&app, 1).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (4, both(&refunds)));
    days_pass(&app, 2).await;
    assert_eq!((app.calls("payment.refund").await, told(&app).await), (4, both(&refunds)));
    refunds.are_made(app).await;
}
