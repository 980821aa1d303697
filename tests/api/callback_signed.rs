//! Callbacks with a Standard Webhooks signature: required once there is a secret, and then believed.

use crate::callback::{applied, pending};
use crate::support::webhook::{OTHER_SECRET, SECRET, now, sign};
use crate::support::*;

pub fn with_secret() -> Spawn {
    Spawn::new().variable("payment_webhook_secret", SECRET).payment_mode(Mode::Pending)
}

fn body(document: &Document, status: &str) -> String {
    json!({ "order_id": document.id(), "payment_id": document.payment_id(), "status": status }).to_string()
}

async fn send(app: &App, id: &str, timestamp: &str, signature: &str, body: &str) -> Answer {
    let request =
        app.request(Method::POST, "/v1/payments/callback").header("content-type", "application/json");
    let request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
    request.header("webhook-signature", signature).body(body.to_owned()).send().await
}

pub async fn signed(app: &App, body: &str) -> Answer {
    let timestamp = now().to_string();
    send(app, "msg_1", &timestamp, &sign(SECRET, "msg_1", &timestamp, body), body).await
}

/// A callback about this order with a good signature.
pub async fn signed_callback(app: &App, document: &Document, status: &str) -> Answer {
    signed(app, &body(document, status)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_callback_is_believed_without_asking_payment() {
    let app = with_secret().start().await;
    for (seat, status, settled, expected) in [
        (1, "SUCCESS", PaymentStatus::Success, "CONFIRMED"),
        (2, "FAILED", PaymentStatus::Failed, "FAILED"),
        (3, "CANCELLED", PaymentStatus::Failed, "FAILED"),
    ] {
        let document = pending(&app, &[seat]).await;
        app.settle_silently(&document, settled).await;
        app.peers.clear_calls().await.unwrap();
        let (note, changed) = applied(&signed(&app, &body(&document, status)).await);
        assert_eq!((note, changed.status()), (None, expected));
        assert_eq!(app.calls("payment.payment").await, 0);
        app.quiesce().await;
        let now_it_is = app.read(document.id()).await;
        let (note, same) = applied(&signed(&app, &body(&document, status)).await);
        assert_eq!((note.as_deref(), same), (Some("already processed"), now_it_is));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_good_signature_among_several_is_enough() {
    let app = with_secret().start().await;
    let document = pending(&app, &[1]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    let body = body(&document, "SUCCESS");
    let timestamp = (now() - 200).to_string();
    let good = sign(SECRET, "msg_2", &timestamp, &body);
    let other = sign(OTHER_SECRET, "msg_2", &timestamp, &body);
    let several = format!("{other} v1a,AAAA {good} v2,BBBB");
    let (_, confirmed) = applied(&send(&app, "msg_2", &timestamp, &several, &body).await);
    assert_eq!(confirmed.status(), "CONFIRMED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_wrong_or_old_signature_is_rejected() {
    let app = with_secret().start().await;
    let document = pending(&app, &[1]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    let body = body(&document, "SUCCESS");
    let (id, now) = ("msg_3", now());
    let timestamp = now.to_string();
    let good = sign(SECRET, id, &timestamp, &body);

    app.call_back(document.id(), document.payment_id(), "SUCCESS").await.problem(403, "callback_rejected");
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut request =
            app.request(Method::POST, "/v1/payments/callback").header("content-type", "application/json");
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &good)]
        {
            if name != missing {
                request = request.header(name, value);
            }
        }
        request.body(body.clone()).send().await.problem(403, "callback_rejected");
    }
    let bare = good.trim_start_matches("v1,");
    // Its last digit is another one.
    let last = if bare.ends_with("A=") { "E=" } else { "A=" };
    let almost = format!("v1,{}{last}", &bare[..bare.len() - 2]);
    for signature in [
        sign(OTHER_SECRET, id, &timestamp, &body),
        sign(SECRET, "msg_4", &timestamp, &body),
        sign(SECRET, id, &(now - 1).to_string(), &body),
        sign(SECRET, id, &timestamp, &(body.clone() + " ")),
        almost,
        bare.to_owned(),
        good.replace("v1,", "v2,"),
        good.replace("v1,", "v1a,"),
        good[..good.len() / 2].to_owned(),
        "v1,".into(),
        "v1,!!!".into(),
        String::new(),
    ] {
        let answer = send(&app, id, &timestamp, &signature, &body).await;
        answer.problem(403, "callback_rejected");
    }
    for timestamp in [now - 301, now + 360, 0, -1] {
        let timestamp = timestamp.to_string();
        let signature = sign(SECRET, id, &timestamp, &body);
        send(&app, id, &timestamp, &signature, &body).await.problem(403, "callback_rejected");
    }
    for timestamp in ["", "now", "1e9", "99999999999999999999", "2026-11-22T10:00:00Z"] {
        let signature = sign(SECRET, id, timestamp, &body);
        send(&app, id, timestamp, &signature, &body).await.problem(403, "callback_rejected");
    }
    assert_eq!(app.read(document.id()).await, document);
    applied(&signed(&app, &body).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_callback_for_another_orders_payment_is_rejected() {
    let app = with_secret().start().await;
    let [first, second] = [pending(&app, &[1]).await, pending(&app, &[2]).await];
    let mixed = json!({ "order_id": first.id(), "payment_id": second.payment_id(), "status": "SUCCESS" });
    let answer = signed(&app, &mixed.to_string()).await;
    assert_eq!(answer.problem_of_order(403, "callback_rejected"), first.id());
    assert_eq!(app.read(first.id()).await, first);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_callback_during_the_charge_leaves_the_order_to_the_sweep() {
    let app = with_secret().payment_mode(Mode::Succeed).start().await;
    // The sandbox's Payment does not sign, takes our 403 for a failure, and answers the charge with a 500.
    let id = app.place(&order(&[1])).await.accepted().id().to_owned();
    app.quiesce().await;
    app.read(&id).await.assert_is("CONFIRMED", "done");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_body_is_checked_like_any_other() {
    let app = with_secret().start().await;
    signed(&app, "{").await.problem(400, "malformed_json");
    signed(&app, "{}").await.problem(422, "validation_failed");
    let unknown = "01980000-0000-7000-8000-000000000000";
    let body = json!({ "order_id": unknown, "payment_id": unknown, "status": "SUCCESS" });
    signed(&app, &body.to_string()).await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_failure_does_not_end_a_refund_that_is_under_way() {
    let app = with_secret().start().await;
    let document = pending(&app, &[1]).await;
    app.settle_silently(&document, PaymentStatus::Success).await;
    applied(&signed(&app, &body(&document, "SUCCESS")).await);
    let silent = app.fault(FaultRule::on(CallName::Refund, Action::LoseRequest).always()).await;
    let refund = app.request(Method::POST, &format!("/v1/orders/{}/refund", document.id()));
    assert_eq!(refund.send().await.document(202).phase(), "refunding");
    for _ in 0..2 {
        let (note, refunding) = applied(&signed(&app, &body(&document, "FAILED")).await);
        assert_eq!((note.as_deref(), refunding.phase()), (Some("already processed"), "refunding"));
    }
    app.remove_fault(silent).await;
    app.quiesce().await;
    let refunded = app.read(document.id()).await;
    assert_eq!((refunded.status(), &refunded["payment"]["status"]), ("REFUNDED", &json!("REFUNDED")));
    app.finish().await;
}
