//! The notifications of one order arrive in its order, and tell which is which.

use futures::future::join_all;

use crate::support::*;

/// Waits until the order's first message has been tried in vain.
async fn until_the_first_attempt_failed(app: &App, id: &str) {
    let tried = format!("SELECT count(*) FROM outbox WHERE order_id = '{id}' AND attempts >= 1");
    eventually("the first attempt has failed", async || (app.store.count(&tried).await == 1).then_some(()))
        .await;
}

/// The types of an order's notifications, in the order in which they were taken.
async fn types(app: &App, id: &str) -> Vec<String> {
    let messages = app.notifications(id).await;
    messages.iter().map(|message| message["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_not_told_before_the_confirmation_that_could_not_be_delivered_yet() {
    let app = spawn().await;
    let down = app.fault(FaultRule::on(CallName::Notify, fail(503)).seat(1).always()).await;
    let document = app.place(&order(&[1])).await.created();
    until_the_first_attempt_failed(&app, document.id()).await;
    app.remove_fault(down).await;
    // Only the confirmation is not due.
    let later = "UPDATE outbox SET due_at = due_at + interval '1 hour'";
    app.store.run(later).await;
    app.refund(document.id()).await.document(200);
    app.sweep().await;
    app.sweep().await;
    assert_eq!(types(&app, document.id()).await, [""; 0]);
    // The next attempt for the confirmation succeeds, and the refund's message need not wait any longer.
    app.store
        .run("UPDATE outbox SET due_at = due_at - interval '1 hour' WHERE kind = 'ORDER_CONFIRMED'")
        .await;
    eventually("both are told", async || {
        app.sweep().await;
        (types(&app, document.id()).await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(types(&app, document.id()).await, ["ORDER_CONFIRMED", "ORDER_REFUNDED"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_has_the_number_and_the_time_of_its_entry_in_the_journal() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    app.refund(document.id()).await.document(200);
    app.quiesce().await;
    let journal = app.journal(document.id()).await;
    let messages = app.notifications(document.id()).await;
    assert_eq!(messages.len(), 2);
    for (message, [kind, event]) in
        messages.iter().zip([["ORDER_CONFIRMED", "seats_allocated"], ["ORDER_REFUNDED", "payment_refunded"]])
    {
        let entry = journal.iter().find(|entry| entry["seq"] == message["sequence"]).expect("its entry");
        assert_eq!((&message["type"], &entry["type"]), (&json!(kind), &json!(event)));
        let [told, written] = [&message["occurred_at"], &entry["at"]].map(|at| at.as_str().expect("a time"));
        assert_eq!(told.replace(|c: char| c.is_ascii_digit(), "9"), "9999-99-99T99:99:99.999Z");
        // The service's clock and that of PostgreSQL, which are the same here: it was decided just before it was written.
        assert!(told[..23] <= written[..23] && &told[..13] >= "2026-01-01T00", "{message} {entry}");
    }
    assert!(messages[0]["sequence"].as_i64() < messages[1]["sequence"].as_i64());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_that_sweep_at_once_keep_the_order_of_every_order() {
    let app = Spawn::new().replicas(2).start().await;
    app.take_peer_down(Peer::Notification).await;
    let requests: Vec<OrderRequest> = (3001..3041).map(|seat| order(&[seat]).event(106)).collect();
    let placed = join_all(requests.iter().map(|request| app.place(request))).await;
    let ids: Vec<String> = placed.iter().map(|answer| answer.created().id().to_owned()).collect();
    for answer in join_all(ids.iter().map(|id| app.refund(id))).await {
        answer.document(200);
    }
    assert_eq!(app.store.count("SELECT count(*) FROM outbox WHERE dead_at IS NULL").await, 80);
    app.take_peer_up(Peer::Notification).await;
    // Each third call fails, so that confirmations are tried again while refunds are due.
    for after in 0..30 {
        app.fault(FaultRule { after: 2 * after, ..FaultRule::on(CallName::Notify, fail(500)) }).await;
    }
    eventually("all are told", async || {
        tokio::join!(app.sweep_at(0), app.sweep_at(1), app.sweep_at(0), app.sweep_at(1));
        (app.store.count("SELECT count(*) FROM outbox").await == 0).then_some(())
    })
    .await;
    for id in &ids {
        assert_eq!(types(&app, id).await, ["ORDER_CONFIRMED", "ORDER_REFUNDED"], "{id}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_notification_itself_refuses_is_a_dead_letter_at_once_and_holds_up_nothing() {
    let mut app = spawn().await;
    let refusal = r#"{"statusCode":400,"message":["seats must not be empty"]}"#;
    for (seat, status, refusal) in
        [(1, 400, refusal), (2, 413, refusal), (3, 422, refusal), (4, 400, r#""bad""#), (5, 422, "null")]
    {
        app.fault(FaultRule::on(CallName::Notify, garbage_with(status, refusal, false)).seat(seat)).await;
        let document = app.place(&order(&[seat])).await.created();
        let id = document.id();
        let dead = format!("SELECT attempts FROM outbox WHERE order_id = '{id}' AND dead_at IS NOT NULL");
        let rows = eventually("a dead letter", async || {
            Some(app.store.rows(&dead).await).filter(|rows| !rows.is_empty())
        })
        .await;
        assert_eq!(rows[0]["attempts"], 1, "{status}");
        app.refund(id).await.document(200);
        app.quiesce().await;
        assert_eq!(types(&app, id).await, ["ORDER_REFUNDED"], "{status}");
        let journal = app.journal(id).await;
        assert!(journal.iter().any(|entry| entry["type"] == "message_dead"), "{status} {journal:?}");
    }
    app.expect_dead_letters(5);
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_refusals_are_tried_again() {
    let app = spawn().await;
    for (seat, status, body) in [
        (1, 400, "<html>Bad Request</html>"),
        (2, 422, "no"),
        (3, 401, "{}"),
        (4, 403, "{}"),
        (5, 404, r#"{"error":"not found"}"#),
        (6, 409, "{}"),
        (7, 429, "{}"),
    ] {
        app.fault(FaultRule::on(CallName::Notify, garbage_with(status, body, false)).seat(seat)).await;
        let id = app.place(&order(&[seat])).await.created().id().to_owned();
        app.quiesce().await;
        assert_eq!(types(&app, &id).await, ["ORDER_CONFIRMED"], "{status}");
    }
    app.finish().await;
}
