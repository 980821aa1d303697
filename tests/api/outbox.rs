//! Notifications: nothing waits for them, and none is lost.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_goes_out_right_after_the_answer_without_a_sweep() {
    let app = spawn().await;
    let document = app.place(&order(&[2, 1])).await.created();
    let message = eventually("the notification", async || app.notifications(document.id()).await.pop()).await;
    assert_eq!((&message["type"], &message["seats"]), (&json!("ORDER_CONFIRMED"), &json!([1, 2])));
    let text = message.to_string();
    for code in document.tickets("ticket_code") {
        assert!(!text.contains(code.as_str().unwrap()), "a ticket code is a bearer secret: {text}");
    }
    app.quiesce().await;
    assert_eq!(app.notifications(document.id()).await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_order_is_told_of_too() {
    let app = Spawn::new().payment_mode(Mode::Decline).start().await;
    let declined = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    let unknown = app.place(&order(&[999_999])).await.problem_of_order(422, "seat_not_found");
    app.quiesce().await;
    for id in [declined, unknown] {
        let messages = app.notifications(&id).await;
        assert_eq!((messages.len(), &messages[0]["type"]), (1, &json!("ORDER_FAILED")));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_notification_does_not_hold_up_the_answer() {
    let app = spawn().await;
    let fault = app.fault(stall(CallName::Notify, 3000, Moment::Before)).await;
    let document = app.place(&order(&[1])).await.created();
    document.assert_is("CONFIRMED", "done");
    assert_eq!(app.answers(CallName::Notify).await, 0, "Notification is still at it");
    app.quiesce().await;
    assert_eq!(app.peers.fault_hits(fault).await.unwrap(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_notification_is_down_orders_go_on_and_nothing_is_lost() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    app.take_peer_down(Peer::Notification).await;
    let mut ids = Vec::new();
    for seat in 1..=3 {
        let document = app.place(&order(&[seat])).await.created();
        app.settle(&document, PaymentStatus::Success).await;
        app.read(document.id()).await.assert_is("CONFIRMED", "done");
        ids.push(document.id().to_owned());
    }
    for _ in 0..3 {
        app.sweep().await;
        app.expire_waits().await;
    }
    let waiting = "SELECT count(*) FROM outbox WHERE dead_at IS NULL";
    assert_eq!(app.store.count(waiting).await, 3);
    app.take_peer_up(Peer::Notification).await;
    app.quiesce().await;
    for id in ids {
        assert_eq!(app.notifications(&id).await.len(), 1);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_2xx_means_taken_and_anything_else_does_not() {
    let app = spawn().await;
    let answer = |status, effect| Action::Garbage {
        body: "<html>whatever</html>".into(),
        content_type: "text/html".into(),
        status,
        effect,
    };
    for (seat, action, calls) in [
        (1, answer(200, true), 1),
        (2, answer(204, true), 1),
        (3, answer(302, false), 2),
        (4, answer(400, false), 2),
        (5, answer(429, false), 2),
        (6, answer(500, false), 2),
        (7, Action::LoseRequest, 2),
        (8, Action::LoseAnswer, 2),
    ] {
        app.fault(FaultRule::on(CallName::Notify, action).seat(seat)).await;
        let id = app.place(&order(&[seat])).await.created().id().to_owned();
        app.quiesce().await;
        let seen = app.peers.calls().await.unwrap().about(&id);
        assert_eq!(seen.count(CallName::Notify), calls, "seat {seat}: {seen:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_nobody_takes_becomes_a_dead_letter_in_the_end() {
    let mut app = spawn().await;
    app.take_peer_down(Peer::Notification).await;
    let document = app.place(&order(&[1])).await.created();
    let message = "SELECT count(*) FROM outbox WHERE attempts >= 1";
    eventually("the first attempt has failed", async || (app.store.count(message).await == 1).then_some(()))
        .await;
    eventually("the message is given up", async || {
        app.expire_waits().await;
        app.sweep().await;
        (app.store.count("SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL").await == 1).then_some(())
    })
    .await;
    let dead = app.store.rows("SELECT attempts, last_error FROM outbox").await.remove(0);
    assert!(dead["attempts"].as_i64() >= Some(10), "it was tried often: {dead}");
    assert!(dead["last_error"].is_string(), "{dead}");
    app.take_peer_up(Peer::Notification).await;
    app.sweep().await;
    assert!(app.notifications(document.id()).await.is_empty(), "a dead letter waits for a person");
    app.expect_dead_letters(1);
    app.expect_errors_in_the_log();
    app.finish().await;
}
