//! A callback about another payment overtakes the charge, which may have made one that nobody knows.

use tokio::task::JoinHandle;

use crate::callback::applied;
use crate::stuck::with_operator;
use crate::support::*;
use crate::validation::pointers;
use order_dev::peers::Payment;

/// Longer than the deadline of a charge.
const TOO_LONG_MS: u64 = 9_000;
/// Longer than any test.
const NEVER_MS: u64 = 3_600_000;

async fn silent() -> App {
    Spawn::new().payment_mode(Mode::Silent).start().await
}

/// The payment that the order's charge has made.
pub async fn charged(app: &App, id: &str) -> Payment {
    eventually("the charge is made", async || {
        let payments = app.peers.state().await.unwrap().payments;
        payments.into_iter().find(|payment| payment.order_id == id && !payment.charged_elsewhere)
    })
    .await
}

/// Another payment of the order succeeds, and its callback confirms the order.
async fn paid_elsewhere(app: &App, id: &str) -> Payment {
    let settled = app.peers.second_payment(id, PaymentStatus::Success, true).await.unwrap();
    let record = settled.callback.expect("a callback is sent");
    assert_eq!(record.status, Some(200), "{record:?}");
    assert_eq!(record.answer["order"]["status"], "CONFIRMED", "{record:?}");
    settled.payment
}

/// The order keeps the payment of the callback, and what its charge made goes back once.
async fn goes_back(app: &App, id: &str, kept: &Payment) {
    app.quiesce().await;
    let document = app.read(id).await;
    document.assert_is("CONFIRMED", "done");
    assert_eq!(document.payment_id(), kept.id);
    let charged = charged(app, id).await;
    assert_eq!((charged.status, charged.taken, charged.returned), (PaymentStatus::Refunded, 1, 1));
}

/// An order whose charge is under way. With the request that places it.
pub async fn under_way(app: &App, seat: i64, ms: u64) -> (String, JoinHandle<()>) {
    let fault = app.fault(stall(CallName::Charge, ms, Moment::Before).seat(seat)).await;
    let (client, order_request) = (app.detached_client(0), order(&[seat]));
    let wanted = order_request.clone();
    let placed = tokio::spawn(async move { drop(client.place(&wanted).await) });
    app.until_fault_hit(fault).await;
    let id = app.id_of(&order_request).await;
    charged(app, &id).await;
    (id, placed)
}

/// The charge has been under way for a while.
async fn for_a_while(app: &App, id: &str) {
    let sql = format!("UPDATE orders SET phase_since = phase_since - interval '5 seconds' WHERE id = '{id}'");
    app.store.run(&sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_without_an_answer_is_repeated_and_its_payment_goes_back() {
    let app = silent().await;
    for (seat, action) in
        (1..).zip([Action::LoseAnswer, garbage_with(502, "<html>", true), late_effect(500, 200)])
    {
        let fault = app.fault(FaultRule::on(CallName::Charge, action).always().seat(seat)).await;
        let document = app.place(&order(&[seat])).await.accepted();
        charged(&app, document.id()).await;
        let kept = paid_elsewhere(&app, document.id()).await;
        app.remove_fault(fault).await;
        goes_back(&app, document.id(), &kept).await;
    }
    let left = "SELECT count(*) FROM payment_refunds WHERE payment_id IS NULL";
    assert_eq!(app.store.count(left).await, 0);
    app.finish().await;
}

/// A callback about the payment that the charge has made, which took no money, is true, and changes nothing.
async fn is_known(app: &App, id: &str, made: &Payment, kept: &Payment) {
    for told in ["FAILED", "REFUNDED"] {
        let (note, confirmed) = applied(&app.call_back(id, &made.id, told).await);
        assert_eq!(note.as_deref(), Some("already processed"));
        assert_eq!((confirmed.status(), confirmed.payment_id()), ("CONFIRMED", &*kept.id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_made_without_money_is_known_before_its_answer_and_after() {
    let app = silent().await;
    for (seat, status) in (1..).zip([PaymentStatus::Failed, PaymentStatus::Refunded]) {
        app.set_payment_mode(Mode::Ends(status)).await;
        let fault = FaultRule::on(CallName::Charge, Action::LoseAnswer).always().seat(seat);
        let fault = app.fault(fault).await;
        let document = app.place(&order(&[seat])).await.accepted();
        let made = charged(&app, document.id()).await;
        let kept = paid_elsewhere(&app, document.id()).await;
        is_known(&app, document.id(), &made, &kept).await;
        app.remove_fault(fault).await;
        app.quiesce().await;
        is_known(&app, document.id(), &made, &kept).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_has_no_answer_after_it_was_overtaken_is_repeated_too() {
    let app = silent().await;
    let (id, placed) = under_way(&app, 1, TOO_LONG_MS).await;
    let kept = paid_elsewhere(&app, &id).await;
    placed.await.unwrap();
    goes_back(&app, &id, &kept).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_is_answered_after_it_was_overtaken_is_not_repeated() {
    let app = silent().await;
    let (id, placed) = under_way(&app, 1, 2_000).await;
    for_a_while(&app, &id).await;
    let kept = paid_elsewhere(&app, &id).await;
    placed.await.unwrap();
    goes_back(&app, &id, &kept).await;
    assert_eq!(app.calls("payment.charge").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_whose_process_died_when_it_was_overtaken_is_repeated() {
    let mut app = silent().await;
    let (id, placed) = under_way(&app, 1, NEVER_MS).await;
    for_a_while(&app, &id).await;
    let kept = paid_elsewhere(&app, &id).await;
    app.hosts[0].kill();
    app.peers.clear_calls().await.unwrap();
    app.hosts[0].start_again().await.unwrap();
    placed.await.unwrap();
    goes_back(&app, &id, &kept).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_of_a_charge_that_never_has_an_answer_and_can_say_what_it_made() {
    let mut app = with_operator(Mode::Silent).await;
    let fault = FaultRule::on(CallName::Charge, garbage_with(503, "<html>", true)).always();
    app.fault(fault).await;
    for (seat, word) in (1..).zip(["not_taken", "taken"]) {
        let document = app.place(&order(&[seat])).await.accepted();
        let made = charged(&app, document.id()).await;
        paid_elsewhere(&app, document.id()).await;
        eventually("it is parked", async || {
            app.expire_waits().await;
            app.sweep().await;
            (app.stuck().await.orders.len() == 1).then_some(())
        })
        .await;
        let listed = app.stuck().await.orders.remove(0);
        assert_eq!((&listed["order_id"], &listed["why"]), (&json!(document.id()), &json!("second_payment")));
        let resolve = async |body: Value| {
            let path = format!("/internal/orders/{}/resolve", document.id());
            app.operator(Method::POST, &path).json(&body).send().await
        };
        if word == "not_taken" {
            // It is the buyer's word against Payment's: what is there all the same goes back when Payment tells of it.
            resolve(json!({ "payment": word })).await.document(200).assert_is("CONFIRMED", "done");
            let told = app.call_back(document.id(), &made.id, "SUCCESS").await;
            assert_eq!(told.json(200)["note"], "second payment refunded");
        } else {
            let nameless = resolve(json!({ "payment": word })).await;
            assert_eq!(pointers(&nameless.problem(422, "validation_failed")), ["#/payment_id"]);
            let named = json!({ "payment": word, "payment_id": made.id, "reason": "seen in the ledger" });
            resolve(named).await.document(200).assert_is("CONFIRMED", "done");
        }
        assert!(app.stuck().await.orders.is_empty());
        assert_eq!(
            resolve(json!({ "payment": "not_taken" })).await.problem_of_order(409, "order_not_resolvable"),
            document.id()
        );
        let journal = app.journal(document.id()).await;
        assert!(journal.iter().any(|entry| entry["type"] == "resolved" && entry["actor"] == "operator"));
        app.quiesce().await;
        let made = charged(&app, document.id()).await;
        assert_eq!((made.status, made.returned), (PaymentStatus::Refunded, 1));
    }
    app.expect_errors_in_the_log();
    app.finish().await;
}
