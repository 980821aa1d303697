//! Leases of payments beside an order's own: nobody else is at one that is being worked on, and one that ends every worker is told.

use crate::refund::confirmed;
use crate::stuck::with_operator;
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_under_way_is_not_asked_for_a_second_time() {
    let app = with_operator(Mode::Succeed).await;
    let document = confirmed(&app, &[1]).await;
    let fault = app.fault(stall(CallName::Refund, 3_000, Moment::After)).await;
    let second = app.peers.second_payment(document.id(), PaymentStatus::Success, true).await.unwrap().payment;
    tokio::join!(app.sweep(), async {
        app.until_fault_hit(fault).await;
        // It was parked before this attempt.
        app.store
            .run("UPDATE payment_refunds SET parked_at = timezone('utc', now()), parked_reason = 'no answer'")
            .await;
        assert_eq!(app.redrive(&json!({})).await, (1, 0));
        assert!(app.stuck().await.orders.is_empty());
        app.sweep().await;
        // Nor by a callback, when it was known as undecided until then.
        app.store.run("UPDATE payment_refunds SET undecided = true").await;
        app.call_back(document.id(), &second.id, "SUCCESS").await.json(200);
        app.sweep().await;
        assert!(app.has_open_call(CallName::Refund).await, "the first one is still under way");
        assert_eq!(app.calls("payment.refund").await, 1);
    });
    app.quiesce().await;
    assert_eq!(app.calls("payment.refund").await, 1);
    let payments = app.peers.state().await.unwrap().payments;
    let second = payments.iter().find(|payment| payment.id == second.id).expect("the payment");
    assert_eq!((second.status, second.returned), (PaymentStatus::Refunded, 1));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_or_check_that_is_claimed_again_and_again_without_an_outcome_is_told_to_an_operator() {
    let app = with_operator(Mode::Succeed).await;
    let [refunded, checked] = [confirmed(&app, &[1]).await, confirmed(&app, &[2]).await];
    let second = app.peers.second_payment(refunded.id(), PaymentStatus::Success, false).await.unwrap();
    // Each of its workers ends.
    let claims = |times: u32, id: &str| {
        format!(
            "DO $$ BEGIN
                FOR i IN 1..{times} LOOP PERFORM claim_due_second_payments(8, 0); END LOOP;
                UPDATE payment_refunds SET due_at = due_at + interval '1 hour' WHERE order_id = '{id}';
             END $$"
        )
    };
    let add_refund = format!(
        "SELECT add_second_payment('{}', '{}', false, 'test', '{{}}');",
        refunded.id(),
        second.payment.id
    );
    let add_check = format!(
        "SELECT add_payment_check('{}', '01980000-0000-7000-8000-000000000000', 8, 0);",
        checked.id()
    );
    for (document, add) in [(&refunded, add_refund), (&checked, add_check)] {
        app.store.run(&format!("{add} {}", claims(20, document.id()))).await;
        assert!(app.stuck().await.orders.is_empty());
        let due = "UPDATE payment_refunds SET due_at = timezone('utc', now()) WHERE order_id =";
        app.store.run(&format!("{due} '{}'; {}", document.id(), claims(1, document.id()))).await;
        let listed = app.stuck().await.orders.remove(0);
        assert_eq!((&listed["order_id"], &listed["why"]), (&json!(document.id()), &json!("second_payment")));
        let reason = listed["reason"].as_str().unwrap();
        assert!(reason.starts_with("no outcome was stored (payment "), "{reason}");
        // They are tried on, and are told no more once there is an outcome.
        app.quiesce().await;
        assert!(app.stuck().await.orders.is_empty());
    }
    app.finish().await;
}
