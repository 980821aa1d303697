//! Events go to an MQTT broker by the second component, in order, and none is lost while the broker is away.

use std::collections::BTreeMap;

use order_dev::mosquitto::Mosquitto;

use crate::refund::confirmed;
use crate::support::*;

/// The events in messages, by order, without those that came twice.
fn by_order(messages: &[rumqttc::Publish]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        let event: Value = serde_json::from_slice(&message.payload).expect("structured mode");
        event_schemas::assert_valid(&event);
        let text = |name: &str| event[name].as_str().expect("text").to_owned();
        let of_order = found.entry(text("subject")).or_default();
        if !of_order.contains(&text("type")) || text("type").starts_with("ticket.") {
            of_order.push(text("type"));
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
    let app = Spawn::new()
        .variable("events_mqtt_url", &url)
        .variable("events_mqtt_topic", "orders/{event_id}")
        .start()
        .await;
    broker.stop().await;
    let mut orders = Vec::new();
    for seat in 1..=5 {
        let placed = app.place(&order(&[seat])).await.created();
        placed.assert_is("CONFIRMED", "done");
        orders.push(placed.id().to_owned());
    }
    app.sweep().await;
    let waiting = "SELECT count(*) FROM event_deliveries WHERE next <= last";
    assert_eq!(app.store.count(waiting).await, 5);
    broker.start_again().await.unwrap();
    app.quiesce().await;
    let found = by_order(&subscriber.messages(15).await);
    for order in &orders {
        assert_eq!(found[order], LIFE);
    }
    app.finish().await;
}
