//! Payment's callbacks, unsigned as they are today: a hint, never the truth.

use crate::support::*;

/// A placed order whose payment has not been decided.
pub async fn pending(app: &App, seats: &[i64]) -> Document {
    let document = app.place(&order(seats)).await.created();
    document.assert_is("PENDING", "awaiting_payment");
    document
}

/// The parts of a callback's answer: the note, and the document.
pub fn applied(answer: &Answer) -> (Option<String>, Document) {
    let mut body = answer.json(200);
    let members = body.as_object_mut().unwrap();
    assert_eq!(members.remove("ok"), Some(json!(true)));
    let note = members.remove("note").map(|note| note.as_str().unwrap().to_owned());
    (note, Document::checked(body))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successful_payment_confirms_the_order() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1, 2]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    let answer = app.call_back(document.id(), document.payment_id(), "SUCCESS").await;
    let (note, confirmed) = applied(&answer);
    assert_eq!(note, None);
    confirmed.assert_is("CONFIRMED", "done");
    assert_eq!(confirmed["payment"]["status"], "SUCCESS");
    assert_eq!(confirmed.tickets("seat_id"), [1, 2]);
    assert_eq!(app.read(document.id()).await, confirmed);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_or_cancelled_payment_fails_the_order() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    for (seat, status) in [(1, "FAILED"), (2, "CANCELLED")] {
        let document = pending(&app, &[seat]).await;
        app.settle_silently(&document, PaymentStatus::Failed).await;
        applied(&app.call_back(document.id(), document.payment_id(), status).await);
        app.quiesce().await;
        let failed = app.read(document.id()).await;
        failed.assert_is("FAILED", "done");
        assert_eq!(failed.failure(), Some("payment_declined"));
        assert_eq!(app.seat(seat).await.status, SeatStatus::Available);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_payment_says_counts_and_not_what_the_callback_says() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    // Still pending, whatever the callback claims.
    let document = pending(&app, &[1]).await;
    for claimed in ["SUCCESS", "FAILED", "CANCELLED", "REFUNDED"] {
        let (note, same) = applied(&app.call_back(document.id(), document.payment_id(), claimed).await);
        assert_eq!((note.as_deref(), &same), (Some("payment still pending"), &document), "{claimed}");
    }
    // Failed, and the callback claims success.
    app.settle_silently(&document, PaymentStatus::Failed).await;
    let (_, failed) = applied(&app.call_back(document.id(), document.payment_id(), "SUCCESS").await);
    assert_eq!((failed.status(), failed.failure()), ("FAILED", Some("payment_declined")));
    // Successful, and the callback claims failure.
    let document = pending(&app, &[2]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    let (_, confirmed) = applied(&app.call_back(document.id(), document.payment_id(), "FAILED").await);
    assert_eq!(confirmed.status(), "CONFIRMED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_or_contradictory_callback_changes_nothing() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.settle(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    let confirmed = app.read(document.id()).await;
    for claimed in ["SUCCESS", "SUCCESS", "FAILED", "CANCELLED", "REFUNDED"] {
        let (note, same) = applied(&app.call_back(document.id(), document.payment_id(), claimed).await);
        assert_eq!((note.as_deref(), &same), (Some("already processed"), &confirmed), "{claimed}");
    }
    // Not even when Payment itself takes back what it said.
    app.settle_silently(&document, PaymentStatus::Failed).await;
    let (note, same) = applied(&app.call_back(document.id(), document.payment_id(), "FAILED").await);
    assert_eq!((note.as_deref(), &same), (Some("already processed"), &confirmed));
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.read(document.id()).await, confirmed);
    let state = app.peers.state().await.unwrap();
    assert_eq!(state.notifications_of(document.id()).len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_failure_changes_nothing() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.settle(&document, PaymentStatus::Failed).await;
    app.quiesce().await;
    let failed = app.read(document.id()).await;
    for claimed in ["FAILED", "SUCCESS"] {
        let (note, same) = applied(&app.call_back(document.id(), document.payment_id(), claimed).await);
        assert_eq!((note.as_deref(), &same), (Some("already processed"), &failed), "{claimed}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_after_the_order_failed_is_paid_back() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let id = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    app.quiesce().await;
    let record = app.peers.settle(&id, PaymentStatus::Success).await.unwrap().callback.unwrap();
    assert_eq!(record.status, Some(200), "{record:?}");
    app.quiesce().await;
    let document = app.read(&id).await;
    document.assert_is("FAILED", "done");
    assert_eq!(document["payment"]["status"], "REFUNDED");
    assert_eq!(app.calls("payment.refund").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_back_voids_the_tickets_and_frees_the_seats() {
    let app = spawn().await;
    let document = app.place(&order(&[1, 2])).await.created();
    app.settle(&document, PaymentStatus::Refunded).await;
    app.quiesce().await;
    let refunded = app.read(document.id()).await;
    refunded.assert_is("REFUNDED", "done");
    assert_eq!(refunded["payment"]["status"], "REFUNDED");
    assert_eq!(refunded.tickets("status"), ["VOID", "VOID"]);
    assert_eq!(refunded.tickets("ticket_code"), document.tickets("ticket_code"));
    app.place(&order(&[2, 1]).user(7)).await.created();
    app.finish().await;
}
