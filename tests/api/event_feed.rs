//! The feed of events: from any point on, without gaps, for those who may.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;

/// Reads the feed to its end from a point on, in pages of so many; the events, and where the next page begins.
async fn follow(app: &App, after: &mut Option<String>, limit: usize) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let cursor = after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let page =
            app.operator(Method::GET, &format!("/v1/events?limit={limit}{cursor}")).send().await.json(200);
        let found = page["events"].as_array().unwrap();
        assert!(found.len() <= limit);
        *after = page["next"].as_str().map(str::to_owned);
        if found.is_empty() {
            return events;
        }
        found.iter().for_each(event_schemas::assert_valid);
        events.extend(found.iter().cloned());
    }
}

/// The numbers of each order's events, as they came.
fn sequences(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        found.entry(text("subject")).or_default().push(text("sequence"));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_of_the_feed_has_every_event_once_and_in_order_whatever_the_page() {
    let app = Spawn::new().replicas(2).variable("internal_token", TOKEN).start().await;
    let orders: Vec<OrderRequest> = (1..=60).map(|seat| order(&[seat])).collect();
    let (mut after, mut events) = (None, Vec::new());
    let placing = async {
        for some in orders.chunks(6) {
            futures::future::join_all(some.iter().map(|order| app.place(order))).await;
        }
    };
    let following = async {
        for limit in [1, 2, 7, 100] {
            events.extend(follow(&app, &mut after, limit).await);
        }
    };
    futures::future::join(placing, following).await;
    app.quiesce().await;
    // Transactions of other tests hold it back for a moment.
    eventually("the last events", async || {
        events.extend(follow(&app, &mut after, 3).await);
        (events.len() >= 180).then_some(())
    })
    .await;
    assert_eq!(events.len(), 180);
    let expected: Vec<String> = (1..=3).map(|n| format!("{n:010}")).collect();
    let found = sequences(&events);
    assert_eq!(found.len(), 60);
    for (order, sequences) in &found {
        assert_eq!(*sequences, expected, "{order}");
    }
    // The same from the beginning, and from a time before.
    let again = follow(&app, &mut None, 500).await;
    assert_eq!(again, events);
    let since = follow(&app, &mut Some("2020-01-01T00:00:00Z".to_owned()), 500).await;
    assert_eq!(since, events);
    let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids.len(), 180);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_cursors_and_parameters_are_told() {
    let app = Spawn::new().variable("internal_token", TOKEN).start().await;
    let get = async |query: &str| app.operator(Method::GET, &format!("/v1/events{query}")).send().await;
    let next = get("").await.json(200)["next"].as_str().unwrap().to_owned();
    get(&format!("?after={next}")).await.json(200);
    for after in ["x", &next[..next.len() - 1], "2026-13-01T00:00:00Z", "AWQ3eGs0c2Z0bWc"] {
        get(&format!("?after={after}")).await.problem(400, "invalid_page_token");
    }
    for query in ["?limit=0", "?limit=x", "?page_size=5", "?after=", "?limit=1&limit=2"] {
        get(query).await.problem(422, "validation_failed");
    }
    for path in [
        "/internal/deliveries?state=gone",
        "/internal/deliveries?state=delivered",
        "/internal/deliveries?order_id=x",
    ] {
        app.operator(Method::GET, path).send().await.problem(422, "validation_failed");
    }
    app.request(Method::GET, "/v1/events").send().await.problem(403, "forbidden");
    app.request(Method::GET, "/internal/deliveries").send().await.problem(401, "unauthorized");
    app.finish().await;
}
