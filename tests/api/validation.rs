//! Invalid requests: each is refused and has no side effects.

use crate::support::*;

const GOOD: &str = r#"{"user_id":"101","event_id":101,"seats":[1,2,3]}"#;

/// Nothing was stored, nobody was asked, and nobody is woken up.
pub async fn assert_no_trace(app: &App) {
    for table in ["orders", "order_items", "tickets", "seat_claims", "order_events", "outbox"] {
        assert_eq!(app.store.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    app.assert_no_calls().await;
    let lines = app.hosts[0].log_lines();
    assert!(logs::errors(&lines).is_empty(), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_key_or_with_a_bad_one_is_refused() {
    let app = spawn().await;
    let post =
        || app.request(Method::POST, "/v1/orders").header("content-type", "application/json").body(GOOD);
    post().send().await.problem(400, "idempotency_key_required");

    let long = "k".repeat(300);
    let barely_too_long = "k".repeat(256);
    for key in [
        long.as_str(),
        &barely_too_long,
        "\"\"",
        "a b",
        "a\tb",
        "ключ",
        "\"abc",
        "abc\"",
        "\"a\"b\"",
        "\"a\\\"",
        "'; DROP TABLE orders; --",
    ] {
        post().header("idempotency-key", key).send().await.problem(400, "invalid_idempotency_key");
    }
    let two = post().header("idempotency-key", "a").header("idempotency-key", "b");
    two.send().await.problem(400, "invalid_idempotency_key");
    let empty = post().header("idempotency-key", "").send().await;
    let code = serde_json::from_slice::<Value>(&empty.body).unwrap()["code"].clone();
    empty.problem(400, code.as_str().unwrap());
    assert!(code == "idempotency_key_required" || code == "invalid_idempotency_key");
    assert_no_trace(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_in_a_key_never_get_through() {
    let app = spawn().await;
    for control in ['\u{1}', '\u{7f}', '\u{1b}'] {
        let key = format!("Idempotency-Key: a{control}b");
        let request = raw_http::post_order(&["Content-Type: application/json", &key], GOOD);
        // Some of them the host refuses by itself.
        assert_eq!(raw_http::exchange(&app.hosts[0], request).await.status, 400);
    }
    assert_no_trace(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_visible_character_may_be_in_a_key_up_to_255_of_them() {
    let app = spawn().await;
    let visible: String = (0x21..=0x7e_u8).map(char::from).filter(|c| !"\"\\".contains(*c)).collect();
    for (seat, key) in [(1, visible), (2, "k".repeat(255)), (3, "');DROP/**/TABLE/**/orders;--".into())] {
        let document = app.place(&order(&[seat]).key(&key)).await.created();
        assert_eq!(document["order"]["idempotency_key"], key);
        assert_eq!(app.read(document.id()).await, document);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_id_must_be_a_positive_number_that_fits_the_column() {
    let app = spawn().await;
    let wrong = [
        json!(0),
        json!(-1),
        json!(2147483648_i64),
        json!(9223372036854775807_i64),
        json!(9223372036854775808_u64),
        json!(1e30),
        json!(1.5),
        json!("0"),
        json!("-1"),
        json!("+1"),
        json!("1.5"),
        json!("1e3"),
        json!("2147483648"),
        json!("9223372036854775808"),
        json!("9".repeat(1000)),
        json!(""),
        json!(" 1"),
        json!("１"),
        json!("abc"),
        json!("1; DROP TABLE orders"),
        json!("' OR '1'='1"),
        json!("\u{0}"),
        json!(true),
        Value::Null,
        json!([1]),
        json!({ "id": 1 }),
    ];
    for value in wrong {
        for (order_request, pointer) in [
            (order(&[1]).user(value.clone()), "#/user_id"),
            (order(&[1]).event(value.clone()), "#/event_id"),
            (order(&[1]).with("seats", json!([1, value])), "#/seats/1"),
        ] {
            let problem = app.place(&order_request).await.problem(422, "validation_failed");
            assert_eq!(pointers(&problem), [pointer], "{value}: {problem}");
        }
    }
    assert_no_trace(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_must_be_one_to_ten_and_different() {
    let app = spawn().await;
    let eleven: Vec<i64> = (1..=11).collect();
    let very_many: Vec<i64> = (1..=10_000).collect();
    for seats in [
        json!([]),
        Value::Null,
        json!("1"),
        json!(1),
        json!({ "0": 1 }),
        json!([1, 1]),
        json!([1, 2, "1"]),
        json!(eleven),
        json!(very_many),
    ] {
        let problem =
            app.place(&order(&[]).with("seats", seats.clone())).await.problem(422, "validation_failed");
        let pointers = pointers(&problem);
        assert!(
            !pointers.is_empty() && pointers.iter().all(|pointer| pointer.starts_with("#/seats")),
            "{problem}"
        );
    }
    assert_no_trace(&app).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_is_listed() {
    let app = spawn().await;
    let post = |body: Value| {
        let request = app.request(Method::POST, "/v1/orders").header("idempotency-key", "some-key");
        request.json(&body)
    };
    let problem = post(json!({})).send().await.problem(422, "validation_failed");
    assert_eq!(pointers(&problem), ["#/event_id", "#/seats", "#/user_id"]);
    let body = json!({ "user_id": -1, "event_id": "x", "seats": [0, 5, "y", 6, null] });
    let problem = post(body).send().await.problem(422, "validation_failed");
    assert_eq!(pointers(&problem), ["#/event_id", "#/seats/0", "#/seats/2", "#/seats/4", "#/user_id"]);
    for not_an_object in [json!([]), json!("text"), json!(7), json!(true), Value::Null] {
        post(not_an_object).send().await.problem(422, "validation_failed");
    }
    assert_no_trace(&app).await;
    app.finish().await;
}

/// The `pointer` of every error, sorted.
pub fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("errors").iter();
    let mut pointers: Vec<&str> = errors.filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    pointers
}
