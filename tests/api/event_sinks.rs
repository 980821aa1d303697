//! Events for other systems: each arrives at every sink, at least once, and those of an order in its order.

use order_dev::peers::{Matching, RetryAfter, TakenEvent};
use std::time::UNIX_EPOCH;

use crate::callback::pending;
use crate::metrics::{scrape, sum_of};
use crate::payment_odd::expired;
use crate::refund::confirmed;
use crate::support::webhook::{OTHER_SECRET, SECRET, sign};
use crate::support::*;

/// How many sinks are left alone.
const PAUSED: &str = "SELECT count(*) FROM event_sinks WHERE paused_until IS NOT NULL";
/// How many orders have no event that waits, for each sink.
const DELIVERED: &str = "SELECT count(*) FROM event_deliveries WHERE next > last";

/// The events that a sink has taken of an order, as they came.
async fn taken(app: &App, sink: &str, order: &str) -> Vec<TakenEvent> {
    let state = app.peers.state().await.expect("the sandbox's state");
    let of_order = |taken: &TakenEvent| taken.sink == sink && taken.event["subject"] == order;
    let taken: Vec<TakenEvent> = state.events_taken.into_iter().filter(of_order).collect();
    taken.iter().for_each(|taken| event_schemas::assert_valid(&taken.event));
    taken
}

fn types(events: &[TakenEvent]) -> Vec<&str> {
    events.iter().map(|taken| taken.event["type"].as_str().expect("a type")).collect()
}

/// Each number from 1 on, one after the other.
#[track_caller]
fn assert_in_order(events: &[TakenEvent]) {
    let sequences: Vec<String> =
        events.iter().map(|taken| taken.event["sequence"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = (1..=events.len()).map(|n| format!("{n:010}")).collect();
    assert_eq!(sequences, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_of_an_order_arrives_by_post_signed_and_in_order() {
    let app = Spawn::new()
        .event_endpoint()
        .variable("events_webhook_secret", &format!("{SECRET} {OTHER_SECRET}"))
        .variable("events_source", "https://orders.example/")
        .start()
        .await;
    let order = confirmed(&app, &[1, 2]).await;
    app.refund(order.id()).await.document(200);
    app.quiesce().await;
    let events = taken(&app, "http", order.id()).await;
    assert_eq!(
        types(&events),
        [
            "order.placed.v1",
            "order.confirmed.v1",
            "ticket.issued.v1",
            "ticket.issued.v1",
            "ticket.voided.v1",
            "ticket.voided.v1",
            "order.refunded.v1"
        ]
    );
    assert_in_order(&events);
    for taken in &events {
        let event = &taken.event;
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "https://orders.example/");
        assert_eq!(event["id"], format!("{}.{}", order.id(), event["sequence"].as_str().unwrap()));
        assert_eq!(event["partitionkey"], order.id());
        assert!(event["time"].as_str().unwrap().ends_with('Z'));
        let data = &event["data"];
        assert_eq!(
            (&data["order_id"], &data["event_id"], &data["user_id"]),
            (&json!(order.id()), &json!(101), &json!(101))
        );
        let header = |name: &str| taken.webhook[&format!("webhook-{name}")].clone();
        assert_eq!(header("id"), event["id"].as_str().unwrap());
        let signatures = [SECRET, OTHER_SECRET]
            .map(|secret| sign(secret, &header("id"), &header("timestamp"), &taken.body));
        assert_eq!(header("signature"), signatures.join(" "));
        let signed: u64 = header("timestamp").parse().expect("seconds since 1970");
        let now = UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        assert!((now - 300..=now).contains(&signed), "{signed} is not before {now}");
    }
    let document = app.read(order.id()).await;
    let data = |at: usize| &events[at].event["data"];
    assert_eq!(data(0)["seats"], json!([1, 2]));
    assert!(data(0).get("total_cents").is_none(), "it was not known then");
    assert_eq!(
        (&data(1)["total_cents"], &data(1)["payment_id"]),
        (&json!(31500), &json!(order.payment_id()))
    );
    let codes: Vec<Value> = (2..4).map(|at| data(at)["ticket_code"].clone()).collect();
    assert_eq!(codes, document.tickets("ticket_code"));
    assert_eq!((&data(2)["seat_id"], &data(2)["seat_code"]), (&json!(1), &json!("A1")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_fails_or_is_cancelled_tells_why() {
    let app = Spawn::new().event_endpoint().payment_mode(Mode::Decline).start().await;
    let declined = app.place(&order(&[1])).await.problem_of_order(402, "payment_declined");
    app.set_payment_mode(Mode::Pending).await;
    let cancelled = app.place(&order(&[2])).await.created();
    app.cancel(cancelled.id()).await.document(200);
    app.settle(&cancelled, PaymentStatus::Failed).await;
    app.quiesce().await;
    let events = taken(&app, "http", &declined).await;
    assert_eq!(types(&events), ["order.placed.v1", "order.failed.v1"]);
    assert_eq!(events[1].event["data"]["failure"]["code"], "payment_declined");
    let events = taken(&app, "http", cancelled.id()).await;
    assert_eq!(types(&events), ["order.placed.v1", "order.cancelled.v1"]);
    assert!(events[0].webhook.is_empty(), "nothing is signed without a secret");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_looks_like_the_last_one_may_be_followed_by_others() {
    let app = Spawn::new().event_endpoint().payment_mode(Mode::Pending).start().await;
    // A payment comes after the order has expired, and then goes back by the bank.
    let late = pending(&app, &[1]).await;
    expired(&app, &late).await;
    for status in [PaymentStatus::Success, PaymentStatus::Refunded] {
        app.settle(&late, status).await;
        app.quiesce().await;
    }
    // Money of an order that never came to be goes back, too: that is no event of the order.
    let declined = pending(&app, &[2]).await;
    app.settle(&declined, PaymentStatus::Failed).await;
    app.settle(&declined, PaymentStatus::Success).await;
    app.quiesce().await;
    assert_eq!(app.read(declined.id()).await["payment"]["status"], "REFUNDED");
    for (order, expected) in [
        (
            &late,
            &[
                "order.placed.v1",
                "order.cancelled.v1",
                "order.confirmed.v1",
                "ticket.issued.v1",
                "order.refunded.v1",
                "ticket.voided.v1",
            ][..],
        ),
        (&declined, &["order.placed.v1", "order.failed.v1"]),
    ] {
        let events = taken(&app, "http", order.id()).await;
        assert_eq!(types(&events), expected);
        assert_in_order(&events);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_events_go_to_kafka_keyed_by_the_order() {
    let app = Spawn::new().event_endpoint().kafka_rest_proxy().start().await;
    let mut orders = Vec::new();
    for seat in 1..=5 {
        orders.push(confirmed(&app, &[seat]).await);
    }
    app.quiesce().await;
    let state = app.peers.state().await.expect("the sandbox's state");
    assert_eq!(state.events_taken.len(), 30);
    let read = event_schemas::read_in_python(&state.events_taken).await;
    for (read, taken) in read.iter().zip(&state.events_taken) {
        for name in ["id", "source", "type", "subject", "partitionkey", "sequence"] {
            assert_eq!(read["attributes"][name], taken.event[name], "{name}");
        }
        assert_eq!(
            (&read["data"], &read["attributes"]["specversion"]),
            (&taken.event["data"], &json!("1.0"))
        );
    }
    for order in &orders {
        let (http, kafka) = (taken(&app, "http", order.id()).await, taken(&app, "kafka", order.id()).await);
        assert_eq!(types(&kafka), ["order.placed.v1", "order.confirmed.v1", "ticket.issued.v1"]);
        assert_in_order(&kafka);
        for (http, kafka) in http.iter().zip(&kafka) {
            assert_eq!(kafka.key.as_deref(), Some(order.id()));
            assert_eq!(kafka.event["datacontenttype"], "application/json");
            for name in ["id", "type", "time", "sequence", "data"] {
                assert_eq!(kafka.event[name], http.event[name], "{name}");
            }
        }
    }
    // The component that publishes to a broker is not called: there is no URL of one.
    let calls = eventually("the calls are counted", async || {
        let series = scrape(&app).await;
        let of = |call: &str| sum_of(&series, "order_service_peer_calls_total{", &format!("call=\"{call}\""));
        (of("events.http") >= 15.0).then(|| of("events.mqtt"))
    });
    assert_eq!(calls.await, 0.0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_refused_holds_up_its_own_order_alone_and_becomes_a_dead_letter() {
    let spawn = Spawn::new().event_endpoint().variable("internal_token", TOKEN);
    let mut app = spawn.payment_mode(Mode::Pending).start().await;
    let broken = pending(&app, &[1]).await;
    app.quiesce().await;
    let only = Matching { order_id: Some(broken.id().to_owned()), ..Matching::default() };
    let refusal = FaultRule::on(CallName::TakeEvent, fail(422)).always();
    let fault = app.fault(FaultRule { only, ..refusal }).await;
    app.settle(&broken, PaymentStatus::Success).await;
    let mut others = Vec::new();
    for seat in 2..=4 {
        let other = pending(&app, &[seat]).await;
        app.settle(&other, PaymentStatus::Success).await;
        others.push(other.id().to_owned());
    }
    // All but the one, whatever that one waits for.
    eventually("the others' events", async || {
        app.sweep().await;
        (app.store.count(DELIVERED).await == 3).then_some(())
    })
    .await;
    for other in &others {
        assert_in_order(&taken(&app, "http", other).await);
    }
    assert_eq!(taken(&app, "http", broken.id()).await.len(), 1, "the first one was taken before");
    let refused = "SELECT count(*) FROM event_deliveries WHERE attempts > 0";
    eventually("a refusal", async || {
        app.sweep().await;
        (app.store.count(refused).await == 1).then_some(())
    })
    .await;
    // A redrive tries again what waits after a refusal, but for what may be under way, under a lease.
    for (waits, redriven) in [("30 seconds", 0), ("1 hour", 1)] {
        let wait = format!(
            "UPDATE event_deliveries SET due_at = timezone('utc', clock_timestamp()) + interval '{waits}' WHERE attempts > 0"
        );
        app.store.run(&wait).await;
        let redrive =
            app.operator(Method::POST, "/internal/redrive").json(&json!({ "orders": [broken.id()] }));
        assert_eq!(redrive.send().await.json(200)["messages"], redriven, "{waits}");
    }
    let dead = "SELECT count(*) FROM event_deliveries WHERE dead_at IS NOT NULL";
    eventually("a dead letter", async || {
        app.store.run("UPDATE event_deliveries SET due_at = timezone('utc', clock_timestamp()) WHERE due_at IS NOT NULL").await;
        app.sweep().await;
        (app.store.count(dead).await == 1).then_some(())
    })
    .await;
    let listed = app.operator(Method::GET, "/internal/deliveries?state=dead").send().await.json(200);
    let [delivery] = &listed["deliveries"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(
        (&delivery["order_id"], &delivery["sink"], &delivery["delivered"]),
        (&json!(broken.id()), &json!("http"), &json!(1))
    );
    let tried = delivery["tried"].as_array().unwrap();
    assert_eq!((tried.len(), &tried[4]["status"], &tried[4]["sequence"]), (5, &json!(422), &json!(2)));

    app.remove_fault(fault).await;
    let redrive = app.operator(Method::POST, "/internal/redrive").json(&json!({ "orders": [broken.id()] }));
    assert_eq!(redrive.send().await.json(200)["messages"], 1);
    app.quiesce().await;
    assert_in_order(&taken(&app, "http", broken.id()).await);
    app.expect_errors_in_the_log();
    app.finish().await;
}

/// As many as one claim takes, and more.
const REFUSED: i64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_orders_whose_events_are_refused_hold_up_no_other() {
    // A refusal counts at once; a failure of the sink itself only when it takes others' events.
    for status in [422, 500] {
        let spawn = Spawn::new().event_endpoint().kafka_rest_proxy().variable("internal_token", TOKEN);
        let mut app = spawn.payment_mode(Mode::Pending).start().await;
        app.expect_errors_in_the_log();
        let mut faults = Vec::new();
        for seat in 1..=REFUSED {
            for call in [CallName::TakeEvent, CallName::Produce] {
                let only = Matching { seat_id: Some(seat), ..Matching::default() };
                let rule = FaultRule { only, ..FaultRule::on(call, fail(status)).always() };
                faults.push(app.fault(rule).await);
            }
            pending(&app, &[seat]).await;
        }
        let tried = "SELECT count(*) FROM event_deliveries WHERE jsonb_array_length(tried) > 0 AND next = 1";
        eventually("each is refused by both", async || {
            app.resume_sinks().await;
            app.sweep().await;
            (app.store.count(tried).await == 2 * REFUSED).then_some(())
        })
        .await;
        let mut others = Vec::new();
        for seat in REFUSED + 1..=REFUSED + 3 {
            others.push(pending(&app, &[seat]).await.id().to_owned());
        }
        let dead = "SELECT count(*) FROM event_deliveries WHERE dead_at IS NOT NULL";
        // The refused ones are due before the others, and have two attempts left; no pause is waited for.
        if status == 422 {
            app.store.run("UPDATE event_deliveries SET attempts = 8, due_at = due_at - interval '1 day' WHERE attempts > 0").await;
        }
        eventually("the others' events, and dead letters", async || {
            app.store
                .run(
                    "UPDATE event_deliveries SET due_at = due_at - interval '1 day' WHERE attempts > 8;
                     UPDATE event_sinks SET paused_until = NULL",
                )
                .await;
            app.sweep().await;
            let settled = (app.store.count(DELIVERED).await, app.store.count(dead).await);
            (settled == (6, if status == 422 { 2 * REFUSED } else { 0 })).then_some(())
        })
        .await;
        for other in &others {
            for sink in ["http", "kafka"] {
                assert_eq!(types(&taken(&app, sink, other).await), ["order.placed.v1"]);
            }
        }
        for fault in faults {
            app.remove_fault(fault).await;
        }
        app.operator(Method::POST, "/internal/redrive").send().await.json(200);
        app.quiesce().await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_keeps_a_kafka_proxy_from_answering_holds_up_no_other() {
    // All of them fit into one call, or not.
    for orders in [3, REFUSED] {
        let app = Spawn::new().kafka_rest_proxy().payment_mode(Mode::Pending).start().await;
        app.pause_sinks().await;
        for seat in 1..=orders {
            pending(&app, &[seat]).await;
        }
        let only = Matching { seat_id: Some(1), ..Matching::default() };
        let lost = FaultRule::on(CallName::Produce, Action::LoseRequest);
        let fault = app.fault(FaultRule { only, ..lost.always() }).await;
        app.resume_sinks().await;
        eventually("all others", async || {
            app.sweep().await;
            (app.store.count(DELIVERED).await == orders - 1).then_some(())
        })
        .await;
        let counted =
            "SELECT count(*) FROM event_deliveries WHERE next > last AND jsonb_array_length(tried) > 1";
        assert_eq!(app.store.count(counted).await, 0, "no other has failed before");
        assert_eq!(app.store.count(PAUSED).await, 0, "the proxy takes records");
        app.remove_fault(fault).await;
        app.store
            .run("UPDATE event_deliveries SET due_at = due_at - interval '1 day' WHERE attempts > 0")
            .await;
        app.quiesce().await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_endpoint_is_away_orders_go_on_and_afterwards_it_has_every_event() {
    for fault in [
        FaultRule::on_any(Peer::Events, Action::LoseRequest),
        FaultRule::on_any(Peer::Events, fail(503)),
        FaultRule::on_any(Peer::Events, fail(500)),
        FaultRule::on_any(Peer::Events, Action::Stall { ms: 7_000, effect: Moment::Before }),
    ] {
        let app = Spawn::new().event_endpoint().replicas(2).start().await;
        let shown = format!("{fault:?}");
        let fault = app.fault(fault.always()).await;
        let mut orders = Vec::new();
        for seat in 1..=12 {
            let placed = app.place(&order(&[seat])).await.created();
            placed.assert_is("CONFIRMED", "done");
            orders.push(placed.id().to_owned());
        }
        let paused = "SELECT count(*) FROM event_sinks WHERE paused_until IS NOT NULL";
        eventually("the endpoint is left alone", async || {
            app.read(&orders[0]).await;
            (app.store.count(paused).await == 1).then_some(())
        })
        .await;
        // However often what waits is tried, the alert sees since when nothing is taken.
        app.store.run("UPDATE event_sinks SET failing_since = failing_since - interval '1 hour'").await;
        let late = scrape(&app).await["order_service_events_oldest_due_seconds{sink=\"http\"}"];
        assert!((3_600.0..3_700.0).contains(&late), "{late}");
        let counted = "SELECT count(*) FROM event_deliveries WHERE dead_at IS NOT NULL OR attempts > 1";
        assert_eq!(app.store.count(counted).await, 0, "it is no order's fault: {shown}");
        app.remove_fault(fault).await;
        app.quiesce().await;
        for order in &orders {
            let events = taken(&app, "http", order).await;
            let mut ids: Vec<&str> = events.iter().filter_map(|taken| taken.event["id"].as_str()).collect();
            // One whose answer was lost came twice.
            ids.dedup();
            assert_eq!(ids.len(), 3, "{shown}: {ids:?}");
            assert!(ids.is_sorted(), "{shown}: {ids:?}");
        }
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_slow_holds_up_no_other_sink() {
    let mut app = Spawn::new().event_endpoint().kafka_rest_proxy().start().await;
    app.pause_sinks().await;
    // More than are claimed at once.
    for seat in 1..=70 {
        app.place(&order(&[seat])).await.created();
    }
    // So that nothing but the sweep below sends them.
    app.hosts[0].kill();
    app.hosts[0].start_again().await.expect("a host");
    let slow = Action::Stall { ms: 4_000, effect: Moment::Before };
    let fault = app.fault(FaultRule::on(CallName::TakeEvent, slow).always()).await;
    app.resume_sinks().await;
    let delivered =
        |sink: &str| format!("SELECT count(*) FROM event_deliveries WHERE sink = '{sink}' AND next > last");
    let (of_http, of_kafka) = (delivered("http"), delivered("kafka"));
    let meanwhile = async {
        let all = async || (app.store.count(&of_kafka).await == 70).then_some(());
        eventually("all events at the other sink", all).await;
        assert_eq!(app.store.count(&of_http).await, 0, "the endpoint has the first ones still to answer");
        app.remove_fault(fault).await;
    };
    tokio::join!(app.sweep(), meanwhile);
    app.quiesce().await;
    assert_eq!(app.store.count(&of_http).await, 70);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_wants_no_more_is_left_alone_until_a_redrive_of_all() {
    let mut app =
        Spawn::new().event_endpoint().kafka_rest_proxy().variable("internal_token", TOKEN).start().await;
    app.expect_errors_in_the_log();
    let fault = app.fault(FaultRule::on(CallName::TakeEvent, fail(410)).always()).await;
    let order = app.place(&order(&[1])).await.created();
    let of_kafka = eventually("the other sink's events", async || {
        app.sweep().await;
        Some(taken(&app, "kafka", order.id()).await).filter(|events| events.len() == 3)
    });
    assert_in_order(&of_kafka.await);
    let listed = app.operator(Method::GET, "/internal/deliveries").send().await.json(200);
    let sink = |listed: &Value| {
        listed["sinks"].as_array().unwrap().iter().find(|one| one["sink"] == "http").cloned().unwrap()
    };
    assert_eq!(sink(&listed)["state"], "off", "{listed}");
    let calls = app.answers(CallName::TakeEvent).await;
    app.remove_fault(fault).await;
    app.sweep().await;
    app.operator(Method::POST, "/internal/redrive")
        .json(&json!({ "orders": [order.id()] }))
        .send()
        .await
        .json(200);
    app.sweep().await;
    assert_eq!(app.answers(CallName::TakeEvent).await, calls, "it is off");
    app.operator(Method::POST, "/internal/redrive").send().await.json(200);
    app.quiesce().await;
    assert_in_order(&taken(&app, "http", order.id()).await);
    let listed =
        app.operator(Method::GET, &format!("/internal/deliveries?order_id={}&state=delivered", order.id()));
    let listed = listed.send().await.json(200);
    assert_eq!(
        (listed["deliveries"].as_array().unwrap().len(), &sink(&listed)["state"]),
        (2, &json!("on")),
        "{listed}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_sent_again_by_order_and_from_a_point_on() {
    let app = Spawn::new().event_endpoint().variable("internal_token", TOKEN).start().await;
    let (first, second) = (confirmed(&app, &[1]).await, confirmed(&app, &[2]).await);
    let replay =
        async |body: Value| app.operator(Method::POST, "/internal/events/replay").json(&body).send().await;
    let count = async |order: &Document| taken(&app, "http", order.id()).await.len();
    assert_eq!((count(&first).await, count(&second).await), (3, 3));
    let replayed = replay(json!({ "orders": [first.id(), first.id()] })).await.json(200);
    assert_eq!(replayed, json!({ "deliveries": 1, "next": null }));
    app.quiesce().await;
    assert_eq!((count(&first).await, count(&second).await), (6, 3));
    let again = taken(&app, "http", first.id()).await;
    assert_eq!(again[0].event, again[3].event, "the same event, with the same id");

    // From the second order's first event on. Transactions of other tests hold the feed back for a moment.
    let next = eventually("the second order's events", async || {
        let page = app.operator(Method::GET, "/v1/events").send().await.json(200);
        let all = page["events"].as_array().unwrap().len() == 6;
        let page = app.operator(Method::GET, "/v1/events?limit=3").send().await.json(200);
        all.then(|| page["next"].clone())
    })
    .await;
    assert_eq!(replay(json!({ "from": next })).await.json(200)["deliveries"], 1);
    app.quiesce().await;
    assert_eq!((count(&first).await, count(&second).await), (6, 6));
    replay(json!({ "from": "2020-01-01T00:00:00Z" })).await.json(200);
    app.quiesce().await;
    assert_eq!((count(&first).await, count(&second).await), (9, 9));
    replay(json!({})).await.problem(422, "validation_failed");
    replay(json!({ "from": "soon" })).await.problem(400, "invalid_page_token");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_nobody_reaches_by_a_wrong_url_is_left_alone_and_no_order_is_to_blame() {
    for (call, action) in [
        (CallName::TakeEvent, fail(401)),
        (CallName::TakeEvent, fail(404)),
        (CallName::TakeEvent, fail(302)),
        (CallName::Produce, garbage("<html>", false)),
    ] {
        let shown = format!("{action:?}");
        let spawn = Spawn::new().event_endpoint().kafka_rest_proxy();
        let app = spawn.payment_mode(Mode::Pending).start().await;
        let fault = app.fault(FaultRule::on(call, action).always()).await;
        // One order at a time, as in a shop that has few.
        let mut orders = Vec::new();
        for seat in 1..=3 {
            orders.push(pending(&app, &[seat]).await.id().to_owned());
            app.sweep().await;
        }
        eventually("the sink is left alone", async || {
            app.sweep().await;
            (app.store.count(PAUSED).await == 1).then_some(())
        })
        .await;
        let counted = "SELECT count(*) FROM event_deliveries WHERE dead_at IS NOT NULL OR attempts > 1";
        assert_eq!(app.store.count(counted).await, 0, "it is no order's fault: {shown}");
        app.remove_fault(fault).await;
        app.quiesce().await;
        for order in &orders {
            for sink in ["http", "kafka"] {
                assert_eq!(types(&taken(&app, sink, order).await), ["order.placed.v1"], "{shown}");
            }
        }
        assert_eq!(app.store.count("SELECT count(*) FROM event_sinks WHERE failures > 0").await, 0);
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_asks_for_time_is_left_alone_for_so_long() {
    let app = Spawn::new().event_endpoint().payment_mode(Mode::Pending).start().await;
    let rule = FaultRule::on(CallName::TakeEvent, fail(503)).always();
    let fault = app.fault(FaultRule { retry_after: Some(RetryAfter::Seconds(300)), ..rule }).await;
    let mut orders = vec![pending(&app, &[1]).await.id().to_owned()];
    eventually("the sink is left alone", async || {
        app.sweep().await;
        (app.store.count(PAUSED).await == 1).then_some(())
    })
    .await;
    app.remove_fault(fault).await;
    let calls = app.answers(CallName::TakeEvent).await;
    let left = "SELECT extract(epoch FROM paused_until - timezone('utc', clock_timestamp()))::bigint FROM event_sinks WHERE sink = 'http'";
    assert!((200..=300).contains(&app.store.count(left).await));
    orders.push(pending(&app, &[2]).await.id().to_owned());
    app.sweep().await;
    assert_eq!(app.answers(CallName::TakeEvent).await, calls, "it has its time");
    app.quiesce().await;
    for order in &orders {
        assert_eq!(types(&taken(&app, "http", order).await), ["order.placed.v1"]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_that_alone_fails_does_not_pause_the_sink() {
    for status in [404, 500] {
        let app = Spawn::new().event_endpoint().payment_mode(Mode::Pending).start().await;
        let only = Matching { seat_id: Some(1), ..Matching::default() };
        let rule = FaultRule::on(CallName::TakeEvent, fail(status)).always();
        let fault = app.fault(FaultRule { only, ..rule }).await;
        pending(&app, &[1]).await;
        let tried = "SELECT jsonb_array_length(tried)::bigint FROM event_deliveries WHERE next = 1";
        eventually("it is refused again and again", async || {
            app.store.run("UPDATE event_deliveries SET due_at = timezone('utc', clock_timestamp()) WHERE due_at > timezone('utc', clock_timestamp())").await;
            app.sweep().await;
            assert_eq!(app.store.count(PAUSED).await, 0, "{status}");
            (app.store.count(tried).await >= 3).then_some(())
        })
        .await;
        let other = pending(&app, &[2]).await;
        eventually("the other's event", async || {
            app.sweep().await;
            (taken(&app, "http", other.id()).await.len() == 1).then_some(())
        })
        .await;
        assert_eq!(app.store.count(PAUSED).await, 0, "{status}");
        app.remove_fault(fault).await;
        app.quiesce().await;
        app.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_orders_that_fail_than_are_asked_at_once_do_not_hide_the_next_good_one() {
    let app = Spawn::new().event_endpoint().payment_mode(Mode::Pending).start().await;
    let mut faults = Vec::new();
    let poisoned = 1..=66;
    for seat in poisoned.clone() {
        let only = Matching { seat_id: Some(seat), ..Matching::default() };
        let rule = FaultRule::on(CallName::TakeEvent, fail(500)).always();
        faults.push(app.fault(FaultRule { only, ..rule }).await);
    }
    for seat in poisoned {
        pending(&app, &[seat]).await;
    }
    eventually("the sink is left alone", async || {
        app.sweep().await;
        (app.store.count(PAUSED).await == 1).then_some(())
    })
    .await;
    let in_an_hour = "UPDATE event_sinks SET paused_until = timezone('utc', clock_timestamp()) + interval '1 hour' WHERE failures > 0";
    app.store.run(in_an_hour).await;
    app.store
        .run("UPDATE event_deliveries SET due_at = timezone('utc', clock_timestamp()) WHERE next = 1")
        .await;
    let good = pending(&app, &[67]).await;
    // The end of one pause is enough.
    app.store.run("UPDATE event_sinks SET paused_until = timezone('utc', clock_timestamp())").await;
    let calls = app.answers(CallName::TakeEvent).await;
    app.sweep().await;
    assert_eq!(taken(&app, "http", good.id()).await.len(), 1, "{calls:?}");
    for fault in faults {
        app.remove_fault(fault).await;
    }
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_took_is_stored_while_one_is_slow() {
    let mut app = Spawn::new().event_endpoint().payment_mode(Mode::Pending).start().await;
    app.pause_sinks().await;
    for seat in 1..=20 {
        pending(&app, &[seat]).await;
    }
    // So that nothing but the sweep below sends them.
    app.hosts[0].kill();
    app.hosts[0].start_again().await.expect("a host");
    let only = Matching { seat_id: Some(1), ..Matching::default() };
    let slow =
        FaultRule::on(CallName::TakeEvent, Action::Stall { ms: 4_000, effect: Moment::Before }).always();
    let fault = app.fault(FaultRule { only, ..slow }).await;
    app.resume_sinks().await;
    let meanwhile = async {
        let seen = eventually("the others' events are stored", async || {
            Some(app.store.count(DELIVERED).await).filter(|count| *count > 0)
        })
        .await;
        assert!(seen < 20, "the slow one is still to answer");
        app.remove_fault(fault).await;
    };
    tokio::join!(app.sweep(), meanwhile);
    app.quiesce().await;
    app.finish().await;
}
