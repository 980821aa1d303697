//! `deploy/archive/archive-orders.sql`, as an operator runs it beside the service.

use std::process::Stdio;

use crate::callback::pending;
use crate::inherited;
use crate::metrics::scrape;
use crate::refund::confirmed;
use crate::support::*;

/// Archives orders of event 101 to which nothing has happened for 13 months.
fn archive(app: &App) -> String {
    let database = app.store.database();
    let file = order_dev::repo_root().join("deploy/archive/archive-orders.sql");
    let mut psql = server().program("psql");
    let port = database.port.to_string();
    psql.args(["-X", "-h", &database.host, "-p", &port, "-U", &database.user, "-d", &database.name]);
    psql.args(["-v", "events=101,102", "-v", "older_than=13 months", "-f", "-"]);
    psql.stdin(std::fs::File::open(file).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = psql.spawn().and_then(|child| child.wait_with_output()).unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_orders_at_rest_are_archived_and_all_others_stay() {
    let app = Spawn::new().variable("internal_token", TOKEN).start().await;
    let kept = confirmed(&app, &[1, 2]).await;
    let old = confirmed(&app, &[3, 4, 5]).await;
    let order_request = order(&[6]);
    let refunded = app.place(&order_request).await.created();
    app.quiesce().await;
    app.refund(refunded.id()).await.document(200);
    let other_event = app.place(&order(&[3001]).event(106)).await.created();
    // Its last event waits for a sink.
    let unsent = confirmed(&app, &[10]).await;
    let waits = "INSERT INTO event_deliveries (order_id, sink, next, last) VALUES";
    app.store
        .run(&format!("{waits} ('{}', 'kafka', 3, 3), ('{}', 'kafka', 4, 3)", unsent.id(), old.id()))
        .await;
    app.set_payment_mode(Mode::Pending).await;
    let waiting = pending(&app, &[7]).await;
    // Cancelled, and Payment has not decided: it is watched.
    let watched = pending(&app, &[8]).await;
    app.cancel(watched.id()).await.document(200);
    app.quiesce().await;
    app.take_peer_down(Peer::Notification).await;
    app.set_payment_mode(Mode::Succeed).await;
    let untold = app.place(&order(&[9])).await.created();
    let before = scrape(&app).await;
    let journal = app.journal(old.id()).await.len();

    let age = "timezone('utc', now()) - interval '14 months'";
    let sql = format!("UPDATE orders SET updated_at = {age} WHERE id <> '{}'", kept.id());
    app.store.run(&sql).await;
    let said = archive(&app);
    assert!(said.contains("2 orders are in archive.orders"), "{said}");
    assert!(archive(&app).contains("2 orders are in archive.orders"), "there is nothing more to archive");

    for gone in [&old, &refunded] {
        app.get(&format!("/v1/orders/{}", gone.id())).await.problem(404, "order_not_found");
        app.call_back(gone.id(), gone.payment_id(), "REFUNDED").await.problem(404, "order_not_found");
    }
    for stays in [&kept, &other_event, &waiting, &watched, &untold, &unsent] {
        app.read(stays.id()).await;
    }
    assert_eq!(app.store.count(ORPHANS).await, 0, "an order's parts go with it");
    let archived =
        app.store.value(&format!("SELECT \"order\" FROM archive.orders WHERE id = '{}'", old.id())).await;
    assert_eq!(
        (archived["status"].as_str(), archived["payment_status"].as_str()),
        (Some("CONFIRMED"), Some("SUCCESS"))
    );
    for (part, count) in [("items", 3), ("tickets", 3), ("events", journal)] {
        assert_eq!(archived[part].as_array().unwrap().len(), count, "{part}");
    }
    let archived = app
        .store
        .value(&format!("SELECT \"order\" FROM archive.orders WHERE id = '{}'", refunded.id()))
        .await;
    assert_eq!(archived["refund"]["outcome"], "REFUNDED");

    // Counters go on, and nothing is wrong with what is left.
    let after = scrape(&app).await;
    for name in ["order_service_orders_created_total", "order_service_orders{status=\"CONFIRMED\"}"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    // Its key is free again, and so is its seat.
    assert!(!app.place(&order_request).await.is_replayed());
    app.take_peer_up(Peer::Notification).await;
    app.quiesce().await;
    let violations = scrape(&app).await;
    let mut violations = violations.iter().filter(|(name, _)| name.contains("invariant_violations{"));
    assert!(violations.all(|(_, value)| *value == 0.0));
    app.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_orders_that_are_deleted_by_hand_goes_what_belongs_to_them() {
    let app = inherited::inherited().await;
    for seat in [6, 7] {
        confirmed(&app, &[seat]).await;
    }
    // One lost a seat to another, one has no event.
    for number in 1..=6 {
        let delete = format!("DELETE FROM public.orders WHERE id = '{}'", inherited::id(number));
        app.store.run(&format!("SET search_path = ''; {delete}; RESET search_path")).await;
        assert_eq!(app.store.count(ORPHANS).await, 0, "{number}");
    }
    let claims = "SELECT count(*) FROM seat_claims";
    assert_eq!(app.store.count(claims).await, 2);
    app.store.run("TRUNCATE orders CASCADE").await;
    assert_eq!(app.store.count(claims).await + app.store.count("SELECT count(*) FROM order_events").await, 0);
    app.abandon().await;
}
