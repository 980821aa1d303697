//! Who may do what to whose order: every endpoint by everybody, from one table.

use std::collections::BTreeSet;

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

/// A status, and the code of the problem where it is one.
type Expected = (u16, &'static str);

const DONE: Expected = (200, "");
const FOUND: Expected = (302, "");
const CREATED: Expected = (201, "");
const NOBODY: Expected = (401, "unauthorized");
const FORBIDDEN: Expected = (403, "forbidden");
const REJECTED: Expected = (403, "callback_rejected");
const NO_ORDER: Expected = (404, "order_not_found");
const NO_ROUTE: Expected = (404, "route_not_found");
const NOT_REFUNDABLE: Expected = (409, "order_not_refundable");
const INVALID: Expected = (422, "validation_failed");

/// Who may read an order.
const READ: [Expected; 7] = [NOBODY, NO_ORDER, DONE, DONE, DONE, NO_ORDER, DONE];
/// Who may change an order.
const CHANGE: [Expected; 7] = [NOBODY, NO_ORDER, DONE, NO_ORDER, DONE, NO_ORDER, NO_ORDER];
/// Who may list orders, their own or all.
const LIST: [Expected; 7] = [NOBODY, DONE, DONE, DONE, DONE, NO_ORDER, DONE];

/// A request, and what it is answered for each of [`CALLERS`]. `{id}` is a new order of user 101 each time.
const TABLE: &[(&str, &str, [Expected; 7])] = &[
    ("GET", "/v1/events", [NOBODY, FORBIDDEN, FORBIDDEN, DONE, DONE, FORBIDDEN, DONE]),
    // For user 101.
    ("POST", "/v1/orders", [NOBODY, FORBIDDEN, CREATED, FORBIDDEN, CREATED, FORBIDDEN, FORBIDDEN]),
    ("GET", "/v1/orders/{id}", READ),
    ("HEAD", "/v1/orders/{id}", READ),
    ("GET", "/v1/orders/{id}/events", READ),
    (
        "GET",
        "/v1/orders/{id}/events?page_size=x",
        [NOBODY, INVALID, INVALID, INVALID, INVALID, NO_ORDER, INVALID],
    ),
    ("POST", "/v1/orders/{id}/cancel", CHANGE),
    // It is pending, so that those who may ask are told why not.
    (
        "POST",
        "/v1/orders/{id}/refund",
        [NOBODY, NO_ORDER, NOT_REFUNDABLE, NO_ORDER, NOT_REFUNDABLE, NO_ORDER, NO_ORDER],
    ),
    ("GET", "/v1/orders", LIST),
    ("GET", "/v1/orders?user_id=101", LIST),
    ("GET", "/v1/orders?updated_since=2026-01-01T00:00:00Z", LIST),
    ("GET", "/v1/orders?idempotency_key=k", LIST),
    ("GET", "/v1/orders?payment_id=01980000-0000-7000-8000-000000000000", LIST),
    ("GET", "/v1/orders?ticket_code=TKT-1", LIST),
    ("GET", "/v1/orders?event_id=101&seat_id=1", LIST),
    // Who may list nothing is not told what else is wrong.
    ("GET", "/v1/orders?page_size=x", [NOBODY, INVALID, INVALID, INVALID, INVALID, NO_ORDER, INVALID]),
    ("GET", "/", [FOUND; 7]),
    ("GET", "/docs", [DONE; 7]),
    ("GET", "/openapi.json", [DONE; 7]),
    ("GET", "/health", [DONE; 7]),
    ("GET", "/health/live", [DONE; 7]),
    ("GET", "/metrics", [DONE; 7]),
    // Unknown to Payment: the same for everybody.
    ("POST", "/v1/payments/callback", [REJECTED; 7]),
    ("POST", "/internal/sweep", [NOBODY; 7]),
    ("GET", "/internal/stuck", [NOBODY; 7]),
    ("GET", "/internal/deliveries", [NOBODY; 7]),
    ("POST", "/internal/events/replay", [NOBODY; 7]),
    ("POST", "/internal/redrive", [NOBODY; 7]),
    ("POST", "/internal/orders/{id}/resolve", [NOBODY; 7]),
    ("GET", "/nowhere", [NO_ROUTE; 7]),
];

#[test]
fn the_table_has_every_operation_of_the_document() {
    let path = |path: &'static str| path.split('?').next().unwrap_or_default();
    let rows = TABLE.iter().map(|(method, full, _)| format!("{method} {}", path(full)));
    let rows: BTreeSet<String> =
        rows.filter(|row| !row.starts_with("HEAD ") && row != "GET /nowhere").collect();
    assert_eq!(rows, openapi::operations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_answers_everybody_as_the_table_says() {
    let app = Spawn::new()
        .variable("auth_jwt_secret", SECRET)
        .variable("internal_token", TOKEN)
        .payment_mode(Mode::Pending)
        .start()
        .await;
    let mut seats = 1..;
    let mut next = || order(&[seats.next().expect("there is no end")]);
    for (method, path, expected) in TABLE {
        for (caller, (status, code)) in CALLERS.into_iter().zip(expected) {
            let placed = next().request(&app, 0).token(&tokens::user(101)).send().await.created();
            let mut request = match (*method, *path) {
                ("POST", "/v1/orders") => next().request(&app, 0),
                _ => {
                    let method = method.parse().expect("a method");
                    app.request(method, &path.replace("{id}", placed.id()))
                }
            };
            if let Some(token) = token_of(caller) {
                request = request.token(&token);
            }
            if path.ends_with("callback") {
                let payment = "01980000-0000-7000-8000-000000000000";
                let body = json!({ "order_id": placed.id(), "payment_id": payment, "status": "SUCCESS" });
                request = request.json(&body);
            }
            let answer = request.send().await;
            assert_eq!(answer.status, *status, "{method} {path} by {caller}: {}", answer.text());
            // What is answered to HEAD has no body.
            if !code.is_empty() && *method != "HEAD" {
                assert_eq!(answer.json_body()["code"], *code, "{method} {path} by {caller}");
            }
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paid_order_is_refunded_for_its_user_and_for_administrators_alone() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).start().await;
    for (seat, by) in [(1, "own"), (2, "admin")] {
        let placed = order(&[seat]).request(&app, 0).token(&tokens::user(101)).send().await.created();
        let path = format!("/v1/orders/{}/refund", placed.id());
        let refund = async |caller: &str| {
            app.request(Method::POST, &path).token(&token_of(caller).expect("a token")).send().await
        };
        for caller in ["other", "reader", "scanner", "reader and scanner"] {
            refund(caller).await.problem(404, "order_not_found");
        }
        refund(by).await.document(200).assert_is("REFUNDED", "done");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_role_has_the_rights_of_that_role_to_own_orders_too() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).payment_mode(Mode::Pending).start().await;
    for (seat, role, reads, changes) in [
        (1, "orders:read", 200, 404),
        (2, "tickets:redeem", 404, 404),
        (3, "tickets:redeem orders:read", 200, 404),
        (4, "orders:admin", 200, 200),
    ] {
        let token = tokens::holder(101, role);
        let placed = order(&[seat]).request(&app, 0).token(&token).send().await.created();
        let path = format!("/v1/orders/{}", placed.id());
        let ask =
            async |method: Method, path: &str| app.request(method, path).token(&token).send().await.status;
        assert_eq!(ask(Method::GET, &path).await, reads, "{role}");
        assert_eq!(ask(Method::GET, &format!("{path}/events")).await, reads, "{role}");
        assert_eq!(ask(Method::GET, "/v1/orders").await, reads, "{role}");
        assert_eq!(ask(Method::POST, &format!("{path}/cancel")).await, changes, "{role}");
    }
    app.finish().await;
}

/// Nor by how the token of a page moves on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_list_of_another_user_does_not_tell_whether_their_orders_change() {
    let app = Spawn::new().variable("auth_jwt_secret", SECRET).payment_mode(Mode::Pending).start().await;
    let page = async |token: &str| {
        let path = format!("/v1/orders?user_id=102&updated_since=2026-01-01T00:00:00Z{token}");
        let body = app.request(Method::GET, &path).token(&tokens::user(101)).send().await.json(200);
        assert_eq!(body["orders"], json!([]));
        format!("&page_token={}", body["next_page_token"].as_str().expect("a token"))
    };
    for (user, seats) in [(102, [1, 2]), (103, [3, 4])] {
        let before = page("").await;
        for seat in seats {
            let request = order(&[seat]).user(user);
            request.request(&app, 0).token(&tokens::user(user)).send().await.created();
        }
        // It goes on past all that there is, whoever changed.
        let moves_on = async || (page(&before).await != before).then_some(());
        eventually("the token moves on", moves_on).await;
        assert_ne!(page("").await, before);
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
    let mut placed = Vec::new();
    for (seat, user) in [(1, 101), (2, 101), (3, 102)] {
        let request = order(&[seat]).user(user).key(&format!("key-{seat}"));
        placed.push(request.request(&app, 0).token(&tokens::user(user)).send().await.created());
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
    let payment = |at: usize| format!("payment_id={}", placed[at].payment_id());
    let ticket =
        |at: usize| format!("ticket_code={}", placed[at].tickets("ticket_code")[0].as_str().expect("a code"));
    // The transactions of other tests, too, hold the list of changes back.
    let changes_are_listed =
        async || (users(&reader, "updated_since=2026-01-01T00:00:00Z").await.len() == 3).then_some(());
    eventually("all changes are listed", changes_are_listed).await;
    for (query, of_first, of_second, of_all) in [
        ("", vec![101, 101], vec![102], vec![102, 101, 101]),
        ("user_id=101", vec![101, 101], vec![], vec![101, 101]),
        ("event_id=101", vec![101, 101], vec![102], vec![102, 101, 101]),
        ("updated_since=2026-01-01T00:00:00Z&user_id=102", vec![], vec![102], vec![102]),
        ("idempotency_key=key-1", vec![101], vec![], vec![101]),
        ("idempotency_key=key-3", vec![], vec![102], vec![102]),
        (&payment(0), vec![101], vec![], vec![101]),
        (&payment(2), vec![], vec![102], vec![102]),
        (&ticket(0), vec![101], vec![], vec![101]),
        (&ticket(2), vec![], vec![102], vec![102]),
        ("event_id=101&seat_id=1", vec![101], vec![], vec![101]),
        ("event_id=101&seat_id=3", vec![], vec![102], vec![102]),
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
