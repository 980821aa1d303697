//! `POST /internal/redrive`: what was parked, and the dead letters, are tried again at once.

use crate::metrics::scrape;
use crate::refund::confirmed;
use crate::stuck::{fifteenth_attempt, with_operator};
use crate::support::*;
use crate::validation::pointers;

const UNKNOWN: &str = "01980000-0000-7000-8000-000000000000";

/// An order that was parked while Payment was down. Payment is up again, and the next attempt is not due yet.
pub async fn parked(app: &App, seat: i64) -> String {
    let down = FaultRule::on(CallName::Charge, Action::LoseRequest).always().seat(seat);
    let fault = app.fault(down).await;
    let id = app.place(&order(&[seat])).await.accepted().id().to_owned();
    fifteenth_attempt(app, &id).await;
    app.remove_fault(fault).await;
    // In an hour, so that it is the redrive that brings it back.
    let due = "due_at = timezone('utc', clock_timestamp()) + interval '1 hour'";
    app.store.run(&format!("UPDATE orders SET {due} WHERE id = '{id}'")).await;
    id
}

/// The message of an order, given up while Notification was down. Notification is up again.
async fn dead_letter(app: &App, seat: i64) -> (String, String) {
    let down = FaultRule::on(CallName::Notify, fail(500)).always().seat(seat);
    let fault = app.fault(down).await;
    let id = app.place(&order(&[seat])).await.created().id().to_owned();
    let message = format!("SELECT id FROM outbox WHERE order_id = '{id}' AND attempts >= 1");
    let message = eventually("the first attempt has failed", async || {
        app.store.rows(&message).await.pop().and_then(|row| Some(row["id"].as_str()?.to_owned()))
    })
    .await;
    let last = "attempts = 39, due_at = timezone('utc', clock_timestamp())";
    app.store.run(&format!("UPDATE outbox SET {last} WHERE id = '{message}'")).await;
    app.sweep().await;
    let dead = format!("SELECT count(*) FROM outbox WHERE id = '{message}' AND dead_at IS NOT NULL");
    assert_eq!(app.store.count(&dead).await, 1);
    app.remove_fault(fault).await;
    (id, message)
}

async fn statuses(app: &App, ids: &[String]) -> Vec<String> {
    let mut statuses = Vec::new();
    for id in ids {
        statuses.push(app.read(id).await.status().to_owned());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_parked_is_tried_at_once() {
    let mut app = with_operator(Mode::Succeed).await;
    let ids = [parked(&app, 1).await, parked(&app, 2).await];
    app.sweep().await;
    assert_eq!(statuses(&app, &ids).await, ["PENDING"; 2], "they are not due");
    let done = app.operator(Method::POST, "/internal/redrive").send().await.json(200);
    assert_eq!(done, json!({ "orders": 2, "messages": 0 }));
    assert!(app.stuck().await.orders.is_empty());
    app.sweep().await;
    assert_eq!(statuses(&app, &ids).await, ["CONFIRMED"; 2]);
    assert_eq!(app.redrive(&json!({})).await, (0, 0));
    let journal = app.journal(&ids[0]).await;
    let redriven = journal.iter().find(|event| event["type"] == "redriven").expect("an entry");
    assert_eq!(redriven["actor"], "operator");
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_redriven_in_vain_is_parked_again_only_after_as_many_attempts() {
    let mut app = with_operator(Mode::Succeed).await;
    let id = parked(&app, 1).await;
    app.take_peer_down(Peer::Payment).await;
    assert_eq!(app.redrive(&json!({})).await, (1, 0));
    app.sweep().await;
    app.read(&id).await.assert_is("PENDING", "charging");
    assert!(app.stuck().await.orders.is_empty());
    fifteenth_attempt(&app, &id).await;
    assert_eq!(app.stuck().await.orders.len(), 1);
    app.take_peer_up(Peer::Payment).await;
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_listed_told_in_the_journal_and_delivered_after_a_redrive() {
    let mut app = with_operator(Mode::Succeed).await;
    let (id, message) = dead_letter(&app, 1).await;
    let stuck = app.stuck().await;
    assert_eq!((stuck.orders.len(), stuck.messages.len()), (0, 1), "{stuck:?}");
    let listed = &stuck.messages[0];
    assert_eq!(
        (&listed["message_id"], &listed["order_id"], &listed["type"], &listed["attempts"]),
        (&json!(message), &json!(id), &json!("ORDER_CONFIRMED"), &json!(40)),
    );
    let journal = app.journal(&id).await;
    let entry = journal.last().expect("a journal");
    assert_eq!((&entry["type"], &entry["data"]["message_id"]), (&json!("message_dead"), &json!(message)));
    assert_eq!(scrape(&app).await["order_service_outbox_dead_letters"], 1.0);

    assert_eq!(app.redrive(&json!({})).await, (0, 1));
    app.sweep().await;
    let sent = app.notifications(&id).await;
    assert_eq!((sent.len(), &sent[0]["id"]), (1, &json!(message)));
    assert!(app.stuck().await.messages.is_empty());
    assert_eq!(scrape(&app).await["order_service_outbox_dead_letters"], 0.0);
    crate::metrics::assert_agrees(&app).await;
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_named_is_tried() {
    let mut app = with_operator(Mode::Succeed).await;
    let orders = [parked(&app, 1).await, parked(&app, 2).await];
    let (_, first) = dead_letter(&app, 3).await;
    let (_, second) = dead_letter(&app, 4).await;
    assert_eq!(app.redrive(&json!({ "orders": [orders[1]] })).await, (1, 0));
    assert_eq!(app.redrive(&json!({ "messages": [first] })).await, (0, 1));
    let stuck = app.stuck().await;
    assert_eq!((stuck.orders.len(), stuck.messages.len()), (1, 1), "{stuck:?}");
    assert_eq!(stuck.orders[0]["order_id"], json!(orders[0]));
    assert_eq!(stuck.messages[0]["message_id"], json!(second));
    let both = json!({ "orders": orders, "messages": [first, second] });
    assert_eq!(app.redrive(&both).await, (1, 1));
    app.quiesce().await;
    assert_eq!(statuses(&app, &orders).await, ["CONFIRMED"; 2]);
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_or_in_no_need_is_left_alone() {
    let mut app = with_operator(Mode::Succeed).await;
    let healthy = confirmed(&app, &[1]).await;
    let id = parked(&app, 2).await;
    let (_, message) = dead_letter(&app, 3).await;
    let before = app.state_of(healthy.id()).await;
    for body in [
        json!({ "orders": [UNKNOWN, healthy.id()], "messages": [UNKNOWN] }),
        json!({ "orders": [], "messages": [] }),
        json!({ "orders": [] }),
        // An order's id is no message's, and the other way round.
        json!({ "orders": [message], "messages": [id] }),
    ] {
        assert_eq!(app.redrive(&body).await, (0, 0), "{body}");
    }
    assert_eq!(app.state_of(healthy.id()).await, before);
    let stuck = app.stuck().await;
    assert_eq!((stuck.orders.len(), stuck.messages.len()), (1, 1), "{stuck:?}");
    assert_eq!(app.redrive(&json!({})).await, (1, 1));
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_member_is_listed_and_nothing_is_tried() {
    let mut app = with_operator(Mode::Succeed).await;
    parked(&app, 1).await;
    let redrive = |body: &Value| app.operator(Method::POST, "/internal/redrive").json(body);
    for (body, wrong) in [
        (json!({ "orders": "x" }), "#/orders"),
        (json!({ "orders": null }), "#/orders"),
        (json!({ "orders": { "0": UNKNOWN } }), "#/orders"),
        (json!({ "orders": ["x"] }), "#/orders/0"),
        (json!({ "orders": [UNKNOWN, 7] }), "#/orders/1"),
        (json!({ "messages": [null] }), "#/messages/0"),
        (json!({ "messages": 7 }), "#/messages"),
        (json!({ "everything": true }), "#/everything"),
    ] {
        let problem = redrive(&body).send().await.problem(422, "validation_failed");
        assert_eq!(pointers(&problem), [wrong], "{body}: {problem}");
    }
    let problem = redrive(&json!({ "orders": 1, "messages": 2, "all": 3 })).send().await;
    let problem = problem.problem(422, "validation_failed");
    let mut listed = pointers(&problem);
    listed.sort_unstable();
    assert_eq!(listed, ["#/all", "#/messages", "#/orders"]);
    redrive(&json!([])).send().await.problem(422, "validation_failed");
    let post = || app.operator(Method::POST, "/internal/redrive");
    post().header("content-type", "application/json").body("{").send().await.problem(400, "malformed_json");
    post().body("{}").send().await.problem(415, "unsupported_media_type");
    assert_eq!(app.stuck().await.orders.len(), 1);
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_operator_sees_the_list_and_redrives() {
    const PATHS: [(Method, &str); 2] =
        [(Method::GET, "/internal/stuck"), (Method::POST, "/internal/redrive")];
    let mut app = with_operator(Mode::Succeed).await;
    parked(&app, 1).await;
    for (method, path) in PATHS {
        let request = || app.request(method.clone(), path);
        request().send().await.problem(401, "unauthorized");
        for wrong in ["Bearer wrong", "Bearer", "Bearer ", TOKEN, "Basic correct-horse-battery-staple"] {
            let answer = request().header("authorization", wrong).send().await;
            answer.problem(401, "unauthorized");
            let challenge = if wrong == "Bearer wrong" { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            assert_eq!(answer.header("www-authenticate"), Some(challenge), "{wrong}");
        }
    }
    assert_eq!(app.stuck().await.orders.len(), 1, "nothing was redriven");
    app.operator(Method::POST, "/internal/stuck").send().await.problem(405, "method_not_allowed");
    app.operator(Method::GET, "/internal/redrive").send().await.problem(405, "method_not_allowed");
    app.expect_errors_in_the_log();
    app.finish().await;

    let app = spawn().await;
    for (method, path) in PATHS {
        for guess in ["Bearer ", "Bearer x"] {
            let request = app.request(method.clone(), path).header("authorization", guess);
            request.send().await.problem(403, "forbidden");
        }
        app.request(method, path).send().await.problem(403, "forbidden");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_being_tried_is_left_to_whoever_is_at_it() {
    let mut app = with_operator(Mode::Succeed).await;
    let id = parked(&app, 1).await;
    app.store.run(&format!("UPDATE orders SET leased = true WHERE id = '{id}'")).await;
    assert_eq!(app.redrive(&json!({ "orders": [id] })).await, (1, 0));
    app.sweep().await;
    assert_eq!(app.read(&id).await.status(), "PENDING", "it is not due");
    app.quiesce().await;
    app.read(&id).await.assert_is("CONFIRMED", "done");
    app.expect_errors_in_the_log();
    app.finish().await;
}
