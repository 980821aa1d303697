//! Page tokens that somebody has made: their hash has no secret in it.

use order_service::domain::access::OrderScope;
use order_service::domain::order_list::{Filters, Selection};
use order_service::domain::page_token::Cursor;
use uuid::Uuid;

use crate::list_orders::{ask, with_lists};
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_token_of_a_place_that_cannot_be_is_refused() {
    let app = with_lists(Mode::Succeed).await;
    let order = app.place(&order(&[1])).await.created();
    let since = ask(&app, "updated_since=1970-01-01T00:00:00Z").await.json(200);
    let newest = Selection::Newest(Filters::default()).describe(OrderScope::All);
    let changed = Selection::ChangedSince { since: 0, filters: Filters::default() }.describe(OrderScope::All);
    let next = since["next_page_token"].as_str().expect("a token");
    let Some(Cursor::Changed { server, .. }) = Cursor::of_token(next, &changed) else {
        panic!("{next} is of the list of changes")
    };
    let id = Uuid::nil();
    for created_at in [i64::MIN, i64::MIN / 2, i64::MAX] {
        let token = Cursor::Before { created_at, id }.token(&newest);
        ask(&app, &format!("page_token={token}")).await.problem(400, "invalid_page_token");
    }
    for xid in [i64::MIN, -1] {
        let token = Cursor::Changed { server, xid, id }.token(&changed);
        let query = format!("updated_since=1970-01-01T00:00:00Z&page_token={token}");
        ask(&app, &query).await.problem(400, "invalid_page_token");
    }
    let token = Cursor::Entry(-1).token(&format!("events of {}", order.id()));
    let events = format!("/v1/orders/{}/events?page_token={token}", order.id());
    app.operator(Method::GET, &events).send().await.problem(400, "invalid_page_token");

    // Of another kind of list.
    let token = Cursor::Entry(1).token(&newest);
    ask(&app, &format!("page_token={token}")).await.problem(400, "invalid_page_token");
    let token = Cursor::Before { created_at: 0, id }.token(&changed);
    let query = format!("updated_since=1970-01-01T00:00:00Z&page_token={token}");
    ask(&app, &query).await.problem(400, "invalid_page_token");
    app.finish().await;
}
