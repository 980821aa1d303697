//! Orders that are paid twice: the first successful payment is the order's, every later one goes back once.

use crate::callback::{applied, pending};
use crate::metrics::scrape;
use crate::refund::confirmed;
use crate::stuck::with_operator;
use crate::support::*;
use order_dev::peers::{Payment, RefundMode};

/// Another payment of the order; the answer to its callback.
pub async fn paid_again(app: &App, document: &Document) -> Payment {
    let settled = app.peers.second_payment(document.id(), PaymentStatus::Success, true).await.unwrap();
    let record = settled.callback.expect("a callback is sent");
    assert_eq!(record.status, Some(200), "{record:?}");
    settled.payment
}

/// The payment as it is at Payment.
async fn at_payment(app: &App, id: &str) -> Payment {
    let state = app.peers.state().await.unwrap();
    state.payments.into_iter().find(|payment| payment.id == id).expect("the payment")
}

async fn types(app: &App, id: &str) -> Vec<String> {
    let journal = app.journal(id).await;
    journal.iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_succeeds_after_the_orders_own_goes_back_once() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let second = paid_again(&app, &document).await;
    for _ in 0..3 {
        let answer = app.call_back(document.id(), &second.id, "SUCCESS").await;
        let (note, same) = applied(&answer);
        assert_eq!(note.as_deref(), Some("second payment refunded"));
        assert_eq!((same.status(), same.payment_id()), ("CONFIRMED", document.payment_id()));
        app.quiesce().await;
    }
    let second = at_payment(&app, &second.id).await;
    assert_eq!((second.status, second.taken, second.returned), (PaymentStatus::Refunded, 1, 1));
    assert_eq!(app.calls("payment.refund").await, 1);
    let told = types(&app, document.id()).await;
    assert_eq!(told.iter().filter(|kind| *kind == "second_payment").count(), 1, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("second_payment_refunded"), "{told:?}");
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    assert_eq!(at_payment(&app, document.payment_id()).await.status, PaymentStatus::Success);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_payment_that_succeeds_replaces_one_that_is_undecided_or_failed() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    let second = paid_again(&app, &document).await;
    app.quiesce().await;
    let confirmed = app.read(document.id()).await;
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed.payment_id(), second.id);
    // The one that was undecided succeeds after all, and nobody tells of it.
    app.peers.settle_payment(document.payment_id(), &[], PaymentStatus::Success).await.unwrap();
    app.watch().await;
    assert_eq!(at_payment(&app, document.payment_id()).await.status, PaymentStatus::Refunded);
    app.read(document.id()).await.assert_is("CONFIRMED", "done");

    app.set_payment_mode(Mode::Decline).await;
    let id = app.place(&order(&[2])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let failed = app.read(&id).await;
    let late = paid_again(&app, &failed).await;
    app.quiesce().await;
    let paid_back = app.read(&id).await;
    paid_back.assert_is("FAILED", "done");
    assert_eq!((paid_back.payment_id(), &paid_back["payment"]["status"]), (&*late.id, &json!("REFUNDED")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_payment_that_was_replaced_is_remembered_and_goes_back_if_it_succeeds_after_all() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let id = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let failed = app.read(&id).await;
    paid_again(&app, &failed).await;
    app.quiesce().await;
    let paid_back = app.read(&id).await;
    app.peers.clear_calls().await.unwrap();
    for status in ["FAILED", "CANCELLED"] {
        let (note, same) = applied(&app.call_back(&id, failed.payment_id(), status).await);
        assert_eq!((note.as_deref(), &same), (Some("already processed"), &paid_back), "{status}");
    }
    assert_eq!(app.calls("payment.payment").await, 0);

    // It is not taken for paid on anybody's word.
    let (note, _) = applied(&app.call_back(&id, failed.payment_id(), "SUCCESS").await);
    assert_eq!(note.as_deref(), Some("already processed"));
    app.peers.settle_payment(failed.payment_id(), &[], PaymentStatus::Success).await.unwrap();
    let (note, _) = applied(&app.call_back(&id, failed.payment_id(), "SUCCESS").await);
    assert_eq!(note.as_deref(), Some("second payment refunded"));
    app.quiesce().await;
    let first = at_payment(&app, failed.payment_id()).await;
    assert_eq!((first.status, first.returned), (PaymentStatus::Refunded, 1));
    let told = types(&app, &id).await;
    assert_eq!(told.iter().filter(|kind| *kind == "second_payment").count(), 1, "{told:?}");
    app.read(&id).await.assert_is("FAILED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_back_whatever_happens_to_the_refund() {
    let app = spawn().await;
    for (seat, action) in (1..).zip([Action::LoseAnswer, Action::LoseRequest, fail(503), Action::Refuse]) {
        let document = confirmed(&app, &[seat]).await;
        app.fault(FaultRule::on(CallName::Refund, action).times(2)).await;
        let second = paid_again(&app, &document).await;
        app.quiesce().await;
        app.peers.clear_faults().await.unwrap();
        app.quiesce().await;
        let second = at_payment(&app, &second.id).await;
        assert_eq!((second.status, second.returned), (PaymentStatus::Refunded, 1));
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
    }
    app.finish().await;
}

/// It waits for its time then, whatever callbacks come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_undecided_counts_as_taken_once_its_refund_was_asked_for() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let second =
        app.peers.second_payment(document.id(), PaymentStatus::Pending, false).await.unwrap().payment;
    let (note, _) = applied(&app.call_back(document.id(), &second.id, "SUCCESS").await);
    assert_eq!(note.as_deref(), Some("payment still pending"));
    app.watch().await;
    app.peers.settle_payment(&second.id, &[], PaymentStatus::Success).await.unwrap();
    let fault = app.fault(FaultRule::on(CallName::Refund, fail(503)).always()).await;
    app.store.run("UPDATE payment_refunds SET due_at = timezone('utc', clock_timestamp())").await;
    app.sweep().await;
    app.store.run("UPDATE payment_refunds SET due_at = due_at + interval '5 minutes'").await;
    let row = "SELECT row(undecided, due_at, attempts)::text FROM payment_refunds";
    let waiting = app.store.value(row).await;
    assert!(waiting.as_str().unwrap().starts_with("(f,"), "{waiting}");
    let (note, _) = applied(&app.call_back(document.id(), &second.id, "SUCCESS").await);
    assert_eq!(note.as_deref(), Some("second payment refunded"));
    assert_eq!(app.store.value(row).await, waiting);
    app.remove_fault(fault).await;
    app.quiesce().await;
    assert_eq!(at_payment(&app, &second.id).await.returned, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_of_one_that_payment_does_not_know_and_can_settle_it() {
    let mut app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).after(1).always()).await;
    let second = paid_again(&app, &document).await;
    app.peers.forget_payment(&second.id, true).await.unwrap();
    app.remove_fault(fault).await;
    eventually("it is parked", async || {
        app.sweep().await;
        app.expire_waits().await;
        (app.stuck().await.orders.len() == 1).then_some(())
    })
    .await;
    let listed = app.stuck().await.orders.remove(0);
    assert_eq!((&listed["order_id"], &listed["why"]), (&json!(document.id()), &json!("second_payment")));
    assert_eq!(scrape(&app).await["order_service_second_payments"], 1.0);
    let word = json!({ "payment": "refunded", "payment_id": second.id, "reason": "paid out by hand" });
    let path = format!("/internal/orders/{}/resolve", document.id());
    app.operator(Method::POST, &path).json(&word).send().await.document(200).assert_is("CONFIRMED", "done");
    assert!(app.stuck().await.orders.is_empty());
    let journal = app.journal(document.id()).await;
    let entry = journal.last().expect("an entry");
    assert_eq!((&entry["type"], &entry["actor"]), (&json!("second_payment_refunded"), &json!("operator")));
    assert_eq!(entry["data"], json!({ "payment_id": second.id, "reason": word["reason"] }));
    let repeated = app.operator(Method::POST, &path).json(&word).send().await;
    assert_eq!(repeated.problem_of_order(409, "order_not_resolvable"), document.id());
    app.expect_errors_in_the_log();
    app.abandon().await;
}

async fn an_operator_hears_of_a_foreign_payment(app: &mut App) {
    eventually("an operator hears of it", async || {
        let lines = app.hosts[0].log_lines();
        let told = |line: &&Value| line["message"] == "a payment belongs to another order";
        logs::errors(&lines).into_iter().any(|line| told(&line)).then_some(())
    })
    .await;
    app.expect_errors_in_the_log();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_of_one_order_is_never_anothers() {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let [document, other] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    // Payment itself shows the other order's payment as this one's.
    let patch = json!({ "merchantOrderId": document.id(), "status": "SUCCESS" });
    app.fault(FaultRule::on(CallName::Payment, Action::Patch(patch))).await;
    let answer = app.call_back(document.id(), other.payment_id(), "SUCCESS").await;
    answer.problem_of_order(403, "callback_rejected");
    assert_eq!(app.read(document.id()).await, document);
    an_operator_hears_of_a_foreign_payment(&mut app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orders_that_take_one_payment_at_the_same_moment_one_has_it() {
    let mut app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let [document, other] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    let second =
        app.peers.second_payment(document.id(), PaymentStatus::Success, false).await.unwrap().payment;
    // What the other order's transition writes, and has not committed yet.
    let client = app.store.database().connect().await.unwrap();
    let take =
        |payment: &str| format!("UPDATE orders SET payment_id = '{payment}' WHERE id = '{}'", other.id());
    client.batch_execute(&format!("BEGIN; {}", take(&second.id))).await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let (answer, ()) = tokio::join!(app.call_back(document.id(), &second.id, "SUCCESS"), async {
        eventually("the order waits for the payment", async || {
            (app.store.count(waits).await > 0).then_some(())
        })
        .await;
        client.batch_execute("COMMIT").await.unwrap();
    });
    answer.problem_of_order(403, "callback_rejected");
    assert_eq!(app.read(document.id()).await, document);
    an_operator_hears_of_a_foreign_payment(&mut app).await;
    // It was this one's all along.
    app.store.run(&take(other.payment_id())).await;
    applied(&app.call_back(document.id(), &second.id, "SUCCESS").await);
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_payment_accepts_is_asked_about_and_asked_for_once() {
    let app = spawn().await;
    let [document, second] = [confirmed(&app, &[1]).await, confirmed(&app, &[2]).await];
    app.peers.refund_mode(RefundMode::Accepted { after_ms: None }).await.unwrap();
    app.refund(document.id()).await.document(202).assert_is("CONFIRMED", "refunding");
    let again = paid_again(&app, &second).await;
    for _ in 0..4 {
        app.expire_waits().await;
        app.sweep().await;
    }
    assert_eq!(app.calls("payment.refund").await, 2, "one each");
    let waiting = app.read(document.id()).await;
    waiting.assert_is("CONFIRMED", "refunding");
    assert_eq!(waiting.tickets("status"), ["VOID"]);
    let unknown = "order_service_invariant_violations{invariant=\"refund_unknown\"}";
    app.store.run("UPDATE refunds SET requested_at = requested_at - interval '1 hour'").await;
    assert_eq!(scrape(&app).await[unknown], 0.0, "it is known");

    // A day later it is asked for once more.
    app.store.run("UPDATE orders SET refund_again_at = timezone('utc', clock_timestamp()) WHERE refund_again_at IS NOT NULL").await;
    app.expire_waits().await;
    app.sweep().await;
    assert_eq!(app.calls("payment.refund").await, 3);
    let keys = "SELECT count(*) FROM orders WHERE parked_at IS NOT NULL";
    assert_eq!(app.store.count(keys).await, 1, "an operator hears of it");
    let of_second = "SELECT count(*) FROM payment_refunds WHERE parked_at IS NOT NULL";
    assert_eq!(app.store.count(of_second).await, 0);
    app.store.run("UPDATE payment_refunds SET again_at = timezone('utc', clock_timestamp())").await;
    app.expire_waits().await;
    app.sweep().await;
    assert_eq!(app.calls("payment.refund").await, 4, "the second payment's, too");
    assert_eq!(app.store.count(of_second).await, 1, "an operator hears of it");
    app.expire_waits().await;
    app.sweep().await;
    assert_eq!(app.calls("payment.refund").await, 4, "and it is asked about again");

    for payment in [document.payment_id(), &*again.id] {
        app.peers.settle_payment(payment, &[], PaymentStatus::Refunded).await.unwrap();
    }
    let mut app = app;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("REFUNDED", "done");
    app.expect_errors_in_the_log();
    app.finish().await;
}
