//! Cancel and refund take no body, or an empty object: any other body is refused and has no effect.

use crate::callback::pending;
use crate::support::*;
use crate::validation::pointers;

const LIMIT: usize = 64 * 1024;

/// An order that could be cancelled, one that could be refunded, and the paths at which to do it.
async fn victims(app: &App) -> [(String, String); 2] {
    let waiting = pending(app, &[1]).await.id().to_owned();
    app.set_payment_mode(Mode::Succeed).await;
    let confirmed = app.place(&order(&[2])).await.created().id().to_owned();
    app.quiesce().await;
    [("cancel", waiting), ("refund", confirmed)].map(|(verb, id)| (format!("/v1/orders/{id}/{verb}"), id))
}

/// Sends all of these, each to both paths: each is refused in this way, and nothing has changed.
async fn refused(app: &App, bodies: &[(&str, Option<&str>, Vec<u8>)], status: u16, code: &str) {
    for (path, id) in victims(app).await {
        let before = app.state_of(&id).await;
        app.peers.clear_calls().await.unwrap();
        for (what, content_type, body) in bodies {
            let mut request = app.request(Method::POST, &path);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = request.body(body.clone()).send().await;
            assert_eq!(answer.status, status, "{what} at {path}: {}", answer.text());
            let problem = answer.problem(status, code);
            assert_eq!(app.state_of(&id).await, before, "{what} at {path}: {problem}");
        }
        app.assert_no_calls().await;
    }
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_or_an_empty_object_will_do() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let bodies: [(Option<&str>, &str); 5] = [
        (None, ""),
        (JSON, ""),
        (JSON, "{}"),
        (Some("application/json; charset=utf-8"), " {\n} "),
        // An empty body needs no content type, and may have any.
        (Some("text/plain"), ""),
    ];
    for (seat, (content_type, body)) in (1..).zip(bodies) {
        app.set_payment_mode(Mode::Pending).await;
        let waiting = pending(&app, &[seat]).await;
        app.set_payment_mode(Mode::Succeed).await;
        let confirmed = app.place(&order(&[seat + 10])).await.created();
        for (document, verb, status) in
            [(&waiting, "cancel", "CANCELLED"), (&confirmed, "refund", "REFUNDED")]
        {
            let path = format!("/v1/orders/{}/{verb}", document.id());
            let mut request = app.request(Method::POST, &path).body(body);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            assert_eq!(request.send().await.document(200).status(), status, "{content_type:?} {body:?}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_refused_and_every_one_is_listed() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let body = json!({ "reason": "ill", "amount_cents": 5 });
    for (path, id) in victims(&app).await {
        let before = app.state_of(&id).await;
        let answer = app.request(Method::POST, &path).json(&body).send().await;
        let problem = answer.problem(422, "validation_failed");
        let mut listed = pointers(&problem);
        listed.sort_unstable();
        assert_eq!(listed, ["#/amount_cents", "#/reason"], "{problem}");
        assert_eq!(app.state_of(&id).await, before);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_no_object_is_refused() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let bodies = ["[]", "[{}]", "null", "true", "7", "\"cancel\""];
    let bodies = bodies.map(|body| (body, JSON, body.as_bytes().to_vec()));
    refused(&app, &bodies, 422, "validation_failed").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_is_malformed() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let bodies = ["{", "}", "{} {}", "{,}", "cancel", "<cancel/>", "a=b", "\u{feff}x", " "]
        .map(|b| (b, JSON, b.into()));
    refused(&app, &bodies, 400, "malformed_json").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_another_content_type_is_not_supported() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let types = [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("")];
    let bodies = types.map(|content_type| (content_type.unwrap_or("none"), content_type, b"{}".to_vec()));
    refused(&app, &bodies, 415, "unsupported_media_type").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_64_kib_is_too_large() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let spaces = [b"{".to_vec(), vec![b' '; LIMIT], b"}".to_vec()].concat();
    refused(&app, &[("many spaces", JSON, spaces)], 413, "body_too_large").await;
    app.finish().await;
}
