//! Callbacks about payments beside the order's own, when Payment cannot be asked: Payment does not send them again.

use crate::callback::pending;
use crate::refund::confirmed;
use crate::support::*;
use order_dev::peers::Payment;

/// What is remembered about an order's callbacks.
async fn remembered(app: &App, id: &str) -> Vec<Value> {
    let sql = "SELECT told_payment_id, attempts, due_at FROM payment_refunds WHERE payment_id IS NULL";
    app.store.rows(&format!("{sql} AND order_id = '{id}' ORDER BY id")).await
}

/// Another payment of the order, of which Payment tells in vain.
async fn paid_in_vain(app: &App, document: &Document) -> Payment {
    let settled = app.peers.second_payment(document.id(), PaymentStatus::Success, true).await.unwrap();
    let record = settled.callback.expect("a callback is sent");
    assert_eq!(record.status, Some(503), "{record:?}");
    settled.payment
}

async fn at_payment(app: &App, id: &str) -> Payment {
    let state = app.peers.state().await.unwrap();
    state.payments.into_iter().find(|payment| payment.id == id).expect("the payment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_payment_that_cannot_be_checked_is_remembered_and_goes_back() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    let second = paid_in_vain(&app, &document).await;
    let entries = app.journal(document.id()).await.len();
    app.sweep().await;
    // The next attempt waits for its time, however many callbacks come.
    app.store.run("UPDATE payment_refunds SET due_at = due_at + interval '5 minutes'").await;
    let waiting = remembered(&app, document.id()).await;
    assert_eq!((waiting.len(), &waiting[0]["told_payment_id"]), (1, &json!(second.id)), "{waiting:?}");
    for _ in 0..20 {
        let answer = app.call_back(document.id(), &second.id, "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
    }
    app.sweep().await;
    assert_eq!(remembered(&app, document.id()).await, waiting);
    assert_eq!(app.journal(document.id()).await.len(), entries);
    assert_eq!(app.read(document.id()).await, document);

    app.remove_fault(fault).await;
    app.quiesce().await;
    let second = at_payment(&app, &second.id).await;
    assert_eq!((second.status, second.taken, second.returned), (PaymentStatus::Refunded, 1, 1));
    assert!(remembered(&app, document.id()).await.is_empty());
    let journal = app.journal(document.id()).await;
    assert_eq!(journal.iter().filter(|entry| entry["type"] == "second_payment").count(), 1);
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_payment_that_cannot_be_checked_confirms_an_order_whose_own_is_undecided_or_failed() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let undecided = pending(&app, &[1]).await;
    app.set_payment_mode(Mode::Decline).await;
    let id = app.place(&order(&[2])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let declined = app.read(&id).await;
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    let [first, second] = [paid_in_vain(&app, &undecided).await, paid_in_vain(&app, &declined).await];
    app.remove_fault(fault).await;
    app.quiesce().await;
    let confirmed = app.read(undecided.id()).await;
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed.payment_id(), first.id);
    let paid_back = app.read(&id).await;
    paid_back.assert_is("FAILED", "done");
    assert_eq!((paid_back.payment_id(), &paid_back["payment"]["status"]), (&*second.id, &json!("REFUNDED")));
    app.finish().await;
}

/// The failed one may have succeeded: Payment told so, could not be asked, and does not tell again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_payment_in_doubt_is_asked_about_when_another_one_has_replaced_it() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let id = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let declined = app.read(&id).await;
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    let taken = app.peers.settle(&id, PaymentStatus::Success).await.unwrap();
    assert_eq!(taken.callback.expect("a callback is sent").status, Some(503));
    app.store.run("UPDATE orders SET watch_at = watch_at + interval '10 minutes'").await;
    app.remove_fault(fault).await;

    let second = app.peers.second_payment(&id, PaymentStatus::Success, true).await.unwrap();
    app.expire_waits().await;
    app.quiesce().await;
    for payment in [declined.payment_id(), &second.payment.id] {
        let payment = at_payment(&app, payment).await;
        assert_eq!((payment.status, payment.taken, payment.returned), (PaymentStatus::Refunded, 1, 1));
    }
    app.read(&id).await.assert_is("FAILED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anybody_may_send_is_bounded_and_forgotten_when_payment_does_not_know_it() {
    let app = spawn().await;
    let [document, other] = [confirmed(&app, &[1]).await, confirmed(&app, &[2]).await];
    let fault = app.fault(FaultRule::on(CallName::Payment, fail(503)).always()).await;
    let call_back = async |payment: &str| {
        let answer = app.call_back(document.id(), payment, "SUCCESS").await;
        answer.problem_of_order(503, "peer_unavailable");
    };
    // One that there is, but of another order.
    call_back(other.payment_id()).await;
    // No payment's id: it would take the place of the charge's check.
    call_back(document.id()).await;
    assert_eq!(remembered(&app, document.id()).await.len(), 1);
    for n in 0..30 {
        call_back(&format!("01980000-0000-7000-8000-{n:012}")).await;
    }
    assert_eq!(remembered(&app, document.id()).await.len(), 8);
    app.remove_fault(fault).await;
    app.quiesce().await;
    assert!(remembered(&app, document.id()).await.is_empty());
    assert_eq!([app.read(document.id()).await, app.read(other.id()).await], [document, other]);
    app.finish().await;
}
