//! An issuer's public keys (JWKS): asked for seldom, kept for all, and what is shown instead of them.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, join_all, select};
use jsonwebtoken::Algorithm;

use crate::support::tokens::{issued, jwk};
use crate::support::*;

const PATH: &str = "/v1/orders/01980000-0000-7000-8000-000000000000";

async fn read(app: &App, replica: usize, token: &str) -> Answer {
    app.request_to(replica, Method::GET, PATH).token(token).send().await
}

fn document(keys: &[(Algorithm, &str)]) -> Value {
    let keys: Vec<Value> = keys.iter().map(|(algorithm, kid)| jwk(*algorithm, kid)).collect();
    json!({ "keys": keys })
}

/// As if so much time had passed since the issuer was asked.
async fn pass(app: &App, seconds: u32) {
    let sql = format!("UPDATE key_sets SET asked_at = asked_at - interval '{seconds} seconds'");
    app.store.run(&sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuer_is_asked_once_for_all_copies_and_instances() {
    let issuer = Issuer::start(&document(&[
        (Algorithm::RS256, "a"),
        (Algorithm::ES256, "b"),
        (Algorithm::EdDSA, "c"),
    ]))
    .await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).replicas(2).start().await;
    for (algorithm, kid) in [(Algorithm::RS256, "a"), (Algorithm::ES256, "b"), (Algorithm::EdDSA, "c")] {
        let token = issued(algorithm, kid, json!({ "sub": "101" }));
        for replica in 0..2 {
            read(&app, replica, &token).await.problem(404, "order_not_found");
        }
    }
    let tokens: Vec<String> =
        (0..200).map(|user| issued(Algorithm::EdDSA, "c", json!({ "sub": 1_000 + user }))).collect();
    for answer in join_all(tokens.iter().map(|token| read(&app, 0, token))).await {
        answer.problem(404, "order_not_found");
    }
    assert_eq!(issuer.asked(), 1);
    // An issuer that is away changes nothing for those who are known.
    issuer.show(500, "");
    read(&app, 1, &tokens[0]).await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_kid_asks_once_a_minute_in_all_and_a_new_key_is_found() {
    let issuer = Issuer::start(&document(&[(Algorithm::EdDSA, "old")])).await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).replicas(2).start().await;
    let old = issued(Algorithm::EdDSA, "old", json!({ "sub": "101" }));
    let new = issued(Algorithm::ES256, "new", json!({ "sub": "101" }));
    read(&app, 0, &old).await.problem(404, "order_not_found");
    for kid in 0..50 {
        let unknown = issued(Algorithm::ES256, &format!("../{kid}"), json!({ "sub": "101" }));
        read(&app, kid % 2, &unknown).await.problem(401, "unauthorized");
    }
    assert_eq!(issuer.asked(), 1);
    issuer.show(200, &document(&[(Algorithm::ES256, "new")]).to_string());
    read(&app, 0, &new).await.problem(401, "unauthorized");
    pass(&app, 61).await;
    read(&app, 0, &new).await.problem(404, "order_not_found");
    // The other copy finds the row.
    read(&app, 1, &new).await.problem(404, "order_not_found");
    assert_eq!(issuer.asked(), 2);
    // Whoever has learnt of the new keys has forgotten what the old one verified.
    read(&app, 1, &old).await.problem(401, "unauthorized");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_old_are_asked_for_again_while_requests_go_on() {
    let issuer = Issuer::start(&document(&[(Algorithm::EdDSA, "a"), (Algorithm::ES256, "b")])).await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).replicas(3).start().await;
    let token = issued(Algorithm::EdDSA, "a", json!({ "sub": "101" }));
    read(&app, 0, &token).await.problem(404, "order_not_found");
    // One key has been taken back, and eleven minutes have passed.
    issuer.show(200, &document(&[(Algorithm::ES256, "b")]).to_string());
    app.store.run("UPDATE key_sets SET fetched_at = fetched_at - interval '11 minutes'").await;
    pass(&app, 61).await;
    read(&app, 1, &token).await.problem(404, "order_not_found");
    eventually("the issuer is asked, and has answered", async || {
        let stored = app.store.value("SELECT document::jsonb -> 'keys' -> 0 ->> 'kid' FROM key_sets").await;
        (stored == "b").then_some(())
    })
    .await;
    read(&app, 2, &token).await.problem(401, "unauthorized");
    eventually("the instance that has asked knows of it", async || {
        (read(&app, 1, &token).await.status == 401).then_some(())
    })
    .await;
    assert_eq!(issuer.asked(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_set_of_keys_leaves_those_that_are_known() {
    let good = document(&[(Algorithm::EdDSA, "a")]);
    let issuer = Issuer::start(&good).await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).replicas(2).start().await;
    let token = issued(Algorithm::EdDSA, "a", json!({ "sub": "101" }));
    read(&app, 0, &token).await.problem(404, "order_not_found");
    let many = document(&[(Algorithm::EdDSA, "a"); 33]).to_string();
    let secret = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0", "kid": "b" }] }).to_string();
    let five_megabytes = format!("{good}{}", " ".repeat(5 << 20));
    for (at, (status, body)) in (1..).zip([
        (200, "<html><body>log in</body></html>"),
        (200, ""),
        (200, "{\"keys\":[]}"),
        (200, "null"),
        (200, &*secret),
        (200, &*many),
        (200, &*five_megabytes),
        (404, &*good.to_string()),
        (503, "{}"),
    ]) {
        issuer.show(status, body);
        pass(&app, 61).await;
        let unknown = issued(Algorithm::ES256, "b", json!({ "sub": "101" }));
        read(&app, 1, &unknown).await.problem(401, "unauthorized");
        assert_eq!(issuer.asked(), at + 1, "{body:.100}");
        read(&app, 0, &token).await.problem(404, "order_not_found");
        read(&app, 1, &token).await.problem(404, "order_not_found");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_keys_are_known_nobody_can_be_told_apart() {
    let issuer = Issuer::start(&json!({})).await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).start().await;
    let token = issued(Algorithm::EdDSA, "a", json!({ "sub": "101" }));
    for body in ["<html></html>", "{\"keys\":[]}", ""] {
        issuer.show(200, body);
        pass(&app, 3).await;
        let answer = read(&app, 0, &token).await;
        answer.problem(503, "peer_unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    // What no key can make valid is still refused.
    read(&app, 0, "x").await.problem(401, "unauthorized");
    app.get(PATH).await.problem(401, "unauthorized");
    // A slow issuer holds nobody up for longer than its deadline, and is asked by one alone.
    let asked = issuer.asked();
    issuer.show_after(Duration::from_secs(20), 200, &document(&[(Algorithm::EdDSA, "a")]).to_string());
    pass(&app, 3).await;
    for answer in join_all((0..20).map(|_| read(&app, 0, &token))).await {
        answer.problem(503, "peer_unavailable");
    }
    assert_eq!(issuer.asked(), asked + 1);
    issuer.show(200, &document(&[(Algorithm::EdDSA, "a")]).to_string());
    pass(&app, 3).await;
    read(&app, 0, &token).await.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_does_not_answer_holds_up_nobody_whose_key_is_known() {
    let keys = document(&[(Algorithm::EdDSA, "a")]);
    let issuer = Issuer::start(&keys).await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).replicas(2).start().await;
    let known: Vec<String> =
        (0..10).map(|user| issued(Algorithm::EdDSA, "a", json!({ "sub": 1_000 + user }))).collect();
    let unknown = issued(Algorithm::ES256, "b", json!({ "sub": "101" }));
    read(&app, 0, &known[0]).await.problem(404, "order_not_found");
    issuer.show_after(Duration::from_secs(3_600), 200, &keys.to_string());
    let read_all = async |app: &App| {
        for answer in join_all((0..).zip(&known).map(|(at, token)| read(app, at % 2, token))).await {
            answer.problem(404, "order_not_found");
        }
    };
    // They are answered before the one that waits for the issuer. Were they to wait as well, they would never be; a machine that
    // stands still for the whole of the deadline only makes it one more try.
    eventually("those of known keys are answered while the one of an unknown key waits", async || {
        pass(&app, 61).await;
        let asked = issuer.asked();
        let others = async {
            eventually("the issuer is asked", async || (issuer.asked() > asked).then_some(())).await;
            read_all(&app).await;
        };
        match select(pin!(read(&app, 0, &unknown)), pin!(others)).await {
            Either::Left((answer, others)) => {
                answer.problem(401, "unauthorized");
                others.await;
                None
            }
            Either::Right(((), waiting)) => {
                waiting.await.problem(401, "unauthorized");
                Some(())
            }
        }
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_that_the_keys_are_old_does_not_wait_for_an_issuer_that_does_not_answer() {
    let keys = document(&[(Algorithm::EdDSA, "a")]);
    let issuer = Issuer::start(&keys).await;
    // An instance a request, so that each reads how old the keys are.
    let spawn = Spawn::new().variable("auth_jwks_url", &issuer.url).option("--max-instance-reuse-count", "1");
    let app = spawn.start().await;
    let token = issued(Algorithm::EdDSA, "a", json!({ "sub": "101" }));
    read(&app, 0, &token).await.problem(404, "order_not_found");
    issuer.show_after(Duration::from_secs(3_600), 200, &keys.to_string());
    eventually("a request is answered while the issuer is being asked", async || {
        app.store.run("UPDATE key_sets SET fetched_at = fetched_at - interval '11 minutes'").await;
        pass(&app, 61).await;
        let asked = issuer.asked();
        read(&app, 0, &token).await.problem(404, "order_not_found");
        eventually("the issuer is asked", async || (issuer.asked() > asked).then_some(())).await;
        let is_being_asked = app.store.value("SELECT NOT answered FROM key_sets").await == true;
        eventually("it is given up", async || {
            (app.store.value("SELECT answered FROM key_sets").await == true).then_some(())
        })
        .await;
        is_being_asked.then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_kind_or_use_verifies_nothing() {
    let mut for_encryption = jwk(Algorithm::EdDSA, "enc");
    for_encryption["use"] = json!("enc");
    let keys = json!({ "keys": [for_encryption, jwk(Algorithm::RS256, "rsa"), { "kty": "future" }] });
    let issuer = Issuer::start(&keys).await;
    let app = Spawn::new().variable("auth_jwks_url", &issuer.url).start().await;
    let claims = || json!({ "sub": "101" });
    read(&app, 0, &issued(Algorithm::RS256, "rsa", claims())).await.problem(404, "order_not_found");
    read(&app, 0, &issued(Algorithm::EdDSA, "enc", claims())).await.problem(401, "unauthorized");
    // Under the name of another key; by a secret that nobody has set.
    read(&app, 0, &issued(Algorithm::EdDSA, "rsa", claims())).await.problem(401, "unauthorized");
    read(&app, 0, &issued(Algorithm::HS256, "rsa", claims())).await.problem(401, "unauthorized");
    app.finish().await;
}
