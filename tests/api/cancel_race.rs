//! The buyer gives up at the moment at which the money comes.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream;
use order_dev::peers::CallbackRecord;

use crate::support::*;

const ORDERS: i64 = 500;

/// An order and the two things that happen to it at once.
struct Race {
    id: String,
    cancel: Answer,
}

/// Who begins differs from order to order: the money, the callback, the cancel.
async fn race(app: &App, n: usize, document: Document) -> Race {
    let replica = n % app.hosts.len();
    let cancel = app.cancel_at(replica, document.id());
    let cancel = match n % 3 {
        0 => tokio::join!(cancel, taken(app, &document)).0,
        1 => tokio::join!(taken(app, &document), cancel).1,
        _ => {
            app.settle_silently(&document, PaymentStatus::Success).await;
            let callback = app.call_back(document.id(), document.payment_id(), "SUCCESS");
            let (callback, cancel) = tokio::join!(callback, cancel);
            assert_eq!(callback.status, 200, "{callback:?}");
            cancel
        }
    };
    Race { id: document.id().to_owned(), cancel }
}

/// The money is taken, and the callback with it.
async fn taken(app: &App, document: &Document) -> CallbackRecord {
    app.settle(document, PaymentStatus::Success).await
}

/// How often Payment paid back for each order.
async fn refunds(app: &App) -> BTreeMap<String, usize> {
    let calls = app.peers.calls().await.unwrap();
    let mut refunds = BTreeMap::new();
    for call in calls.of(CallName::Refund).filter(|call| matches!(call.status, Some(200 | 201))) {
        *refunds.entry(call.order_id.clone().expect("of an order")).or_default() += 1;
    }
    refunds
}

async fn all_race(replicas: usize) {
    let app = Spawn::new().payment_mode(Mode::Pending).replicas(replicas).start().await;
    let order_requests: Vec<OrderRequest> = (0..ORDERS).map(|n| order(&[3001 + n]).event(106)).collect();
    let placed =
        stream::iter(&order_requests).map(|order_request| app.place(order_request)).buffer_unordered(20);
    let documents: Vec<Document> = placed.map(|answer| answer.created()).collect().await;
    let races = stream::iter(documents.into_iter().enumerate());
    let races = races.map(|(n, document)| race(&app, n, document)).buffer_unordered(20);
    let races: Vec<Race> = races.collect().await;
    app.quiesce().await;

    let refunds = refunds(&app).await;
    let (mut confirmed, mut cancelled) = (0, 0);
    for Race { id, cancel } in &races {
        let outcome = app.outcome(id).await;
        // Who was told that the order is cancelled gets the money back; who was told that it is too late has tickets.
        if cancel.status == 200 {
            cancelled += 1;
            assert_eq!(cancel.document(200).status(), "CANCELLED");
            let paid_back = Outcome::cancelled(Some(PaymentStatus::Refunded));
            assert_eq!(outcome, paid_back.after_telling("ORDER_REFUNDED"));
            assert_eq!(refunds.get(id), Some(&1), "paid back once");
        } else {
            confirmed += 1;
            assert_eq!(cancel.problem_of_order(409, "order_not_cancellable"), *id);
            assert_eq!(outcome, Outcome::confirmed());
            assert_eq!(refunds.get(id), None);
        }
    }
    println!("{confirmed} confirmed, {cancelled} cancelled");
    assert_eq!(confirmed + cancelled, ORDERS);
    crate::metrics::assert_agrees(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_success_at_once_500_times_end_either_confirmed_or_cancelled_and_refunded() {
    all_race(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_success_at_once_at_two_copies_end_in_the_same_way() {
    all_race(2).await;
}

/// Cancels an order as soon as it is stored.
async fn cancel_soon(app: &App, order_request: &OrderRequest) -> (String, Answer) {
    let sql = format!("SELECT id FROM orders WHERE idempotency_key = '{}'", order_request.key);
    let id = eventually("the order is stored", async || {
        let id = app.store.rows(&sql).await.pop()?["id"].as_str()?.to_owned();
        Some(id)
    })
    .await;
    let answer = app.cancel(&id).await;
    (id, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_while_the_order_is_still_being_placed_ends_confirmed_or_without_money() {
    let app = Spawn::new().replicas(2).start().await;
    for (user, mode) in [(11, Mode::Succeed), (12, Mode::Silent), (13, Mode::Pending), (14, Mode::Decline)] {
        app.set_payment_mode_of_user(user, mode).await;
    }
    let mut order_requests = Vec::new();
    for n in 0..100 {
        // So slow that the cancel meets it at every step, and before and after its effect.
        let call = [CallName::Reserve, CallName::Charge, CallName::Allocate, CallName::Seat][n % 4];
        let effect = if n / 4 % 2 == 0 { Moment::Before } else { Moment::After };
        let seat = 3001 + n as i64;
        app.fault(stall(call, 60, effect).seat(seat)).await;
        order_requests.push(order(&[seat]).event(106).user(11 + (n / 8 % 4) as i64));
    }
    let races = stream::iter(&order_requests)
        .map(|order_request| async {
            tokio::join!(app.place(order_request), cancel_soon(&app, order_request))
        })
        .buffer_unordered(10);
    let races: Vec<(Answer, (String, Answer))> = races.collect().await;
    app.quiesce().await;

    let mut ends = BTreeMap::<String, usize>::new();
    for (placed, (id, cancel)) in races {
        let outcome = app.outcome(&id).await;
        match cancel.status {
            200 => {
                assert_eq!(cancel.document(200).status(), "CANCELLED");
                let paid = outcome.payments.contains(&PaymentStatus::Success);
                assert!(
                    outcome.status == "CANCELLED" && outcome.seats == Seats::Free && !paid,
                    "{outcome:?}"
                );
                let told = outcome.told.contains(&"ORDER_REFUNDED".to_owned());
                assert_eq!(told, outcome.payments == [PaymentStatus::Refunded], "{outcome:?}");
            }
            _ => {
                assert_eq!(cancel.problem_of_order(409, "order_not_cancellable"), id);
                let done = [Outcome::confirmed(), Outcome::declined()];
                assert!(done.contains(&outcome), "{outcome:?}");
            }
        }
        assert!([201, 202, 402].contains(&placed.status), "{placed:?}");
        *ends.entry(format!("{} {:?}", outcome.status, outcome.payments)).or_default() += 1;
    }
    println!("{ends:?}");
    for refunded in refunds(&app).await.values() {
        assert_eq!(*refunded, 1);
    }
    crate::metrics::assert_agrees(&app).await;
    app.finish().await;
}
