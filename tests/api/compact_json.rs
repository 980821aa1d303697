//! JSON answers have no whitespace between their tokens. That is checked of every answer of every test (see
//! `support/answer.rs`); here is one of each kind.

use crate::redrive::parked;
use crate::stuck::with_operator;
use crate::support::*;

const ID: &str = "01980000-0000-7000-8000-000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_answer_about_an_order_is_compact() {
    let app = Spawn::new().payment_mode(Mode::Pending).start().await;
    let order_request = order(&[1, 2]);
    let document = app.place(&order_request).await.created();
    assert!(app.place(&order_request).await.is_replayed());
    let (id, payment) = (document.id().to_owned(), document.payment_id().to_owned());

    let pending = app.call_back(&id, &payment, "SUCCESS").await;
    assert!(
        pending.text().starts_with("{\"ok\":true,\"note\":\"payment still pending\",\""),
        "{}",
        pending.text()
    );
    app.settle_silently(&document, PaymentStatus::Success).await;
    let applied = app.call_back(&id, &payment, "SUCCESS").await;
    assert!(applied.json(200).get("note").is_none() && applied.text().starts_with("{\"ok\":true,\""));
    let repeated = app.call_back(&id, &payment, "SUCCESS").await;
    assert_eq!(repeated.json(200)["note"], "already processed");

    let read = app.get(&format!("/v1/orders/{id}")).await;
    assert_eq!(read.header("content-length"), Some(&*read.body.len().to_string()));
    let head = app.request(Method::HEAD, &format!("/v1/orders/{id}")).send().await;
    assert_eq!(head.header("content-length"), read.header("content-length"));
    assert!(!app.journal(&id).await.is_empty());
    app.refund(&id).await.document(200);
    let other = app.place(&order(&[3])).await.created();
    app.cancel(other.id()).await.document(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_answer_to_an_operator_is_compact() {
    let mut app = with_operator(Mode::Succeed).await;
    let id = parked(&app, 1).await;
    assert_eq!(app.stuck().await.orders.len(), 1);
    app.redrive(&json!({ "orders": [id] })).await;
    app.sweep().await;
    app.get("/health").await.json(200);
    app.get("/health/live").await.json(200);
    app.expect_errors_in_the_log();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_problem_is_compact() {
    let app = spawn().await;
    app.get("/nowhere").await.problem(404, "route_not_found");
    app.get(&format!("/v1/orders/{ID}")).await.problem(404, "order_not_found");
    app.place(&order(&[0])).await.problem(422, "validation_failed");
    app.finish().await;
}
