//! The documentation as a page. What it looks like and does in a browser is tried by `cargo dev docs-test`.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_leads_to_the_page() {
    let app = spawn().await;
    for method in [Method::GET, Method::HEAD] {
        let answer = app.request(method, "/").send().await;
        assert_eq!((answer.status, answer.header("location")), (302, Some("/docs")));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    for path in ["/", "/docs"] {
        let answer = app.request(Method::POST, path).send().await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_may_load_nothing_but_what_is_in_it_and_be_in_no_frame() {
    let app = spawn().await;
    let page = app.get("/docs").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").expect("a policy");
    let directives: Vec<&str> = policy.split("; ").collect();
    for directive in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(directives.contains(&directive), "{directive}: {policy}");
    }
    for kind in ["script-src", "style-src"] {
        let directive = directives.iter().find(|directive| directive.starts_with(kind)).expect(kind);
        let sources: Vec<&str> = directive.split(' ').skip(1).collect();
        assert!(sources.len() == 1 && sources[0].starts_with("'sha256-"), "{directive}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("://"), "{policy}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_may_keep_the_page_and_asks_each_time_whether_it_is_current() {
    let app = spawn().await;
    let page = app.get("/docs").await;
    assert_eq!(page.header("cache-control"), Some("public, no-cache"));
    let etag = page.header("etag").expect("an ETag").to_owned();
    let again = app.request(Method::GET, "/docs").header("if-none-match", &etag).send().await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag.as_str())));
    assert_eq!(again.header("content-security-policy"), page.header("content-security-policy"));
    let other = app.request(Method::GET, "/docs").header("if-none-match", "\"x\"").send().await;
    assert_eq!((other.status, other.body), (200, page.body.clone()));
    let head = app.request(Method::HEAD, "/docs").send().await;
    let length = page.body.len().to_string();
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, Some(length.as_str()))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_there_while_a_variable_is_wrong() {
    let app = Spawn::new().variable("tax_percent", "many").start().await;
    assert_eq!(app.get("/docs").await.status, 200);
    assert_eq!(app.get("/").await.status, 302);
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_served_as_it_stands_and_a_cache_asks_whether_it_is_current() {
    let app = spawn().await;
    let answer = app.get("/openapi.json").await;
    let document: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    assert_eq!(answer.json(200), document);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let etag = answer.header("etag").expect("an ETag").to_owned();
    let again = app.request(Method::GET, "/openapi.json").header("if-none-match", &etag).send().await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag.as_str())));
    let other = app.request(Method::GET, "/openapi.json").header("if-none-match", "\"x\"").send().await;
    assert_eq!((other.status, other.body), (200, answer.body.clone()));
    app.finish().await;
}
