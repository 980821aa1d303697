//! `GET /v1/orders?…`: orders that a support desk looks up.

use crate::list_orders::{page, with_lists};
use crate::refund::confirmed;
use crate::second_payment::paid_again;
use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_found_by_its_key_its_payments_and_its_tickets() {
    let app = with_lists(Mode::Succeed).await;
    let request = order(&[1, 2]).key("a+b/c");
    let document = app.place(&request).await.created();
    let other = confirmed(&app, &[3]).await;
    let second = paid_again(&app, &document).await;
    app.quiesce().await;
    let tickets = document.tickets("ticket_code");
    let code = |index: usize| tickets[index].as_str().unwrap().to_owned();
    for query in [
        "idempotency_key=a%2Bb%2Fc".to_owned(),
        "idempotency_key=%22a%2Bb%2Fc%22".to_owned(),
        format!("payment_id={}", document.payment_id()),
        format!("payment_id={}", second.id),
        format!("payment_id={}", second.id.to_uppercase()),
        format!("ticket_code={}", code(0)),
        format!("ticket_code={}&page_size=1", code(1)),
    ] {
        let found = page(&app, &query).await;
        assert_eq!((found.ids(), found.next), (vec![document.id().to_owned()], None), "{query}");
    }
    for query in [
        "idempotency_key=a".to_owned(),
        "ticket_code=TKT-NONE".to_owned(),
        format!("payment_id={}", other.id()),
    ] {
        let found = page(&app, &query).await;
        assert_eq!((found.orders.len(), found.next), (0, None), "{query}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_leads_to_the_orders_that_hold_it_or_have_held_it() {
    let app = with_lists(Mode::Pending).await;
    let mut ids = Vec::new();
    for seats in [[1, 2], [1, 3], [1, 4]] {
        let document = app.place(&order(&seats)).await.created();
        app.cancel(document.id()).await.document(200);
        app.quiesce().await;
        ids.push(document.id().to_owned());
    }
    ids.push(app.place(&order(&[1])).await.created().id().to_owned());
    ids.reverse();
    // Seating does not answer: the order has claimed the seat, and no items yet.
    let fault = app.fault(stall(CallName::Reserve, 20_000, Moment::Before)).await;
    ids.insert(0, app.place(&order(&[5])).await.accepted().id().to_owned());

    let found = page(&app, "event_id=101&seat_id=1").await;
    assert_eq!((found.ids(), found.next), (ids[1..].to_vec(), None));
    assert_eq!(page(&app, "event_id=101&seat_id=3").await.ids(), [ids[3].clone()]);
    assert_eq!(page(&app, "event_id=101&seat_id=5").await.ids(), [ids[0].clone()]);
    assert!(page(&app, "event_id=104&seat_id=1").await.orders.is_empty(), "it is a seat of another event");
    assert!(page(&app, "event_id=101&seat_id=9").await.orders.is_empty());

    let first = page(&app, "event_id=101&seat_id=1&page_size=3").await;
    assert_eq!(first.ids(), ids[1..4]);
    let rest = page(&app, &format!("event_id=101&seat_id=1&page_token={}", first.next.unwrap())).await;
    assert_eq!((rest.ids(), rest.next), (ids[4..].to_vec(), None));
    app.remove_fault(fault).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_another_users_order_a_look_up_finds_nothing_and_a_journal_is_not_there() {
    let app = spawn().await;
    let document = confirmed(&app, &[1]).await;
    let (id, key) = (document.id(), document["order"]["idempotency_key"].as_str().unwrap());
    for (owner, found) in [("NULL", 1), ("101", 1), ("102", 0)] {
        let by = |key: &str, ticket: &str, event: &str| {
            format!(
                "SELECT json_array_length((find_orders({owner}, {key}, NULL, {ticket}, {event}, 1, NULL, NULL, 9))[1]::json)"
            )
        };
        let ticket = document.tickets("ticket_code")[0].as_str().unwrap().to_owned();
        for sql in [
            by(&format!("'{key}'"), "NULL", "NULL"),
            by("NULL", &format!("'{ticket}'"), "NULL"),
            by("NULL", "NULL", "101"),
        ] {
            assert_eq!(app.store.count(&sql).await, found, "{sql}");
        }
        let journal = format!("SELECT read_journal_page('{id}', {owner}, 0, 9) IS NOT NULL");
        assert_eq!(app.store.value(&journal).await, found == 1, "{journal}");
    }
    app.finish().await;
}
