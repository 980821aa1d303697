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
    assert_unhealthy(&health, "no answer");
    // Why, stands in the log: once for one check.
    let lines = app.hosts[0].log_lines();
    let [line] =
        lines.iter().filter(|line| line["message"] == "the database cannot be used").collect::<Vec<_>>()[..]
    else {
        panic!("{lines:?}");
    };
    assert!(line["cause"].as_str().unwrap().contains("nobody_made_this"), "{line}");
    app.get("/health/live").await.json(200);
    let answer = app.place(&order(&[1])).await;
    let problem = answer.problem(503, "database_unavailable");
    answer.retry_after();
    assert!(!problem.to_string().contains("nobody_made_this"), "{problem}");
    app.abandon().await;
}

/// The report of a service that cannot do its work.
#[track_caller]
fn assert_unhealthy(health: &Value, error: &str) {
    let expected = json!({
        "ok": false, "service": "order-service", "version": env!("CARGO_PKG_VERSION"),
        "checks": { "database": { "ok": false, "error": error } },
    });
    assert_eq!(*health, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_lacks_a_table_file_or_a_function_is_no_health_and_orders_can_be_read() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    for (older, newer) in [
        (
            "CREATE TABLE kept AS SELECT * FROM schema_migrations;
             DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)",
            "INSERT INTO schema_migrations SELECT * FROM kept ON CONFLICT DO NOTHING",
        ),
        (
            "ALTER FUNCTION claim_due_messages RENAME TO gone",
            "ALTER FUNCTION gone RENAME TO claim_due_messages",
        ),
    ] {
        app.store.run(older).await;
        assert_unhealthy(&app.get("/health").await.json(503), "old schema");
        app.get("/health/live").await.json(200);
        assert_eq!(app.read(document.id()).await, document);
        app.store.run(newer).await;
        app.get("/health").await.json(200);
    }
    // One that a later version has migrated is fine.
    app.store.run("INSERT INTO schema_migrations (version) VALUES ('9999_later')").await;
    app.get("/health").await.json(200);
    app.store.run("ALTER TABLE schema_migrations RENAME TO nobody_migrated").await;
    assert_unhealthy(&app.get("/health").await.json(503), "no schema");
    app.store.run("ALTER TABLE nobody_migrated RENAME TO schema_migrations").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_written_is_no_health_and_orders_can_be_read() {
    let app = spawn().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    let name = app.store.database().name.clone();
    // The service's connections are made anew; this test's is as it was.
    let set = async |how: &str| {
        app.store.run(&format!("ALTER DATABASE {name} {how}")).await;
        let cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        app.store.run(cut).await;
    };
    set("SET default_transaction_read_only = on").await;
    assert_unhealthy(&app.get("/health").await.json(503), "read-only");
    app.place(&order(&[2])).await.problem(503, "database_unavailable");
    assert_eq!(app.read(document.id()).await, document);
    app.get(&format!("/v1/orders/{}/events", document.id())).await.json(200);
    set("RESET default_transaction_read_only").await;
    app.get("/health").await.json(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_no_health_and_orders_can_be_read() {
    let mut app = Spawn::new().own_postgres().start().await;
    let document = app.place(&order(&[1])).await.created();
    app.quiesce().await;
    app.postgres().stop_orderly().await;
    let signal = app.postgres().data_dir().join("standby.signal");
    std::fs::write(&signal, "").unwrap();
    app.postgres().start_again().await.unwrap();
    let health = app.get("/health").await.json(503);
    assert_unhealthy(&health, "read-only");
    assert_eq!(app.read(document.id()).await, document);

    app.postgres().stop_orderly().await;
    std::fs::remove_file(&signal).unwrap();
    app.postgres().start_again().await.unwrap();
    app.get("/health").await.json(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_of_hosts_that_spin_cannot_read_is_named_although_it_denies_every_host() {
    let mut app = Spawn::new().variable("peers_https", "https://peers.example/v1").start().await;
    app.expect_errors_in_the_log();
    let health = app.get("/health").await.json(503);
    let error = health["checks"]["configuration"]["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("The variable peers_https is wrong: it must be empty, or one pattern"),
        "{error}"
    );
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
