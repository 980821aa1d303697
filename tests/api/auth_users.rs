//! Tokens as the system's user service makes them: a name, signed by a shared secret.

use crate::support::tokens::{self, now};
use crate::support::*;

const PATH: &str = "/v1/orders/01980000-0000-7000-8000-000000000000";

async fn spawn_with_users() -> App {
    Spawn::new().variable("auth_jwt_secret", order_dev::peers::JWT_SECRET).start().await
}

async fn read(app: &App, name: &str) -> Answer {
    app.request(Method::GET, PATH).token(&order_dev::peers::token(name, now())).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_logged_in_places_and_reads_own_orders() {
    let app = spawn_with_users().await;
    let login = app.log_in("alice").await;
    let mut request = order(&[1]);
    request.body.as_object_mut().expect("an object").remove("user_id");
    let placed = request.request(&app, 0).token(&login).send().await.created();
    assert_eq!(placed["order"]["user_id"], 101);
    let path = format!("/v1/orders/{}", placed.id());
    app.request(Method::GET, &path).token(&login).send().await.document(200);
    let bob = app.log_in("bob").await;
    app.request(Method::GET, &path).token(&bob).send().await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_active_is_refused_and_an_unknown_name_is_nobody() {
    let app = spawn_with_users().await;
    read(&app, "mallory").await.problem(403, "forbidden");
    read(&app, "nobody").await.problem(401, "unauthorized");
    for name in ["..", ".", "../username/alice", "alice/../alice", "alice?x=1", "alice#", "%61lice", "Alice"]
    {
        read(&app, name).await.problem(401, "unauthorized");
    }
    let odd = "r\u{e9}n\u{e9}e o'hara/&?";
    app.peers.put_account(&Account::new(104, odd, "ACTIVE")).await.expect("the account is taken");
    read(&app, odd).await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_account_is_asked_for_once_by_an_instance() {
    let app = spawn_with_users().await;
    for _ in 0..20 {
        read(&app, "alice").await.problem(404, "order_not_found");
    }
    let asked = app.calls("user.by_name").await;
    assert!((1..=5).contains(&asked), "{asked}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_user_service_does_not_answer_nobody_is_known_by_name() {
    let app = spawn_with_users().await;
    app.take_peer_down(Peer::User).await;
    let answer = read(&app, "bob").await;
    answer.problem(503, "peer_unavailable");
    assert!(answer.header("retry-after").is_some());
    // An id needs no user service.
    let secret = order_dev::peers::JWT_SECRET;
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let claims = tokens::with_times(json!({ "sub": "101" })).to_string();
    let by_id = tokens::signed_by(r#"{"alg":"HS512"}"#, &claims, &key, jsonwebtoken::Algorithm::HS512);
    app.request(Method::GET, PATH).token(&by_id).send().await.problem(404, "order_not_found");
    app.take_peer_up(Peer::User).await;
    for (status, body) in [
        (404, "<html>no route</html>"),
        (500, "{}"),
        (200, "<html></html>"),
        (200, "{}"),
        (200, r#"{"id":102,"username":"alice","status":"ACTIVE"}"#),
    ] {
        let fault =
            app.fault(FaultRule::on(CallName::ByName, garbage_with(status, body, false)).always()).await;
        read(&app, "bob").await.problem(503, "peer_unavailable");
        app.remove_fault(fault).await;
    }
    read(&app, "bob").await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_user_service_a_name_is_nobody() {
    let app = Spawn::new().variable("auth_jwt_secret", tokens::SECRET).variable("user_url", "").start().await;
    let token = tokens::token(json!({ "sub": "alice" }));
    app.request(Method::GET, PATH).token(&token).send().await.problem(401, "unauthorized");
    let reader = tokens::token(json!({ "sub": "alice", "roles": "orders:read" }));
    app.request(Method::GET, PATH).token(&reader).send().await.problem(404, "order_not_found");
    app.finish().await;
}
