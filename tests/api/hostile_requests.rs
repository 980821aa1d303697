//! Requests that try to be read in two ways: paths, repeated headers, repeated members, numbers in odd spellings.

use crate::support::*;

const ID: &str = "01980000-0000-7000-8000-000000000000";

fn raw(method: &str, target: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: order-service\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_is_taken_as_it_is_written() {
    let app = Spawn::new().variable("internal_token", "operator").start().await;
    let long = "a".repeat(8_000);
    for (method, target, status, code) in [
        ("GET", "/v1/orders/../../internal/stuck".to_owned(), 404, "route_not_found"),
        ("GET", "/v1/orders/%2e%2e/%2e%2e/internal/stuck".to_owned(), 404, "route_not_found"),
        ("GET", "/v1/orders/%2e%2e".to_owned(), 400, "invalid_order_id"),
        ("GET", "/v1/orders/..".to_owned(), 400, "invalid_order_id"),
        ("POST", "/v1/orders/%2e%2e/cancel".to_owned(), 400, "invalid_order_id"),
        ("GET", format!("/v1/orders/%30{}", &ID[1..]), 400, "invalid_order_id"),
        ("GET", format!("/v1/orders/{ID}%00"), 400, "invalid_order_id"),
        ("GET", format!("/v1/orders/{ID}%2fevents"), 400, "invalid_order_id"),
        ("GET", format!("/v1/orders/{ID};v=1"), 400, "invalid_order_id"),
        ("GET", format!("//v1/orders/{ID}"), 404, "route_not_found"),
        ("GET", format!("/v1//orders/{ID}"), 404, "route_not_found"),
        ("GET", format!("/v1/orders//{ID}"), 404, "route_not_found"),
        ("GET", format!("/v1/orders/{ID}/"), 404, "route_not_found"),
        ("GET", format!("/v1/orders/{ID}//events"), 404, "route_not_found"),
        ("GET", format!("/v1/%6frders/{ID}"), 404, "route_not_found"),
        ("GET", "//internal/stuck".to_owned(), 404, "route_not_found"),
        ("GET", "/INTERNAL/stuck".to_owned(), 404, "route_not_found"),
        ("GET", "/internal//stuck".to_owned(), 401, "unauthorized"),
        ("GET", "/internal/%73tuck".to_owned(), 401, "unauthorized"),
        ("GET", format!("/{long}"), 404, "route_not_found"),
        ("GET", format!("/v1/orders/{long}"), 400, "invalid_order_id"),
        ("GET", format!("/v1/orders/{ID}?{long}"), 404, "order_not_found"),
    ] {
        let answer = raw_http::exchange(&app.hosts[0], raw(method, &target, &[], "")).await;
        let shown = &target[..target.len().min(80)];
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {shown}: {answer:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_may_come_once_is_refused_when_it_comes_twice() {
    let app = Spawn::new().variable("internal_token", "operator").start().await;
    let json = "Content-Type: application/json";
    let body = r#"{"user_id":101,"event_id":101,"seats":[1]}"#;
    let keys = [json, "Idempotency-Key: one", "Idempotency-Key: two"];
    let same = [json, "Idempotency-Key: one", "Idempotency-Key: one"];
    let list = [json, "Idempotency-Key: one, two"];
    for headers in [&keys[..], &same, &list] {
        let answer = raw_http::exchange(&app.hosts[0], raw("POST", "/v1/orders", headers, body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_idempotency_key"), "{headers:?}");
    }
    for tokens in [["wrong", "operator"], ["operator", "wrong"], ["operator", "operator"]] {
        let tokens = tokens.map(|token| format!("Authorization: Bearer {token}"));
        let headers = [&*tokens[0], &*tokens[1]];
        let answer = raw_http::exchange(&app.hosts[0], raw("GET", "/internal/stuck", &headers, "")).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{headers:?}");
    }
    let types = [json, "Content-Type: text/plain", "Idempotency-Key: one"];
    let answer = raw_http::exchange(&app.hosts[0], raw("POST", "/v1/orders", &types, body)).await;
    assert_eq!((answer.status, answer.code().as_str()), (415, "unsupported_media_type"));
    assert_eq!(app.store.value("SELECT count(*) FROM orders").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_twice_makes_no_order() {
    let app = spawn().await;
    for body in [
        r#"{"user_id":101,"event_id":101,"seats":[1],"seats":[2]}"#,
        r#"{"user_id":101,"user_id":102,"event_id":101,"seats":[1]}"#,
        r#"{"user_id":101,"event_id":101,"seats":[1],"us\u0065r_id":102}"#,
        r#"{"user_id":101,"event_id":101,"seats":[1],"seats":[1]}"#,
        r#"{"x":1,"user_id":101,"event_id":101,"seats":[1],"x":2}"#,
    ] {
        let request = app.request(Method::POST, "/v1/orders").header("idempotency-key", "twice");
        let answer = request.header("content-type", "application/json").body(body).send().await;
        let problem = answer.problem(400, "malformed_json");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("twice")), "{problem}");
    }
    assert_eq!(app.store.value("SELECT count(*) FROM orders").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_twice_changes_no_order() {
    let spawn = Spawn::new().variable("internal_token", TOKEN).payment_mode(Mode::Pending);
    let app = spawn.start().await;
    let placed = app.place(&order(&[1])).await.created();
    let (id, payment) = (placed.id(), placed.payment_id());
    let before = app.read(id).await;
    let (callback, redrive) = ("/v1/payments/callback", "/internal/redrive");
    let resolve = format!("/internal/orders/{id}/resolve");
    let [cancel, refund] = ["cancel", "refund"].map(|word| format!("/v1/orders/{id}/{word}"));
    for (path, body) in [
        (
            callback,
            format!(r#"{{"order_id":"{id}","payment_id":"{payment}","status":"FAILED","status":"SUCCESS"}}"#),
        ),
        (
            callback,
            format!(r#"{{"order_id":"{ID}","order_id":"{id}","payment_id":"{payment}","status":"SUCCESS"}}"#),
        ),
        (
            callback,
            format!(
                r#"{{"order_id":"{id}","payment_id":"{ID}","payment_\u0069d":"{payment}","status":"SUCCESS"}}"#
            ),
        ),
        (
            callback,
            format!(r#"{{"order_id":"{id}","payment_id":"{payment}","status":"SUCCESS","x":1,"x":1}}"#),
        ),
        (&resolve, r#"{"payment":"taken","payment":"not_taken"}"#.to_owned()),
        (&resolve, r#"{"payment":"not_taken","payment":"not_taken"}"#.to_owned()),
        (&resolve, format!(r#"{{"payment":"taken","payment_id":"{ID}","payment_id":"{payment}"}}"#)),
        (&resolve, r#"{"payment":"not_taken","reason":"a","reas\u006fn":"b"}"#.to_owned()),
        (redrive, format!(r#"{{"orders":[],"orders":["{id}"]}}"#)),
        (redrive, format!(r#"{{"orders":["{id}"],"messages":[],"messages":[]}}"#)),
        (redrive, r#"{"orders":[],"\u006frders":[]}"#.to_owned()),
        // Members that are not known are refused here, and this before.
        (&cancel, r#"{"x":1,"x":2}"#.to_owned()),
        (&refund, r#"{"x":1,"x":2}"#.to_owned()),
    ] {
        let request = app.operator(Method::POST, path).header("content-type", "application/json");
        let problem = request.body(body.clone()).send().await.problem(400, "malformed_json");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains("twice")),
            "{body}: {problem}"
        );
    }
    assert_eq!(*app.read(id).await, *before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_an_integer_only_when_it_is_written_as_one() {
    let app = spawn().await;
    for number in
        ["1e3", "1.0", "101.5", "1E0", "-1", "0", "-0", "1e999", "2147483648", "\"1.0\"", "\" 1\"", "\"+1\""]
    {
        for (member, pointer) in
            [("user_id", "#/user_id"), ("event_id", "#/event_id"), ("seats", "#/seats/0")]
        {
            let value = |name: &str| match name == member {
                true => number.to_owned(),
                false => "101".to_owned(),
            };
            let body = format!(
                r#"{{"user_id":{},"event_id":{},"seats":[{}]}}"#,
                value("user_id"),
                value("event_id"),
                value("seats")
            );
            let request = app.request(Method::POST, "/v1/orders").header("idempotency-key", "number");
            let answer = request.header("content-type", "application/json").body(body.clone()).send().await;
            let problem = answer.problem(422, "validation_failed");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
            assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1), "{body}: {problem}");
        }
    }
    assert_eq!(app.store.value("SELECT count(*) FROM orders").await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_says_of_its_own_address_or_route_changes_nothing() {
    let app = Spawn::new().variable("internal_token", "operator").start().await;
    let spoofed = [
        "Spin-Client-Addr: 127.0.0.1:1",
        "Spin-Path-Info: /internal/stuck",
        "Spin-Full-Url: http://order-service/internal/stuck",
        "Spin-Matched-Route: /internal/...",
        "X-Forwarded-For: 127.0.0.1",
        "X-Original-Url: /internal/stuck",
        "X-Http-Method-Override: GET",
        "Forwarded: for=127.0.0.1",
        "X-User-Id: 1",
    ];
    for (method, target, status, code) in [
        ("GET", "/internal/stuck", 401, "unauthorized"),
        ("POST", "/internal/sweep", 401, "unauthorized"),
        ("GET", "/nowhere", 404, "route_not_found"),
        ("DELETE", "/v1/orders", 405, "method_not_allowed"),
    ] {
        let answer = raw_http::exchange(&app.hosts[0], raw(method, target, &spoofed, "")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {target}");
    }
    let lines = app.hosts[0].log_lines();
    assert!(!format!("{lines:?}").contains("127.0.0.1:1"), "{lines:?}");
    app.finish().await;
}
