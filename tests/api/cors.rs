//! Web pages of other origins: which may read the answers, and how a browser learns it.

use crate::support::*;

const SHOP: &str = "https://shop.example";
const SECOND: &str = "http://localhost:5173";

/// Origins that an allowed one could be mistaken for.
const LOOKALIKES: &[&str] = &[
    "https://shop.example.evil.example",
    "https://evil-shop.example",
    "https://sub.shop.example",
    "https://shop.example:8443",
    "https://shop.example/",
    "https://shop.exampl",
    "https://shop.example, https://evil.example",
    "https://shop.example http://localhost:5173",
    "https://SHOP.example",
    "http://shop.example",
    "https://shopxexample",
    "http://localhost:51730",
    "null",
    "*",
    "",
];

async fn spawn_with_origins() -> App {
    Spawn::new().variable("cors_allowed_origins", &format!("{SHOP}\n {SECOND}")).start().await
}

fn preflight(app: &App, path: &str, origin: &str, method: &str) -> Request {
    let request = app.request(Method::OPTIONS, path).header("origin", origin);
    request
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,idempotency-key")
}

fn list(answer: &Answer, name: &str) -> Vec<String> {
    let list = answer.header(name).unwrap_or_else(|| panic!("{name} in {answer:?}"));
    list.split(", ").map(str::to_ascii_lowercase).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_origins_page_reads_answers_and_errors_alike() {
    let app = spawn_with_origins().await;
    for origin in [SHOP, SECOND] {
        for path in ["/health", "/v1/orders/x", "/nowhere"] {
            let answer = app.request(Method::GET, path).header("origin", origin).send().await;
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{path}");
            assert_eq!(answer.header("vary"), Some("Origin"), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
            let readable = list(&answer, "access-control-expose-headers");
            for name in ["etag", "location", "retry-after", "x-request-id", "idempotent-replayed"] {
                assert!(readable.iter().any(|readable| readable == name), "{name} in {readable:?}");
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_tells_an_allowed_origin_what_it_may_send() {
    let app = spawn_with_origins().await;
    let order = "/v1/orders/01980000-0000-7000-8000-000000000000";
    for (path, method, allowed) in [
        ("/v1/orders".to_owned(), "POST", vec!["post"]),
        (order.to_owned(), "GET", vec!["get", "head"]),
        (format!("{order}/cancel"), "POST", vec!["post"]),
    ] {
        let answer = preflight(&app, &path, SHOP, method).send().await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP), "{path}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{path}");
        let methods = list(&answer, "access-control-allow-methods");
        assert!(
            allowed.iter().all(|method| methods.iter().any(|other| other == method)),
            "{path}: {methods:?}"
        );
        let names = list(&answer, "access-control-allow-headers");
        for name in ["authorization", "content-type", "idempotency-key", "if-none-match"] {
            assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
        }
        assert!(answer.header("access-control-max-age").is_some(), "{path}");
    }
    preflight(&app, "/nowhere", SHOP, "GET").send().await.problem(404, "route_not_found");
    // Without the method that is asked for it is no preflight.
    let request = app.request(Method::OPTIONS, "/v1/orders").header("origin", SHOP);
    request.send().await.problem(405, "method_not_allowed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_only_looks_like_an_allowed_one_gets_nothing() {
    let app = spawn_with_origins().await;
    for origin in LOOKALIKES {
        let answer = app.request(Method::GET, "/health").header("origin", origin).send().await;
        assert_eq!(answer.status, 200, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{origin}");
        let answer = preflight(&app, "/v1/orders", origin, "POST").send().await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    // Two of them, one of which is allowed.
    let two =
        app.request(Method::GET, "/health").header("origin", SHOP).header("origin", "https://evil.example");
    assert_eq!(two.send().await.header("access-control-allow-origin"), None);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_endpoints_are_for_no_page() {
    let app = Spawn::new()
        .variable("cors_allowed_origins", SHOP)
        .variable("internal_token", "operator")
        .start()
        .await;
    let stuck = app.request(Method::GET, "/internal/stuck").header("authorization", "Bearer operator");
    let stuck = stuck.header("origin", SHOP).send().await;
    stuck.json(200);
    assert_eq!(stuck.header("access-control-allow-origin"), None);
    preflight(&app, "/internal/stuck", SHOP, "GET").send().await.problem(401, "unauthorized");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_allowed_origins_there_is_no_cors() {
    let app = spawn().await;
    let answer = app.request(Method::GET, "/health").header("origin", SHOP).send().await;
    for name in ["access-control-allow-origin", "vary"] {
        assert_eq!(answer.header(name), None);
    }
    preflight(&app, "/v1/orders", SHOP, "POST").send().await.problem(405, "method_not_allowed");
    app.finish().await;
}
