//! The feed of events: from any point on, without gaps, for those who may.

use std::collections::{BTreeMap, BTreeSet};

use order_service::domain::page_token::Cursor;

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
    // The same from the beginning, and from a time before all of it.
    let again = follow(&app, &mut None, 500).await;
    assert_eq!(again, events);
    let since = follow(&app, &mut Some("2020-01-01T00:00:00Z".to_owned()), 500).await;
    assert_eq!(since, events);
    let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids.len(), 180);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_leaves_out_what_happened_long_before_and_nothing_that_happened_after_it() {
    let app = Spawn::new().own_postgres().variable("internal_token", TOKEN).start().await;
    let scan = async || {
        app.store.run("UPDATE queue_scans SET scanned_at = scanned_at - interval '2 seconds'").await;
        app.store.run("SELECT scan_queues(timezone('utc', clock_timestamp()))").await;
    };
    let now = async || {
        let sql = "SELECT format_time(timezone('utc', clock_timestamp()))";
        app.store.value(sql).await.as_str().unwrap().to_owned()
    };
    let old = app.place(&order(&[1])).await.created().id().to_owned();
    app.quiesce().await;
    scan().await;
    let between = now().await;
    let new = app.place(&order(&[2])).await.created().id().to_owned();
    app.quiesce().await;
    scan().await;
    let after = now().await;
    let orders = async |time: &str| {
        sequences(&follow(&app, &mut Some(time.to_owned()), 2).await).into_keys().collect::<BTreeSet<_>>()
    };
    assert_eq!(orders(&between).await, BTreeSet::from([new.clone()]));
    assert!(orders(&after).await.is_empty());
    assert_eq!(orders("1970-01-01T00:00:00Z").await, BTreeSet::from([old, new]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_commits_late_holds_the_feed_back_and_nothing_is_missed() {
    let app = Spawn::new().own_postgres().variable("internal_token", TOKEN).start().await;
    let first = app.place(&order(&[1])).await.created().id().to_owned();
    let mut after = None;
    let mut told = follow(&app, &mut after, 100).await;
    assert_eq!(sequences(&told).keys().collect::<Vec<_>>(), [&first]);

    // It makes an event, and stays open while others commit theirs.
    let foreign = app.store.database().connect().await.unwrap();
    let late = format!(
        "BEGIN;
         INSERT INTO order_events (order_id, seq, type, actor, data, events, sequence, xid)
         SELECT order_id, 900, type, actor, data, jsonb_build_array(events->0), 4, pg_current_xact_id()
         FROM order_events WHERE order_id = '{first}' AND sequence = 2"
    );
    foreign.batch_execute(&late).await.unwrap();
    let second = app.place(&order(&[2])).await.created().id().to_owned();
    app.quiesce().await;
    assert!(
        follow(&app, &mut after, 100).await.is_empty(),
        "nothing that is younger than the open transaction"
    );

    foreign.batch_execute("COMMIT").await.unwrap();
    eventually("all of it is told", async || {
        told.extend(follow(&app, &mut after, 100).await);
        (told.len() >= 7).then_some(())
    })
    .await;
    let numbers = |last: i32| (1..=last).map(|number| format!("{number:010}")).collect::<Vec<_>>();
    assert_eq!(sequences(&told), BTreeMap::from([(first, numbers(4)), (second, numbers(3))]));
    // No journal has such an entry.
    app.store.run("DELETE FROM order_events WHERE seq = 900").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_server_or_of_before_a_failover_is_told() {
    let mut app = Spawn::new().variable("internal_token", TOKEN).standby().start().await;
    app.place(&order(&[1])).await.created();
    let mut after = None;
    assert_eq!(follow(&app, &mut after, 100).await.len(), 3);
    let cursor = after.unwrap();
    let Some(Cursor::Event { server, xid, order, sequence }) = Cursor::of_token(&cursor, "events") else {
        panic!("{cursor} is of the feed")
    };
    let others = Cursor::Event { server: server ^ 1, xid, order, sequence }.token("events");
    let ask = async |app: &App, cursor: &str| {
        app.operator(Method::GET, &format!("/v1/events?after={cursor}")).send().await
    };
    ask(&app, &cursor).await.json(200);
    ask(&app, &others).await.problem(400, "invalid_page_token");
    let replay = json!({ "from": others });
    let replayed = app.operator(Method::POST, "/internal/events/replay").json(&replay).send().await;
    replayed.problem(400, "invalid_page_token");
    // As if the storage had been set back: the server has not come so far again.
    let future = Cursor::Event { server, xid: xid + 1_000_000_000, order, sequence }.token("events");
    ask(&app, &future).await.problem(400, "invalid_page_token");
    let future = json!({ "from": future });
    let replayed = app.operator(Method::POST, "/internal/events/replay").json(&future).send().await;
    replayed.problem(400, "invalid_page_token");

    app.fail_over().await;
    // Until then the old primary's sessions are refused.
    eventually("the numbers are those of another timeline", async || {
        let answer = ask(&app, &cursor).await;
        if answer.status == 503 {
            answer.problem(503, "database_unavailable");
            return None;
        }
        answer.problem(400, "invalid_page_token");
        Some(())
    })
    .await;
    assert_eq!(follow(&app, &mut None, 100).await.len(), 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_goes_through_more_entries_than_a_page_has() {
    let app = Spawn::new().variable("internal_token", TOKEN).event_endpoint().start().await;
    app.fault(FaultRule::on(CallName::TakeEvent, fail(503)).always()).await;
    // Of a seat that there is not: each order is placed and fails, which makes two entries with events. A page has a thousand.
    let orders: Vec<OrderRequest> = (900_001..900_521).map(|seat| order(&[seat])).collect();
    for some in orders.chunks(20) {
        for placed in futures::future::join_all(some.iter().map(|order| app.place(order))).await {
            placed.problem_of_order(422, "seat_not_found");
        }
    }
    let entries = "SELECT count(*) FROM order_events WHERE events IS NOT NULL";
    assert_eq!(app.store.count(entries).await, 1_040);
    // As if all of them had been taken, and lost.
    app.store.run("UPDATE event_deliveries SET next = last + 1, due_at = NULL").await;
    let waiting = "SELECT count(*) FROM event_deliveries WHERE next = 1 AND due_at IS NOT NULL";
    assert_eq!(app.store.count(waiting).await, 0);
    let body = json!({ "from": "1970-01-01T00:00:00Z" });
    // Transactions of other tests hold it back for a moment.
    let replayed = eventually("all of them are there to be sent again", async || {
        let replayed =
            app.operator(Method::POST, "/internal/events/replay").json(&body).send().await.json(200);
        (app.store.count(waiting).await == 520).then_some(replayed)
    })
    .await;
    assert_eq!(replayed["next"], Value::Null);
    assert!(replayed["deliveries"].as_u64() >= Some(520), "{replayed}");
    app.peers.clear_faults().await.unwrap();
    app.store.run("UPDATE event_sinks SET paused_until = NULL, failures = 0").await;
    app.quiesce().await;
    assert_eq!(app.store.count("SELECT count(*) FROM event_deliveries WHERE next <= last").await, 0);
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
