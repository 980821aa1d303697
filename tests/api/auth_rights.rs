//! Who may do what to whose order: every endpoint by everybody, from one table.

use crate::support::tokens::{self, SECRET};
use crate::support::*;

/// Who calls: without a token, another user, the order's user, and holders of each role, who are not the order's user.
const CALLERS: [&str; 7] = ["nobody", "other", "own", "reader", "admin", "scanner", "reader and scanner"];

fn token_of(caller: &str) -> Option<String> {
    Some(match caller {
        "nobody" => return None,
        "other" => tokens::user(102),
        "own" => tokens::user(101),
        "reader" => tokens::holder(102, "orders:read"),
        "admin" => tokens::holder(102, "orders:admin"),
        "scanner" => tokens::holder(102, "tickets:redeem"),
        "reader and scanner" => tokens::holder(102, "tickets:redeem orders:read"),
        _ => panic!("{caller}"),
    })
}

/// A request, and what it is answered for each of [`CALLERS`]. `{id}` is a new order of user 101 each time.
const TABLE: &[(&str, &str, [u16; 7])] = &[
    ("GET", "/v1/orders/{id}", [401, 404, 200, 200, 200, 404, 200]),
    ("HEAD", "/v1/orders/{id}", [401, 404, 200, 200, 200, 404, 200]),
    ("GET", "/v1/orders/{id}/events", [401, 404, 200, 200, 200, 404, 200]),
    ("POST", "/v1/orders/{id}/cancel", [401, 404, 200, 404, 200, 404, 404]),
    // It is pending, so that those who may ask are told why not.
    ("POST", "/v1/orders/{id}/refund", [401, 404, 409, 404, 409, 404, 404]),
    ("GET", "/v1/orders", [401, 200, 200, 200, 200, 404, 200]),
    ("GET", "/v1/orders?user_id=101", [401, 200, 200, 200, 200, 404, 200]),
    ("GET", "/v1/orders?updated_since=2026-01-01T00:00:00Z", [401, 200, 200, 200, 200, 404, 200]),
    ("GET", "/v1/orders?idempotency_key=k", [401, 200, 200, 200, 200, 404, 200]),
    // Who may list nothing is not told what else is wrong.
    ("GET", "/v1/orders?page_size=x", [401, 422, 422, 422, 422, 404, 422]),
    ("GET", "/", [302; 7]),
    ("GET", "/docs", [200; 7]),
    ("GET", "/openapi.json", [200; 7]),
    ("GET", "/health", [200; 7]),
    ("GET", "/health/live", [200; 7]),
    ("GET", "/metrics", [200; 7]),
    // Unknown to Payment: the same for everybody.
    ("POST", "/v1/payments/callback", [403; 7]),
    ("POST", "/internal/sweep", [401; 7]),
    ("GET", "/internal/stuck", [401; 7]),
    ("POST", "/internal/redrive", [401; 7]),
    ("POST", "/internal/orders/{id}/resolve", [401; 7]),
    ("GET", "/nowhere", [404; 7]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_answers_everybody_as_the_table_says() {
    let app = Spawn::new()
        .variable("auth_jwt_secret", SECRET)
        .variable("internal_token", TOKEN)
        .payment_mode(Mode::Pending)
        .start()
        .await;
    let mut seat = 0;
    for (method, path, expected) in TABLE {
        for (caller, expected) in CALLERS.into_iter().zip(expected) {
            seat += 1;
            let placed = order(&[seat]).request(&app, 0).token(&tokens::user(101)).send().await.created();
            let method: Method = method.parse().expect("a method");
            let mut request = app.request(method.clone(), &path.replace("{id}", placed.id()));
            if let Some(token) = token_of(caller) {
                request = request.token(&token);
            }
            if path.ends_with("callback") {
                let payment = "01980000-0000-7000-8000-000000000000";
                let body = json!({ "order_id": placed.id(), "payment_id": payment, "status": "SUCCESS" });
                request = request.json(&body);
            }
            let answer = request.send().await;
            assert_eq!(answer.status, *expected, "{method} {path} by {caller}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_order_is_answered_exactly_as_one_that_does_not_exist() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).start().await;
    let placed = order(&[1]).request(&app, 0).token(&tokens::user(101)).send().await.created();
    let etag = {
        let path = format!("/v1/orders/{}", placed.id());
        let read = app.request(Method::GET, &path).token(&tokens::user(101)).send().await;
        read.header("etag").expect("an ETag").to_owned()
    };
    let missing = "01980000-0000-7000-8000-000000000000";
    for (method, path) in [
        (Method::GET, "/v1/orders/{id}"),
        (Method::GET, "/v1/orders/{id}/events"),
        (Method::POST, "/v1/orders/{id}/cancel"),
        (Method::POST, "/v1/orders/{id}/refund"),
    ] {
        for body in ["", "{}", "{\"a\":1}", "{"] {
            let ask = async |id: &str| {
                let request =
                    app.request(method.clone(), &path.replace("{id}", id)).token(&tokens::user(102));
                let request =
                    request.header("if-none-match", &etag).header("content-type", "application/json");
                let answer = request.header("x-request-id", "same").body(body.to_owned()).send().await;
                let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
                format!("{} {headers:?} {}", answer.status, answer.text().replace(id, "{id}"))
            };
            assert_eq!(ask(placed.id()).await, ask(missing).await, "{method} {path} {body}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_holds_what_its_caller_may_read_and_its_page_token_is_the_callers() {
    let app =
        Spawn::new().variable("auth_jwt_secret", SECRET).variable("internal_token", TOKEN).start().await;
    for (seat, user) in [(1, 101), (2, 101), (3, 102)] {
        let request = order(&[seat]).user(user).key(&format!("key-{seat}"));
        request.request(&app, 0).token(&tokens::user(user)).send().await.created();
    }
    let list = async |token: &str, query: &str| {
        let path = format!("/v1/orders?{query}");
        app.request(Method::GET, &path).token(token).send().await
    };
    let users = async |token: &str, query: &str| {
        let body = list(token, query).await.json(200);
        let orders = body["orders"].as_array().expect("a list").clone();
        orders
            .iter()
            .map(|document| document["order"]["user_id"].as_i64().expect("a user"))
            .collect::<Vec<_>>()
    };
    let (first, second) = (tokens::user(101), tokens::user(102));
    let (reader, admin) = (tokens::holder(103, "orders:read"), tokens::holder(103, "orders:admin"));
    for (query, of_first, of_second, of_all) in [
        ("", vec![101, 101], vec![102], vec![102, 101, 101]),
        ("user_id=101", vec![101, 101], vec![], vec![101, 101]),
        ("event_id=101", vec![101, 101], vec![102], vec![102, 101, 101]),
        ("updated_since=2026-01-01T00:00:00Z&user_id=102", vec![], vec![102], vec![102]),
        ("idempotency_key=key-3", vec![], vec![102], vec![102]),
        ("event_id=101&seat_id=1", vec![101], vec![], vec![101]),
    ] {
        assert_eq!(users(&first, query).await, of_first, "{query}");
        assert_eq!(users(&second, query).await, of_second, "{query}");
        assert_eq!(users(&reader, query).await, of_all, "{query}");
        assert_eq!(users(&admin, query).await, of_all, "{query}");
    }
    let page = list(&first, "page_size=1").await.json(200);
    let query = format!("page_size=1&page_token={}", page["next_page_token"].as_str().expect("a token"));
    assert_eq!(users(&first, &query).await, [101]);
    for other in [&second, &reader, &admin] {
        list(other, &query).await.problem(400, "invalid_page_token");
    }
    // The internal token lists only while authentication is off.
    list(TOKEN, "").await.problem(401, "unauthorized");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_place_for_whom() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).payment_mode(Mode::Pending).start().await;
    let place = async |token: Option<String>, request: &OrderRequest| {
        let mut sent = request.request(&app, 0);
        if let Some(token) = token {
            sent = sent.token(&token);
        }
        sent.send().await
    };
    let without_user = |seat: i64| {
        let mut request = order(&[seat]);
        request.body.as_object_mut().expect("an object").remove("user_id");
        request
    };
    for (seat, caller) in (1..).zip(CALLERS) {
        // Another than the caller; the caller, who may be left out.
        let (expected, own) = match caller {
            "nobody" => (401, 401),
            "admin" => (201, 201),
            _ => (403, 201),
        };
        let token = || token_of(caller);
        let answer = place(token(), &order(&[seat]).user(103)).await;
        assert_eq!(answer.status, expected, "{caller} for another");
        if expected == 403 {
            answer.problem(403, "forbidden");
        }
        let answer = place(token(), &without_user(100 + seat)).await;
        assert_eq!(answer.status, own, "{caller} for nobody in particular");
        if own == 201 {
            let user = if caller == "own" { 101 } else { 102 };
            assert_eq!(answer.json_body()["order"]["user_id"], user, "{caller}");
        }
    }
    // Nobody else's key tells anything.
    let request = order(&[50]);
    place(token_of("own"), &request).await.created();
    let other = request.clone().user(102);
    place(token_of("other"), &other).await.problem(422, "idempotency_key_reused");
    // Without a user in the token only an administrator places, who must name one.
    let nameless = |roles: &str| Some(tokens::token(json!({ "roles": roles })));
    place(nameless("orders:read"), &order(&[51])).await.problem(401, "unauthorized");
    place(nameless("orders:admin"), &order(&[52])).await.created();
    let missing = place(nameless("orders:admin"), &without_user(53)).await.problem(422, "validation_failed");
    assert_eq!(missing["errors"][0]["pointer"], "#/user_id");
    place(token_of("own"), &order(&[54]).user("x")).await.problem(422, "validation_failed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_by_its_user_needs_the_statement_that_reads_and_no_other() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).start().await;
    let placed = order(&[1]).request(&app, 0).token(&tokens::user(101)).send().await.created();
    // What else there is to ask of an order, and of keys.
    app.store.run("ALTER FUNCTION load_order(UUID) RENAME TO hidden_load; ALTER TABLE key_sets RENAME TO hidden_keys").await;
    let path = format!("/v1/orders/{}", placed.id());
    let read = app.request(Method::GET, &path).token(&tokens::user(101)).send().await;
    assert_eq!(read.document(200).id(), placed.id());
    app.store.run("ALTER FUNCTION hidden_load(UUID) RENAME TO load_order; ALTER TABLE hidden_keys RENAME TO key_sets").await;
    app.finish().await;
}
