//! What the service writes about its work. That every line is well formed is checked at the end of every test.

use crate::support::webhook::SECRET;
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_name_the_request_and_the_order() {
    let app = Spawn::new().variable("log_level", "debug").start().await;
    let order_request = order(&[1]);
    let answer = order_request.request(&app, 0).header("x-request-id", "req-of-this-test").send().await;
    let document = answer.created();
    app.quiesce().await;
    let lines = app.hosts[0].log_lines();
    let of_request: Vec<&Value> =
        lines.iter().filter(|line| line["request_id"] == "req-of-this-test").collect();
    assert!(!of_request.is_empty(), "{lines:?}");
    assert!(of_request.iter().any(|line| line["order_id"] == document.id()), "{lines:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_hold_no_secrets_and_no_personal_data() {
    let app = Spawn::new()
        .variable("log_level", "debug")
        .variable("internal_token", "a-token-nobody-may-see")
        .variable("payment_webhook_secret", SECRET)
        .variable("database_password", "a-password-nobody-may-see")
        .payment_mode(Mode::Pending)
        .start()
        .await;
    let order_request = order(&[1]).user(918_273_645).key("a-key-that-is-the-clients-own");
    let document = app.place(&order_request).await.created();
    app.settle_silently(&document, PaymentStatus::Success).await;
    app.call_back(document.id(), document.payment_id(), "SUCCESS").await.problem(403, "callback_rejected");
    app.request(Method::POST, "/internal/sweep").header("authorization", "Bearer a-wrong-guess").send().await;
    app.place(&order_request.clone().with("note", "free text of a client").user(-918_273_645)).await;
    app.store.expire(document.id()).await;
    app.quiesce().await;
    let confirmed = app.read(document.id()).await;
    confirmed.assert_is("CONFIRMED", "done");

    let text = format!("{:?}", app.hosts[0].log_lines());
    assert!(text.contains(document.id()), "{text}");
    let code = confirmed.tickets("ticket_code")[0].as_str().unwrap().to_owned();
    for secret in [
        "nobody-may-see",
        "a-wrong-guess",
        SECRET,
        SECRET.trim_start_matches("whsec_"),
        "918273645",
        "clients-own",
        "free text",
        &code,
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_the_whole_cause_of_a_fault_and_the_answer_has_none_of_it() {
    let mut app = spawn().await;
    let id = app.place(&order(&[1])).await.created().id().to_owned();
    app.store.run("ALTER FUNCTION read_order(UUID) RENAME TO no_longer_there").await;
    let answer = app.get(&format!("/v1/orders/{id}")).await;
    let problem = answer.problem(500, "internal_error").to_string();
    for part in ["SELECT", "read_order", "function", "42883"] {
        assert!(!problem.contains(part), "{problem}");
    }
    let lines = app.hosts[0].log_lines();
    let cause = logs::errors(&lines)[0]["cause"].as_str().expect("a cause").to_owned();
    assert!(cause.starts_with("SELECT read_order: function read_order("), "{cause}");
    assert!(cause.ends_with("does not exist (42883)"), "{cause}");
    app.store.run("ALTER FUNCTION no_longer_there(UUID) RENAME TO read_order").await;
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_level_is_a_variable() {
    let app = Spawn::new().variable("log_level", "error").start().await;
    app.place(&order(&[1])).await.created();
    app.place(&order(&[1])).await.problem(409, "seats_unavailable");
    app.get("/nowhere").await.problem(404, "route_not_found");
    app.quiesce().await;
    let lines = app.hosts[0].log_lines();
    assert!(lines.is_empty(), "{lines:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_sends_cannot_forge_a_line() {
    let app = spawn().await;
    let forged = "x\",\"level\":\"error\",\"message\":\"forged";
    app.place(&order(&[1]).user(forged).event("\n{\"level\":\"error\"}"))
        .await
        .problem(422, "validation_failed");
    app.get("/v1/orders/%0A%7B%22level%22:%22error%22%7D").await.problem(400, "invalid_order_id");
    app.get("/health/live?%0A{%22level%22:%22error%22}").await.json(200);
    // Seating's own refusal, and what something in front of it says, which is no answer.
    let own = json!({
        "status": 409, "message": "Seats are not available: \n{\"level\":\"error\"}\n", "timestamp": forged,
    });
    app.fault(FaultRule::on(CallName::Reserve, garbage_with(409, &own.to_string(), false)).seat(2)).await;
    app.place(&order(&[2])).await.problem_of_order(409, "seats_unavailable");
    let foreign = garbage_with(409, "\n{\"level\":\"error\"}\n", false);
    app.fault(FaultRule::on(CallName::Reserve, foreign).seat(3)).await;
    app.place(&order(&[3])).await.created();
    assert!(logs::errors(&app.hosts[0].log_lines()).is_empty());
    app.finish().await;
}
