//! `GET /health` and `GET /health/live`.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_of_the_service_and_its_database() {
    let app = spawn().await;
    let health = app.get("/health").await.json(200);
    let latency = &health["checks"]["database"]["latency_ms"];
    assert!(latency.as_f64().is_some_and(|ms| ms >= 0.0), "{health}");
    let expected = json!({
        "ok": true, "service": "order-service", "version": env!("CARGO_PKG_VERSION"),
        "checks": { "database": { "ok": true, "latency_ms": latency } },
    });
    assert_eq!(health, expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_asks_no_peer() {
    let app = spawn().await;
    for peer in [Peer::Catalog, Peer::Seating, Peer::Payment, Peer::Notification] {
        app.take_peer_down(peer).await;
    }
    app.get("/health").await.json(200);
    app.get("/health/live").await.json(200);
    app.assert_no_calls().await;
    app.peers.clear_faults().await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_exist_is_no_health_but_life() {
    let app = Spawn::new().variable("database_name", "nobody_made_this").start().await;
    let health = app.get("/health").await.json(503);
    assert_eq!((&health["ok"], &health["checks"]["database"]["ok"]), (&json!(false), &json!(false)));
    assert!(!health.to_string().contains("nobody_made_this"), "{health}");
    app.get("/health/live").await.json(200);
    let answer = app.place(&order(&[1])).await;
    let problem = answer.problem(503, "database_unavailable");
    answer.retry_after();
    assert!(!problem.to_string().contains("nobody_made_this"), "{problem}");
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_variable_is_no_health_but_life() {
    let mut app = Spawn::new().variable("tax_percent", "five-percent").start().await;
    app.expect_errors_in_the_log();
    app.get("/health/live").await.json(200);
    assert!(app.hosts[0].log_lines().is_empty());
    let health = app.get("/health").await.json(503);
    let error = "The variable tax_percent is wrong: it must be a decimal number from 0 to 1000.";
    let expected = json!({
        "ok": false, "service": "order-service", "version": env!("CARGO_PKG_VERSION"),
        "checks": { "configuration": { "ok": false, "error": error } },
    });
    assert_eq!(health, expected);
    let lines = app.hosts[0].log_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["level"], &lines[0]["cause"]), (&json!("error"), &json!(error)));
    let head = app.request(Method::HEAD, "/health").send().await;
    assert_eq!((head.status, head.body.len()), (503, 0));
    app.place(&order(&[1])).await.problem(500, "internal_error");
    app.abandon().await;
}
