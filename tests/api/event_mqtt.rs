//! Events go to an MQTT broker by the second component, in order, and none is lost while the broker is away.

use std::collections::{BTreeMap, BTreeSet};

use order_dev::mosquitto::Mosquitto;

use crate::refund::confirmed;
use crate::support::*;

/// The types of the events in messages, by order, without those that came twice.
fn by_order(messages: &[rumqttc::Publish]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for message in messages {
        let event: Value = serde_json::from_slice(&message.payload).expect("structured mode");
        event_schemas::assert_valid(&event);
        let text = |name: &str| event[name].as_str().expect("text").to_owned();
        if seen.insert(text("id")) {
            found.entry(text("subject")).or_default().push(text("type"));
        }
    }
    found
}

const LIFE: [&str; 3] = ["order.placed.v1", "order.confirmed.v1", "ticket.issued.v1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orders_events_arrive_under_the_topic_of_the_event_that_it_is_for() {
    let broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    let app = Spawn::new()
        .variable("events_mqtt_url", &url)
        .variable("events_mqtt_topic", "orders/{event_id}/{type}")
        .start()
        .await;
    let order = confirmed(&app, &[1]).await;
    let messages = subscriber.messages(3).await;
    let topics: Vec<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(topics, LIFE.map(|kind| format!("orders/101/{kind}")));
    assert_eq!(by_order(&messages)[order.id()], LIFE);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_down_or_silent_orders_go_on_and_afterwards_it_gets_every_event() {
    let mut broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let url = format!("mqtt://127.0.0.1:{}", broker.port());
    let app = Spawn::new().variable("events_mqtt_url", &url).start().await;
    let mut orders = Vec::new();
    let mut place_five = async |seats: std::ops::RangeInclusive<i64>| {
        for seat in seats {
            let placed = app.place(&order(&[seat])).await.created();
            placed.assert_is("CONFIRMED", "done");
            orders.push(placed.id().to_owned());
        }
        app.sweep().await;
        let waiting = "SELECT count(*) FROM event_deliveries WHERE next <= last";
        assert_eq!(app.store.count(waiting).await, 5);
    };
    broker.stop().await;
    place_five(1..=5).await;
    broker.start_again().await.unwrap();
    app.quiesce().await;
    subscriber.messages(15).await;

    // It accepts connections, and says nothing.
    broker.freeze();
    place_five(6..=10).await;
    broker.thaw();
    app.quiesce().await;
    let messages = eventually("every event arrives", async || {
        let messages = subscriber.received();
        (by_order(&messages).values().map(Vec::len).sum::<usize>() >= 30).then_some(messages)
    })
    .await;
    let found = by_order(&messages);
    for order in &orders {
        assert_eq!(found[order], LIFE);
    }
    assert!(
        messages.iter().all(|message| message.topic == "orders/101"),
        "the topic by itself: {messages:?}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_slow_costs_no_order_an_attempt() {
    // Of each connection it acknowledges two messages; for the third the time is over.
    let broker = SilentBroker::start(2, true).await;
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let app = Spawn::new().variable("events_mqtt_url", &url).start().await;
    // All three at the same time.
    app.pause_sinks().await;
    let order = app.place(&order(&[1])).await.created();
    order.assert_is("CONFIRMED", "done");
    app.resume_sinks().await;
    eventually("every message is acknowledged", async || {
        app.sweep().await;
        (app.store.count("SELECT count(*) FROM event_deliveries WHERE next > last").await == 1).then_some(())
    })
    .await;
    assert!(broker.connections() >= 2, "one had no time for the third");
    let failed =
        "SELECT count(*) FROM event_deliveries, jsonb_array_elements(tried) t WHERE t->>'error' IS NOT NULL";
    assert_eq!(app.store.count(failed).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address_of_the_broker_is_one_clear_error() {
    for url in ["mqtt://u:hunter2@broker:port", "http://u:hunter2@broker", "broker:1883"] {
        let mut app = Spawn::new().variable("events_mqtt_url", url).start().await;
        app.expect_errors_in_the_log();
        let health = app.get("/health").await.json(503);
        let error = health["checks"]["configuration"]["error"].as_str().expect("an error");
        assert!(error.contains("events_mqtt_url") && !error.contains("hunter2"), "{error}");
        let lines = format!("{:?}", app.hosts[0].log_lines());
        assert!(lines.contains("events_mqtt_url") && !lines.contains("hunter2"), "{lines}");
        app.abandon().await;
    }
}
