//! Tokens as nobody should send them, and the headers around them. Each is refused with 401, before anything else is looked at.

use jsonwebtoken::{Algorithm, EncodingKey};

use crate::support::tokens::{self, SECRET, now, signed, signed_by};
use crate::support::*;

const PATH: &str = "/v1/orders/01980000-0000-7000-8000-000000000000";

/// Authentication by the secret, and by public keys of two kinds.
async fn spawn_with_keys() -> App {
    let keys = [tokens::RSA_PUBLIC, tokens::ED25519_PUBLIC].concat();
    Spawn::new().variable("auth_jwt_secret", SECRET).variable("auth_public_key", &keys).start().await
}

fn hs256(header: &str, claims: Value) -> String {
    signed(header, &tokens::with_times(claims).to_string(), Algorithm::HS256)
}

async fn send(app: &App, token: &str) -> Answer {
    app.request(Method::GET, PATH).token(token).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_every_algorithm_is_taken_and_a_bad_one_is_told_as_such() {
    let app = spawn_with_keys().await;
    let claims = tokens::with_times(json!({ "sub": "101" })).to_string();
    for (name, algorithm) in [
        ("HS256", Algorithm::HS256),
        ("HS384", Algorithm::HS384),
        ("RS256", Algorithm::RS256),
        ("EdDSA", Algorithm::EdDSA),
    ] {
        let token = signed(&json!({ "alg": name }).to_string(), &claims, algorithm);
        send(&app, &token).await.problem(404, "order_not_found");
        // The second time it is known.
        send(&app, &token).await.problem(404, "order_not_found");
    }
    let answer = app.get(PATH).await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    for other in ["Basic YTpi", "Bearer", "Bearer ", "token", ""] {
        let answer = app.request(Method::GET, PATH).header("authorization", other).send().await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{other}");
    }
    let lower_case = format!("bearer {}", tokens::user(101));
    let answer = app.request(Method::GET, PATH).header("authorization", lower_case).send().await;
    answer.problem(404, "order_not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_or_odd_token_is_refused() {
    let app = spawn_with_keys().await;
    let good = tokens::user(101);
    let (unsigned, signature) = good.rsplit_once('.').expect("three parts");
    let times = tokens::with_times(json!({ "sub": "101" })).to_string();
    let with_rsa_as_secret = signed_by(
        r#"{"alg":"HS256"}"#,
        &times,
        &EncodingKey::from_secret(tokens::RSA_PUBLIC.as_bytes()),
        Algorithm::HS256,
    );
    let forged = signed_by(
        r#"{"alg":"HS256"}"#,
        &times,
        &EncodingKey::from_secret(b"another secret, which is long enough"),
        Algorithm::HS256,
    );
    let none = signed(r#"{"alg":"none"}"#, &times, Algorithm::HS256);
    let none = format!("{}.", none.rsplit_once('.').expect("three parts").0);
    let exp = now() + 3_600;
    let twice = format!(r#"{{"sub":"101","sub":"102","exp":{exp}}}"#);
    for (what, token) in [
        ("no token at all", "x".to_owned()),
        ("unsigned", unsigned.to_owned()),
        ("without a signature", format!("{unsigned}.")),
        ("alg none", none),
        ("another's signature", forged),
        ("a public key as secret", with_rsa_as_secret),
        ("HS256 by a key of RS256", signed(r#"{"alg":"HS256"}"#, &times, Algorithm::RS256)),
        ("ES256, of which no key is known", signed(r#"{"alg":"ES256"}"#, &times, Algorithm::ES256)),
        ("another payload", format!("{}.{signature}", unsigned.replace(".e", ".f"))),
        ("five parts", format!("{good}.a.b")),
        ("padding", format!("{good}=")),
        ("expired", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "101", "exp": now() - 61 }))),
        ("not yet valid", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "101", "nbf": now() + 90 }))),
        ("made in the future", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "101", "iat": now() + 90 }))),
        ("exp as text", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "101", "exp": exp.to_string() }))),
        ("without exp", signed(r#"{"alg":"HS256"}"#, r#"{"sub":"101"}"#, Algorithm::HS256)),
        ("a claim twice", signed(r#"{"alg":"HS256"}"#, &twice, Algorithm::HS256)),
        ("a member of the header twice", hs256(r#"{"alg":"none","alg":"HS256"}"#, json!({ "sub": "101" }))),
        ("crit", hs256(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, json!({ "sub": "101" }))),
        ("another typ", hs256(r#"{"alg":"HS256","typ":"logout+jwt"}"#, json!({ "sub": "101" }))),
        ("a user that is no id", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "2147483648" }))),
        ("no user, no role", hs256(r#"{"alg":"HS256"}"#, json!({}))),
        ("a name that nobody knows", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "nobody" }))),
        ("9 KiB", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "101", "more": "x".repeat(9_000) }))),
        ("100 KB", hs256(r#"{"alg":"HS256"}"#, json!({ "sub": "101", "more": "x".repeat(75_000) }))),
    ] {
        let answer = send(&app, &token).await;
        assert_eq!(answer.status, 401, "{what}");
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{what}");
    }
    // What a kid says is a name, and leads nowhere.
    for kid in [
        "../../../../etc/passwd",
        "/dev/null",
        "http://169.254.169.254/",
        "'; DROP TABLE orders; --",
        "%00",
        "\u{0}",
    ] {
        let header = json!({ "alg": "HS256", "kid": kid }).to_string();
        send(&app, &hs256(&header, json!({ "sub": "101" }))).await.problem(404, "order_not_found");
        let forged = signed_by(&header, &times, &EncodingKey::from_secret(b""), Algorithm::HS256);
        send(&app, &forged).await.problem(401, "unauthorized");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_authorization_header_is_taken_and_a_refusal_comes_before_everything_else() {
    let app = spawn_with_keys().await;
    let twice =
        app.request(Method::GET, PATH).token(&tokens::user(101)).token(&tokens::user(102)).send().await;
    twice.problem(401, "unauthorized");
    let same =
        app.request(Method::GET, PATH).token(&tokens::user(101)).token(&tokens::user(101)).send().await;
    same.problem(401, "unauthorized");
    // No id, no key, no body is looked at.
    app.get("/v1/orders/no-uuid").await.problem(401, "unauthorized");
    app.request(Method::POST, "/v1/orders").body("{").send().await.problem(401, "unauthorized");
    app.cancel("no-uuid").await.problem(401, "unauthorized");
    let large = app.request(Method::POST, "/v1/orders").body("x".repeat(100_000)).send().await;
    large.problem(401, "unauthorized");
    // Whoever calls from a trusted address is not known by it.
    let spoofed = app.request(Method::GET, PATH).header("spin-client-addr", "127.0.0.1:1");
    spoofed.header("x-forwarded-for", "127.0.0.1").send().await.problem(401, "unauthorized");
    app.assert_no_calls().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuer_audience_and_claims_are_those_that_are_configured() {
    let app = Spawn::new()
        .variable("auth_jwt_secret", SECRET)
        .variable("auth_issuer", "https://issuer.example")
        .variable("auth_audience", "orders")
        .variable("auth_user_claim", "uid")
        .variable("auth_roles_claim", "https://issuer.example/roles")
        .start()
        .await;
    let id = {
        let token = tokens::token(json!({ "iss": "https://issuer.example", "aud": ["orders"], "uid": 101 }));
        let placed = order(&[1]).request(&app, 0).token(&token).send().await.created();
        placed.id().to_owned()
    };
    let path = format!("/v1/orders/{id}");
    let read =
        async |claims: Value| app.request(Method::GET, &path).token(&tokens::token(claims)).send().await;
    let good = json!({ "iss": "https://issuer.example", "aud": "orders", "uid": "101", "sub": "102" });
    read(good.clone()).await.document(200);
    let but = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    for claims in [
        but("iss", json!("https://issuer.example/")),
        but("iss", json!(null)),
        but("aud", json!("payments")),
        but("aud", json!(["payments"])),
        but("aud", json!(null)),
        but("uid", json!(null)),
    ] {
        read(claims).await.problem(401, "unauthorized");
    }
    read(but("uid", json!(102))).await.problem(404, "order_not_found");
    let reader = but("https://issuer.example/roles", json!("orders:read"));
    read({
        let mut claims = reader;
        claims["uid"] = json!(102);
        claims
    })
    .await
    .document(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn internal_endpoints_and_the_callback_do_not_take_such_tokens() {
    let app = Spawn::new()
        .variable("auth_jwt_secret", SECRET)
        .variable("internal_token", TOKEN)
        .payment_mode(Mode::Pending)
        .start()
        .await;
    let admin = tokens::holder(1, "orders:admin");
    for (method, path) in [
        (Method::POST, "/internal/sweep"),
        (Method::GET, "/internal/stuck"),
        (Method::POST, "/internal/redrive"),
    ] {
        app.request(method.clone(), path).token(&admin).send().await.problem(401, "unauthorized");
        app.request(method, path).token(TOKEN).send().await.json(200);
    }
    app.request(Method::GET, PATH).token(TOKEN).send().await.problem(401, "unauthorized");
    let placed = order(&[1]).request(&app, 0).token(&tokens::user(101)).send().await.created();
    app.settle(&placed, PaymentStatus::Success).await;
    for path in ["/health", "/health/live", "/metrics"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_token_is_in_the_log() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).variable("log_level", "debug").start().await;
    let good = tokens::token(json!({ "sub": "101", "name": "a-person-by-name" }));
    order(&[1]).request(&app, 0).token(&good).send().await.created();
    let bad = format!("{good}x");
    send(&app, &bad).await.problem(401, "unauthorized");
    app.quiesce().await;
    let text = format!("{:?}", app.hosts[0].log_lines());
    let parts = good.split('.').chain([SECRET, "a-person-by-name"]);
    for part in parts {
        assert!(!text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("authentication is off"), "{text}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_authentication_is_off_is_in_the_log_and_a_wrong_variable_in_the_answers() {
    let app = spawn().await;
    app.get("/health/live").await.json(200);
    let lines = app.hosts[0].log_lines();
    let told = lines.iter().filter(|line| {
        line["message"].as_str().is_some_and(|text| text.starts_with("authentication is off"))
    });
    let told: Vec<&Value> = told.collect();
    assert!(!told.is_empty() && told.iter().all(|line| line["level"] == "warn"), "{lines:?}");
    app.finish().await;

    for (name, value) in
        [("auth_jwt_secret", "short"), ("auth_public_key", "no key"), ("auth_jwks_url", "issuer")]
    {
        let mut app = Spawn::new().variable(name, value).start().await;
        let problem = app.get(PATH).await.problem(500, "internal_error").to_string();
        assert!(problem.contains(name), "{problem}");
        app.expect_errors_in_the_log();
        app.abandon().await;
    }
}
