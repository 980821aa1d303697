//! Payments that others refund later, or that Payment does not know for a while.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_accepted_and_done_later_ends_as_refunded() {
    let app = spawn().await;
    let document = crate::refund::confirmed(&app, &[1]).await;
    app.set_refund_mode(RefundMode::Accepted { after_ms: Some(300) }).await;
    app.refund(document.id()).await.document(202);
    app.quiesce().await;
    app.read(document.id()).await.assert_is("REFUNDED", "done");
    let state = app.peers.state().await.unwrap();
    assert_eq!(state.payments_of(document.id())[0].returned, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_payment_does_not_know_for_a_while_is_not_given_up() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = app.place(&order(&[1])).await.created();
    app.forget_payment(document.payment_id(), true).await;
    app.watch().await;
    app.read(document.id()).await.assert_is("PENDING", "awaiting_payment");
    app.forget_payment(document.payment_id(), false).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}
