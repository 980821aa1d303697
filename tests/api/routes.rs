//! Paths, methods and the headers of every answer.

use crate::support::*;

const ID: &str = "01980000-0000-7000-8000-000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_path_is_not_found() {
    let app = spawn().await;
    for path in [
        "/docs/",
        "/v1",
        "/v1/",
        "/v2/orders",
        "/v1/order",
        "/v1/orders/",
        "/v1/payments",
        "/v1/payments/callback/x",
        "/health/ready",
        "/metrics/x",
        "/favicon.ico",
        "/v1//orders",
        "/V1/orders",
        "/v1/orders/a/b/c",
        "/internal",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            app.request(method, path).send().await.problem(404, "route_not_found");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_method_is_not_allowed_and_the_answer_says_which_are() {
    let app = spawn().await;
    let order = format!("/v1/orders/{ID}");
    let [events, cancel, refund] = ["events", "cancel", "refund"].map(|word| format!("{order}/{word}"));
    let cases: [(&str, &[&str], &[&str]); 10] = [
        ("/v1/orders", &["PUT", "DELETE", "PATCH", "OPTIONS"], &["POST", "GET", "HEAD"]),
        (&order, &["POST", "PUT", "DELETE", "PATCH"], &["GET", "HEAD"]),
        (&events, &["POST", "PUT", "DELETE", "PATCH"], &["GET", "HEAD"]),
        (&cancel, &["GET", "PUT", "DELETE", "PATCH"], &["POST"]),
        (&refund, &["GET", "PUT", "DELETE", "PATCH"], &["POST"]),
        ("/v1/payments/callback", &["GET", "PUT", "DELETE"], &["POST"]),
        ("/health", &["POST", "PUT", "DELETE"], &["GET", "HEAD"]),
        ("/health/live", &["POST", "DELETE"], &["GET", "HEAD"]),
        ("/metrics", &["POST", "DELETE"], &["GET", "HEAD"]),
        ("/internal/sweep", &["GET", "DELETE"], &["POST"]),
    ];
    for (path, wrong, right) in cases {
        for method in wrong {
            let answer = app.request(method.parse().unwrap(), path).send().await;
            answer.problem(405, "method_not_allowed");
            let allow = answer.header("allow").expect("Allow");
            let allowed: Vec<&str> = allow.split(", ").collect();
            for method in right {
                assert!(allowed.contains(method), "{method} {path}: {allow}");
            }
            assert!(!allowed.contains(method), "{method} {path}: {allow}");
        }
    }
    let odd = app.request(Method::from_bytes(b"BREW").unwrap(), "/v1/orders").send().await;
    odd.problem(405, "method_not_allowed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_works_where_get_does() {
    let app = spawn().await;
    for path in ["/health", "/health/live", "/metrics"] {
        let (get, head) = (app.get(path).await, app.request(Method::HEAD, path).send().await);
        assert_eq!((get.status, head.status, head.body.len()), (200, 200, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert!(head.header("content-length").is_some_and(|length| length != "0"), "{path}");
    }
    for (path, status) in [("/nowhere", 404), ("/v1/payments/callback", 405)] {
        let head = app.request(Method::HEAD, path).send().await;
        assert_eq!((head.status, head.body.len()), (status, 0), "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_request_id_is_given_back_when_it_is_sane() {
    let app = spawn().await;
    let send = |id: String| app.request(Method::GET, "/health/live").header("x-request-id", id);
    for id in ["abc-123", "01J9ZK", "a", ID, "trace:1.2_3", &"x".repeat(64)] {
        assert_eq!(send(id.into()).send().await.header("x-request-id"), Some(id));
    }
    for id in [
        "".into(),
        " ".into(),
        "x".repeat(1000),
        "a b".into(),
        "a\"b".into(),
        "a\tb".into(),
        "é".into(),
        "{\"level\":\"error\"}".into(),
        "<script>".into(),
    ] {
        let answer = send(id.clone()).send().await;
        let given = answer.header("x-request-id").unwrap();
        assert!(given != id && !given.is_empty(), "{id:?} {given:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_a_request_id_of_its_own() {
    let app = spawn().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..5 {
        for answer in [
            app.get("/health").await,
            app.get("/health/live").await,
            app.get("/metrics").await,
            app.get("/nowhere").await,
            app.get(&format!("/v1/orders/{ID}")).await,
            app.get("/v1/orders/x").await,
            app.request(Method::DELETE, "/health").send().await,
            app.request(Method::POST, "/v1/orders").send().await,
        ] {
            ids.insert(answer.header("x-request-id").unwrap().to_owned());
        }
    }
    assert_eq!(ids.len(), 40);
    app.finish().await;
}
