//! What the platform promises and we rely on.

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_the_host_forbids_is_a_peer_that_does_not_answer() {
    let app = Spawn::new().variable("peers_http", "http://peers.example:80").start().await;
    let answer = app.place(&order(&[1])).await;
    answer.problem(503, "peer_unavailable");
    answer.retry_after();
    app.assert_no_calls().await;
    app.get("/health").await.json(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_next_peer_is_forbidden_stays_under_way_until_it_expires() {
    // A second sandbox on a port of its own, which the list of allowed hosts does not have.
    let elsewhere = Peers::start(Default::default()).await.unwrap();
    let forbidden = format!("{}/seating", elsewhere.url());
    let allowed = order_dev::free_port().unwrap();
    let app = Spawn::new().sandbox_port(allowed).variable("seating_url", &forbidden);
    let mut app = app.variable("peers_http", &format!("http://127.0.0.1:{allowed}")).start().await;
    let document = app.place(&order(&[1])).await.accepted();
    document.assert_is("PENDING", "reserving");
    app.store.expire(document.id()).await;
    let expired = eventually("it expires", async || {
        app.sweep().await;
        Some(app.read(document.id()).await).filter(|order| order.status() == "CANCELLED")
    })
    .await;
    assert_eq!((expired.phase(), expired.failure()), ("releasing", Some("expired")), "nobody has looked");
    assert!(elsewhere.control().calls().await.unwrap().calls.is_empty());
    // With a Seating that may be called a look ends it, and the seat can be sold.
    let seating = format!("{}/seating", app.peers_url());
    app.hosts[0].set_variable("seating_url", &seating);
    app.hosts[0].start_again().await.unwrap();
    app.quiesce().await;
    app.read(document.id()).await.assert_is("CANCELLED", "done");
    app.place(&order(&[1]).user(7)).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_where_nobody_listens_does_not_answer() {
    let nobody = format!("http://127.0.0.1:{}/catalog", order_dev::free_port().unwrap());
    let app = Spawn::new().variable("catalog_url", &nobody).start().await;
    app.place(&order(&[1])).await.problem(503, "peer_unavailable");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn base_urls_may_end_in_a_slash() {
    let port = order_dev::free_port().unwrap();
    let mut spawning = Spawn::new().sandbox_port(port);
    for peer in ["catalog", "seating", "payment", "notification"] {
        spawning = spawning.variable(&format!("{peer}_url"), &format!("http://localhost:{port}/{peer}/"));
    }
    let app = spawning.variable("peers_http", "http://localhost:*").start().await;
    app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_variable_is_one_clear_error_that_names_it_and_not_its_value() {
    for (name, value) in [
        ("tax_percent", "five-percent"),
        ("currency", "rupees"),
        ("order_ttl_seconds", "soon"),
        ("max_seats_per_order", "minus-seven"),
        ("catalog_cache_seconds", "forever"),
        ("database_port", "postgres"),
        ("seating_url", "seating.internal"),
        ("payment_webhook_secret", "not-a-webhook-secret"),
        ("log_level", "chatty"),
        ("cors_allowed_origins", "https://*.shop.example"),
        ("cors_allowed_origins", "https://shop.example/"),
        ("cors_allowed_origins", "https://a.example,https://b.example"),
    ] {
        let mut app = Spawn::new().variable(name, value).start().await;
        app.expect_errors_in_the_log();
        let answer = app.place(&order(&[1])).await;
        assert!([500, 503].contains(&answer.status), "{name}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
        assert!(!answer.text().contains(value), "{name}: {}", answer.text());
        let lines = app.hosts[0].log_lines();
        let errors = logs::errors(&lines);
        assert!(errors.iter().any(|line| line.to_string().contains(name)), "{name}: {lines:?}");
        assert!(errors.iter().all(|line| !line.to_string().contains(value)), "{name}: {lines:?}");
        app.abandon().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_come_and_go_and_nobody_notices() {
    let app = spawn().await;
    // More than an instance lives for, one after the other and at once.
    for _ in 0..150 {
        app.get("/health").await.json(200);
    }
    for answer in futures::future::join_all((0..150).map(|_| app.get("/health"))).await {
        answer.json(200);
    }
    app.place(&order(&[1])).await.created();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_no_http_do_no_harm() {
    let app = spawn().await;
    for bytes in [
        &b"hello\r\n\r\n"[..],
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Odd: \xff\xfe\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: nine\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ] {
        let answer = raw_http::send_and_close(&app.hosts[0], bytes).await;
        assert!([0, 400, 500].contains(&answer.status), "{answer:?}");
    }
    app.get("/health").await.json(200);
    crate::validation::assert_no_trace(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_does_not_stop_its_order() {
    let app = spawn().await;
    let fault = app.fault(stall(CallName::Reserve, 1000, Moment::Before)).await;
    let (detached_client, order_request) = (app.detached_client(0), order(&[1]));
    let gone = order_request.clone();
    let client = tokio::spawn(async move { detached_client.place(&gone).await.map(drop) });
    app.until_fault_hit(fault).await;
    client.abort();
    let path = format!("SELECT status FROM orders WHERE idempotency_key = '{}'", order_request.key);
    eventually("the order is confirmed without a sweep", async || {
        (app.store.value(&path).await == "CONFIRMED").then_some(())
    })
    .await;
    app.finish().await;
}
