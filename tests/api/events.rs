//! `GET /v1/orders/{id}/events`: an order's whole history.

use crate::callback::pending;
use crate::refund::confirmed;
use crate::support::*;

/// The journal as `type by actor`, after its shape was checked.
async fn history(app: &App, id: &str) -> Vec<String> {
    let events = app.journal(id).await;
    let mut before = String::new();
    for (seq, event) in (1..).zip(&events) {
        let members = event.as_object().expect("an object");
        let names: Vec<&str> = members.keys().map(String::as_str).collect();
        assert_eq!(names, ["actor", "at", "data", "seq", "type"], "{event}");
        assert_eq!(event["seq"], seq, "no gaps: {events:?}");
        assert!(event["data"].is_object(), "{event}");
        let at = event["at"].as_str().expect("a time").to_owned();
        let shape: String = at.replace(|c: char| c.is_ascii_digit(), "9");
        assert_eq!(shape, "9999-99-99T99:99:99.999999Z", "{event}");
        assert!(before <= at, "in the order in which it happened: {events:?}");
        before = at;
    }
    let text = |event: &Value, name: &str| event[name].as_str().expect("a text").to_owned();
    events.iter().map(|event| format!("{} by {}", text(event, "type"), text(event, "actor"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_paid_at_once_was_placed_by_the_client_and_confirmed_by_payment() {
    let app = spawn().await;
    let document = confirmed(&app, &[1, 2]).await;
    let expected = [
        "order_placed by client",
        "seats_reserved by client",
        "payment_succeeded by payment",
        "seats_allocated by payment",
    ];
    assert_eq!(history(&app, document.id()).await, expected);
    let events = app.journal(document.id()).await;
    assert_eq!((&events[0]["data"], events.len()), (&json!({ "seats": [1, 2] }), 4));
    assert_eq!(events[0]["at"], document["order"]["created_at"]);
    assert_eq!(events[3]["at"], app.read(document.id()).await["order"]["updated_at"]);
    let text = json!(events).to_string();
    for code in document.tickets("ticket_code") {
        assert!(!text.contains(code.as_str().unwrap()), "a ticket code is a bearer secret: {text}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_goes_on_where_the_order_was() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    app.refund(document.id()).await.document(200);
    app.quiesce().await;
    let expected = ["refund_requested by client", "payment_refunded by client", "seats_released by client"];
    assert_eq!(history(&app, document.id()).await[4..], expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_is_the_clients_and_so_is_what_follows_from_it() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.cancel(document.id()).await.document(200);
    app.quiesce().await;
    let expected = [
        "order_placed by client",
        "seats_reserved by client",
        "payment_pending by client",
        "cancel_requested by client",
        "payment_pending by client",
        "seats_released by client",
    ];
    assert_eq!(history(&app, document.id()).await, expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_expires_by_the_sweep() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let document = pending(&app, &[1]).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    let expected = ["payment_pending by sweep", "seats_released by sweep"];
    assert_eq!(history(&app, document.id()).await[3..], expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_did_not_come_is_told_with_the_reason() {
    let app = spawn().await;
    app.fault(FaultRule::on(CallName::Charge, fail(503))).await;
    let document = app.place(&order(&[1])).await.created_or_accepted();
    app.quiesce().await;
    let history = history(&app, document.id()).await;
    assert_eq!(history[2], "no_answer by client");
    assert_eq!(history.last().map(String::as_str), Some("seats_allocated by payment"));
    let reason = app.journal(document.id()).await[2]["data"]["reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("503")), "{reason}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_answers_as_get_does_without_the_body() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let unknown = "01980000-0000-7000-8000-000000000000";
    for id in [document.id(), unknown, "x"] {
        let path = format!("/v1/orders/{id}/events");
        let get = app.get(&path).await;
        let head = app.request(Method::HEAD, &path).send().await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_order_has_no_history() {
    let app = spawn().await;
    let events = async |id: &str| app.get(&format!("/v1/orders/{id}/events")).await;
    events("01980000-0000-7000-8000-000000000000").await.problem(404, "order_not_found");
    for id in ["x", "1", "01980000000070008000000000000000"] {
        events(id).await.problem(400, "invalid_order_id");
    }
    app.request(Method::POST, "/v1/orders/x/events").send().await.problem(405, "method_not_allowed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_before_this_service_is_not_known() {
    let app = crate::inherited::inherited().await;
    for number in 1..=6 {
        assert_eq!(app.journal(&crate::inherited::id(number)).await, Vec::<Value>::new());
    }
    app.finish().await;
}

/// A page of the journal: its numbers, and the token of the next one.
async fn page(app: &App, id: &str, query: &str) -> (Vec<u64>, Option<String>) {
    let body = app.get(&format!("/v1/orders/{id}/events?{query}")).await.json(200);
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert!(members == ["events"] || members == ["events", "next_page_token"], "{members:?}");
    let events = body["events"].as_array().expect("a list");
    let numbers = events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    (numbers, body.get("next_page_token").map(|token| token.as_str().expect("a text").to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_comes_in_pages_which_stay_as_they_are_while_an_entry_is_counted_up() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let id = document.id();
    let (first, token) = page(&app, id, "page_size=2").await;
    assert_eq!(first, [1, 2]);
    let count =
        "UPDATE order_events SET count = count + 1, last_at = timezone('utc', now()) WHERE seq IN (2, 3)";
    app.store.run(count).await;
    let token = token.unwrap();
    assert_eq!(page(&app, id, &format!("page_size=2&page_token={token}")).await, (vec![3, 4], None));
    assert_eq!(page(&app, id, "page_size=4").await, (vec![1, 2, 3, 4], None), "the end is known");

    let more = "INSERT INTO order_events (order_id, seq, type, actor) SELECT id, n, 'noted', 'operator'
                FROM orders, generate_series(10, 620) n";
    app.store.run(more).await;
    assert_eq!(page(&app, id, "").await.0.len(), 100);
    for size in ["500", "501", "4294967297"] {
        assert_eq!(page(&app, id, &format!("page_size={size}")).await.0.len(), 500, "{size}");
    }
    let (mut all, mut query) = (Vec::new(), String::new());
    loop {
        let (numbers, next) = page(&app, id, &query).await;
        all.extend(numbers);
        let Some(next) = next else { break };
        query = format!("page_token={next}");
    }
    assert_eq!(all, [1, 2, 3, 4].into_iter().chain(10..=620).collect::<Vec<_>>());
    // As it was, for the invariants.
    let restore = "DELETE FROM order_events WHERE seq > 9; UPDATE order_events SET count = 1, last_at = NULL";
    app.store.run(restore).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_journal_is_asked_for_rightly_or_not_at_all() {
    let app = spawn().await;
    let [one, other] = [confirmed(&app, &[1]).await, confirmed(&app, &[2]).await];
    let ask = async |id: &str, query: &str| app.get(&format!("/v1/orders/{id}/events?{query}")).await;
    for query in
        ["page_size=0", "page_size=-1", "page_size=x", "page_size=1&page_size=1", "seq=1", "page_token="]
    {
        ask(one.id(), query).await.problem(422, "validation_failed");
    }
    let token = page(&app, one.id(), "page_size=1").await.1.unwrap();
    for token in [&token[1..], &format!("{token}A"), "x"] {
        ask(one.id(), &format!("page_token={token}")).await.problem(400, "invalid_page_token");
    }
    ask(other.id(), &format!("page_token={token}")).await.problem(400, "invalid_page_token");
    let unknown = "01980000-0000-7000-8000-000000000000";
    ask(unknown, "page_size=1").await.problem(404, "order_not_found");
    ask("x", "page_size=0").await.problem(400, "invalid_order_id");
    app.finish().await;
}
