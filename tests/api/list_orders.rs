//! `GET /v1/orders`: newest first, by user, event and status, a page at a time.

use std::collections::BTreeSet;

use crate::support::*;

/// A page: its orders, and the token of the next one.
pub struct Listed {
    pub orders: Vec<Document>,
    pub next: Option<String>,
}

impl Listed {
    /// The ids of its orders.
    pub fn ids(&self) -> Vec<String> {
        self.orders.iter().map(|order| order.id().to_owned()).collect()
    }
}

/// A service whose lists can be asked for.
pub async fn with_lists(mode: Mode) -> App {
    Spawn::new().variable("internal_token", TOKEN).payment_mode(mode).start().await
}

/// Asks for a list with these parameters, in whatever way it is answered.
pub async fn ask(app: &App, query: &str) -> Answer {
    app.operator(Method::GET, &format!("/v1/orders?{query}")).send().await
}

/// A page of the list, of the right shape.
pub async fn page(app: &App, query: &str) -> Listed {
    let body = ask(app, query).await.json(200);
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert!(members == ["orders"] || members == ["next_page_token", "orders"], "{members:?}");
    let orders = body["orders"].as_array().expect("a list").iter().cloned().map(Document::checked).collect();
    let next = body.get("next_page_token").map(|token| token.as_str().expect("a text").to_owned());
    Listed { orders, next }
}

/// All orders of the list, page by page, and how many pages there were.
async fn all(app: &App, query: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let listed = page(app, &format!("{query}{token}")).await;
        ids.extend(listed.ids());
        pages += 1;
        let Some(next) = listed.next else { return (ids, pages) };
        token = format!("&page_token={next}");
    }
}

/// So many orders as the service before this one left them, the first one oldest, two with each time of creation.
async fn inherit(app: &App, count: u32) {
    let sql = format!(
        "INSERT INTO orders (id, user_id, event_id, status, total_cents, created_at)
         SELECT lpad(n::text, 32, '0')::uuid, 1 + n % 7, 1 + n % 3, CASE WHEN n = 1 THEN 'FAILED' ELSE 'CONFIRMED' END, 0,
                timestamp '2025-01-01' + n / 2 * interval '1 second'
         FROM generate_series(1, {count}) n"
    );
    app.store.run(&sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_come_newest_first_and_each_once_while_others_are_placed() {
    let app = with_lists(Mode::Pending).await;
    let mut placed = Vec::new();
    for seat in 1..=7 {
        placed.push(app.place(&order(&[seat])).await.created().id().to_owned());
    }
    placed.reverse();
    let first = page(&app, "page_size=3").await;
    assert_eq!(first.ids(), placed[..3]);
    app.place(&order(&[8])).await.created();
    app.cancel(&placed[4]).await.document(200);
    let second = page(&app, &format!("page_size=3&page_token={}", first.next.unwrap())).await;
    assert_eq!(second.ids(), placed[3..6], "a page begins where the one before ended");
    assert_eq!(second.orders[1].status(), "CANCELLED", "orders are shown as they are now");
    let last = page(&app, &format!("page_size=3&page_token={}", second.next.unwrap())).await;
    assert_eq!((last.ids(), last.next.is_none()), (placed[6..].to_vec(), true));
    assert_eq!(last.orders[0], app.read(&placed[6]).await, "the document is the one of the order");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_of_a_user_an_event_a_status_or_all_of_them() {
    let app = with_lists(Mode::Pending).await;
    let place = async |seat: i64, user: i64, event: i64| {
        app.place(&order(&[seat]).user(user).event(event)).await.created().id().to_owned()
    };
    let (a, b, c, d) =
        (place(1, 7, 101).await, place(1001, 7, 104).await, place(2, 8, 101).await, place(3, 7, 101).await);
    app.cancel(&a).await.document(200);
    for (query, expected) in [
        ("", vec![&d, &c, &b, &a]),
        ("user_id=7", vec![&d, &b, &a]),
        ("event_id=101", vec![&d, &c, &a]),
        ("user_id=7&event_id=101", vec![&d, &a]),
        ("status=CANCELLED", vec![&a]),
        ("status=PENDING&user_id=7", vec![&d, &b]),
        ("status=PENDING&event_id=101&user_id=8", vec![&c]),
        ("status=REFUNDED", vec![]),
        ("user_id=9", vec![]),
        ("event_id=2147483647", vec![]),
    ] {
        let expected: Vec<&str> = expected.into_iter().map(String::as_str).collect();
        assert_eq!(page(&app, query).await.ids(), expected, "{query}");
        assert_eq!(all(&app, &format!("{query}&page_size=1")).await.0, expected, "{query}, one by one");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_has_fifty_orders_or_as_many_as_were_asked_for_and_two_hundred_at_most() {
    let app = with_lists(Mode::Succeed).await;
    inherit(&app, 450).await;
    for (query, expected) in [
        ("", 50),
        ("page_size=1", 1),
        ("page_size=200", 200),
        ("page_size=201", 200),
        ("page_size=99999999999", 200),
        ("page_size=99999999999999999999999999999999999999999999999999", 200),
    ] {
        assert_eq!(page(&app, query).await.orders.len(), expected, "{query}");
    }
    let (ids, pages) = all(&app, "page_size=64").await;
    assert_eq!((ids.len(), pages), (450, 8));
    assert!(ids.is_sorted_by(|before, after| before > after), "orders of the same time come by their ids");
    let of_user = all(&app, "user_id=3&page_size=9").await.0;
    let number = |id: &str| id.replace('-', "").parse::<u32>().expect("as inherited");
    let expected: Vec<&String> = ids.iter().filter(|id| 1 + number(id) % 7 == 3).collect();
    assert_eq!(of_user.iter().collect::<Vec<_>>(), expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_would_visit_too_many_orders_is_short_and_the_next_one_goes_on() {
    let app = with_lists(Mode::Succeed).await;
    inherit(&app, 4_500).await;
    let (ids, pages) = all(&app, "status=FAILED").await;
    assert_eq!((ids.len(), pages), (1, 3), "{ids:?}");
    let (ids, pages) = all(&app, "status=FAILED&event_id=2").await;
    assert_eq!((ids.len(), pages), (1, 1), "an event's orders are found without all others: {ids:?}");
    let (ids, pages) = all(&app, "event_id=2&user_id=2&page_size=200").await;
    assert_eq!((ids.len(), pages), (215, 2), "4500 / 21");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_authentication_is_off_a_list_needs_the_internal_token() {
    let app = with_lists(Mode::Succeed).await;
    for query in ["", "?user_id=101", "?ticket_code=TKT", "?nonsense=1", "?page_token=x"] {
        let path = format!("/v1/orders{query}");
        app.get(&path).await.problem(403, "forbidden");
        let request = app.request(Method::GET, &path).header("authorization", "Bearer wrong");
        request.send().await.problem(403, "forbidden");
    }
    app.operator(Method::GET, "/v1/orders").send().await.json(200);
    let head = app.operator(Method::HEAD, "/v1/orders").send().await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("13"), 0));
    app.finish().await;

    let app = spawn().await;
    let request = app.request(Method::GET, "/v1/orders").header("authorization", "Bearer ");
    request.send().await.problem(403, "forbidden");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_parameter_is_named() {
    let app = with_lists(Mode::Succeed).await;
    let answer =
        ask(&app, "user_id=0&event_id=1&event_id=1&status=pending&offset=5&page_size=many&seat_id=").await;
    let problem = answer.problem(422, "validation_failed");
    let errors = problem["errors"].as_array().unwrap();
    let pointers: BTreeSet<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        pointers,
        BTreeSet::from(["#/user_id", "#/event_id", "#/status", "#/offset", "#/page_size", "#/seat_id"])
    );
    assert!(
        errors.iter().all(|error| error["detail"].as_str().unwrap().starts_with("query parameter: ")),
        "{problem}"
    );
    for query in
        ["idempotency_key=a&status=PENDING", "seat_id=1", "updated_since=now", "user_id=%zz", "page_token="]
    {
        ask(&app, query).await.problem(422, "validation_failed");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_is_good_for_the_list_that_it_was_made_for() {
    let app = with_lists(Mode::Succeed).await;
    inherit(&app, 10).await;
    let token = page(&app, "event_id=2&page_size=1").await.next.unwrap();
    let (cut, mut altered) = (&token[..token.len() - 1], token.clone().into_bytes());
    altered[20] = if altered[20] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let since = page(&app, "updated_since=2025-01-01T00:00:00Z").await.next.unwrap();
    for query in [
        format!("event_id=1&page_token={token}"),
        format!("page_token={token}"),
        format!("event_id=2&status=CONFIRMED&page_token={token}"),
        format!("event_id=2&seat_id=1&page_token={token}"),
        format!("event_id=2&updated_since=2025-01-01T00:00:00Z&page_token={token}"),
        format!("event_id=2&page_token={cut}"),
        format!("event_id=2&page_token={altered}"),
        format!("event_id=2&page_token={token}="),
        "event_id=2&page_token=bm9uc2Vuc2U".to_owned(),
        "event_id=2&page_token=%20".to_owned(),
        format!("updated_since=2025-01-01T00:00:01Z&page_token={since}"),
    ] {
        ask(&app, &query).await.problem(400, "invalid_page_token");
    }
    let other_size = page(&app, &format!("page_size=3&page_token={token}&event_id=2")).await;
    assert_eq!(other_size.orders.len(), 3, "the size may change from page to page");
    app.finish().await;
}
