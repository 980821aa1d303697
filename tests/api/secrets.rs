//! Secrets as people have them: with a line break at the end, and two at once while one takes the place of the other; and the
//! codes that are secrets of the buyers.

use order_dev::mosquitto::Mosquitto;

use crate::callback::{applied, pending};
use crate::refund::confirmed;
use crate::support::webhook::{OTHER_SECRET, SECRET, now, sign};
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whitespace_around_the_internal_token_is_not_part_of_it() {
    for token in [format!("{TOKEN}\n"), format!(" {TOKEN} \r\n")] {
        let app = Spawn::new().variable("internal_token", &token).start().await;
        app.stuck().await;
        app.get("/internal/stuck").await.problem(401, "unauthorized");
        app.finish().await;
    }
    // Nothing but whitespace is no token.
    let app = Spawn::new().variable("internal_token", " \n").start().await;
    app.get("/internal/stuck").await.problem(403, "forbidden");
    app.request(Method::POST, "/internal/sweep").send().await.json(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_several_webhook_secrets_verifies() {
    let secrets = format!("{OTHER_SECRET} {SECRET}\n");
    let app =
        Spawn::new().variable("payment_webhook_secret", &secrets).payment_mode(Mode::Pending).start().await;
    for (seat, secret) in [(1, SECRET), (2, OTHER_SECRET)] {
        let document = pending(&app, &[seat]).await;
        app.settle_silently(&document, PaymentStatus::Success).await;
        let body =
            json!({ "order_id": document.id(), "payment_id": document.payment_id(), "status": "SUCCESS" });
        let (body, timestamp) = (body.to_string(), now().to_string());
        let send = async |secret: &str| {
            let request = app.request(Method::POST, "/v1/payments/callback");
            let request = request.header("content-type", "application/json").header("webhook-id", "msg");
            let request = request.header("webhook-timestamp", &timestamp);
            let signature = sign(secret, "msg", &timestamp, &body);
            request.header("webhook-signature", signature).body(body.clone()).send().await
        };
        let third = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        send(third).await.problem(403, "callback_rejected");
        let (_, confirmed) = applied(&send(secret).await);
        assert_eq!(confirmed.status(), "CONFIRMED");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secrets_of_sinks_are_in_no_log_and_no_answer() {
    let broker = Mosquitto::start(Some(("orders", "right"))).await.unwrap();
    let url = format!("mqtt://orders:hunter2@127.0.0.1:{}", broker.port());
    let spawn = Spawn::new().event_endpoint().variable("events_webhook_secret", SECRET);
    let spawn = spawn.variable("events_mqtt_url", &url).variable("internal_token", TOKEN);
    let app = spawn.variable("log_level", "debug").start().await;
    app.fault(FaultRule::on(CallName::TakeEvent, fail(503)).always()).await;
    app.place(&order(&[1])).await.created();
    let deliveries = eventually("both sinks have refused", async || {
        app.sweep().await;
        let found = app.operator(Method::GET, "/internal/deliveries").send().await.json(200);
        let sinks = found["sinks"].as_array().expect("sinks");
        let has_refused =
            |name: &str| sinks.iter().any(|sink| sink["sink"] == name && sink["reason"] != Value::Null);
        (has_refused("http") && has_refused("mqtt")).then_some(found)
    })
    .await;
    let mut told = format!("{deliveries}{}", app.get("/health").await.text());
    for file in std::fs::read_dir(app.hosts[0].log_dir()).expect("logs") {
        told.push_str(&std::fs::read_to_string(file.expect("a file").path()).expect("text"));
    }
    assert!(told.contains("events.mqtt") && told.contains("events.http"), "{told}");
    let key = SECRET.strip_prefix("whsec_").expect("the prefix");
    assert!(!told.contains("hunter2") && !told.contains(key), "{told}");
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticket_codes_are_of_letters_and_digits_alone() {
    let app = spawn().await;
    let mut codes = std::collections::BTreeSet::new();
    // One code in nine would have another sign.
    for first in (3001..3101).step_by(10) {
        let seats: Vec<i64> = (first..first + 10).collect();
        let document = app.place(&order(&seats).event(106)).await.created();
        codes.extend(
            document.tickets("ticket_code").iter().map(|code| code.as_str().expect("a code").to_owned()),
        );
    }
    assert_eq!(codes.len(), 100);
    for code in codes {
        let body = code.strip_prefix("TKT-").expect("the prefix");
        let is_fine = body.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
        assert!(is_fine && body.len() == 27, "{code}");
    }
    app.finish().await;
}

/// Codes of a version that took all of Crockford's check symbols.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticket_codes_that_end_in_other_signs_stay_valid() {
    let app = spawn().await;
    let document = confirmed(&app, &[1, 2, 3, 4]).await;
    let codes = ["0*", "1~", "2$", "3="].map(|end| format!("TKT-{:025}{end}", 1));
    for (seat, code) in (1..).zip(&codes) {
        let sql = format!("UPDATE tickets SET ticket_code = '{code}' WHERE seat_id = {seat}");
        app.store.run(&sql).await;
    }
    let read = app.read(document.id()).await;
    assert_eq!(read.tickets("ticket_code"), codes);
    assert_eq!(read.tickets("status"), ["VALID"; 4]);
    let refunded = app.refund(document.id()).await.document(200);
    refunded.assert_is("REFUNDED", "done");
    assert_eq!(refunded.tickets("ticket_code"), codes);
    assert_eq!(app.read(document.id()).await.tickets("ticket_code"), codes);
    app.finish().await;
}
