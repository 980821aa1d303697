//! The second component: batches of messages go to a real Mosquitto, in order, or an answer says how far they got. Only a component
//! of the application reaches it.

use futures::future::join_all;
use order_dev::mosquitto::Mosquitto;
use rumqttc::QoS;

use crate::support::*;

fn url(port: u16) -> String {
    format!("mqtt://127.0.0.1:{port}")
}

/// Messages as a batch has them: to topic `orders/<batch>`, numbered.
fn batch(number: usize, count: usize) -> Vec<(String, String)> {
    let topic = format!("orders/{number}");
    (0..count)
        .map(|n| (topic.clone(), json!({ "batch": number, "n": n, "für": "\"Zoë\"\n" }).to_string()))
        .collect()
}

fn borrowed(messages: &[(String, String)]) -> Vec<(&str, &str)> {
    messages.iter().map(|(topic, payload)| (topic.as_str(), payload.as_str())).collect()
}

fn all_published(count: usize) -> (u16, Value) {
    (200, json!({ "published": count, "error": null }))
}

/// The batch was tried and stopped after so many messages. The reason.
#[track_caller]
fn stopped_after(answer: &(u16, Value), published: usize) -> &str {
    let reason = answer.1["error"].as_str().unwrap_or_default();
    assert_eq!((answer.0, &answer.1["published"]), (200, &json!(published)), "{answer:?}");
    assert!(reason.starts_with(&format!("message {}: ", published + 1)), "{answer:?}");
    reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_arrives_in_order_and_as_it_is() {
    let broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let publisher = Publisher::start(&url(broker.port())).await;
    assert_eq!(publisher.publish(&[]).await, all_published(0));
    let mut sent = batch(1, 100);
    assert_eq!(publisher.publish(&borrowed(&sent)).await, all_published(100));
    // Far larger than a packet may be in the client's default.
    let large =
        vec![("orders/größer".to_owned(), "é".repeat(300_000)), ("orders/empty".to_owned(), String::new())];
    assert_eq!(publisher.publish(&borrowed(&large)).await, all_published(2));
    sent.extend(large);
    let received = subscriber.messages(sent.len()).await;
    for (message, (topic, payload)) in received.iter().zip(&sent) {
        assert_eq!((message.topic.as_str(), &message.payload[..]), (topic.as_str(), payload.as_bytes()));
        assert_eq!((message.qos, message.retain, message.dup), (QoS::AtLeastOnce, false, false), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_at_the_same_time_do_not_disturb_each_other() {
    let broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let publisher = Publisher::start(&url(broker.port())).await;
    let batches: Vec<_> = (0..20).map(|number| batch(number, 20)).collect();
    let published =
        join_all(batches.iter().map(async |batch| publisher.publish(&borrowed(batch)).await)).await;
    assert!(published.iter().all(|answer| *answer == all_published(20)), "{published:?}");
    let received = subscriber.messages(400).await;
    for batch in &batches {
        let topic = &batch[0].0;
        let of_batch: Vec<_> = received.iter().filter(|message| message.topic == *topic).collect();
        assert!(
            of_batch.iter().map(|message| &message.payload[..]).eq(batch.iter().map(|one| one.1.as_bytes()))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_down_gets_nothing_and_one_that_is_back_gets_all() {
    let mut broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let publisher = Publisher::start(&url(broker.port())).await;
    broker.stop().await;
    let messages = batch(1, 3);
    let answer = publisher.publish(&borrowed(&messages)).await;
    assert!(stopped_after(&answer, 0).contains("the connection failed"), "{answer:?}");
    broker.start_again().await.unwrap();
    assert_eq!(publisher.publish(&borrowed(&messages)).await, all_published(3));
    subscriber.messages(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_accepts_and_says_nothing_is_given_up() {
    let broker = Mosquitto::start(None).await.unwrap();
    let publisher = Publisher::start(&url(broker.port())).await;
    broker.freeze();
    let answer = publisher.publish(&borrowed(&batch(1, 3))).await;
    assert!(stopped_after(&answer, 0).contains("the connection failed"), "{answer:?}");
    broker.thaw();
    assert_eq!(publisher.publish(&borrowed(&batch(1, 3))).await, all_published(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_acknowledging_is_given_up_after_what_it_has_acknowledged() {
    // One that is silent altogether ends by the keep-alive, one that still answers pings by the time limit of a batch, which is a failure
    // only when there was nothing else in it.
    let cases = [
        (2, false, Some("the connection failed")),
        (2, true, None),
        (0, true, Some("no answer within 10 seconds")),
    ];
    for (acknowledged, answers_pings, expected) in cases {
        let broker = SilentBroker::start(acknowledged, answers_pings).await;
        let publisher = Publisher::start(&url(broker.port)).await;
        let messages = batch(1, 5);
        let messages = borrowed(&messages);
        // Several at once, because what is dropped in one must not harm the others in its instance.
        let answers = join_all((0..8).map(|_| publisher.publish(&messages))).await;
        for answer in &answers {
            match expected {
                Some(reason) => assert!(stopped_after(answer, acknowledged).contains(reason), "{answer:?}"),
                None => assert_eq!(*answer, all_published(acknowledged)),
            }
        }
        let (status, _) = publisher.post("/nowhere", "").await;
        assert_eq!(status, 404, "it lives");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_and_password_come_from_the_url_and_never_show() {
    let account = Some(("or-ders", "p@ss w/rd%é"));
    let broker = Mosquitto::start(account).await.unwrap();
    let port = broker.port();
    let subscriber = Subscriber::start(port, account).await;
    let right = format!("mqtt://or-ders:p%40ss%20w%2Frd%25%C3%A9@127.0.0.1:{port}");
    let publisher = Publisher::start(&right).await;
    assert_eq!(publisher.publish(&borrowed(&batch(1, 2))).await, all_published(2));
    subscriber.messages(2).await;

    for account in ["or-ders:hunter2@", "hunter2:wrong@", ""] {
        let publisher = Publisher::start(&format!("mqtt://{account}127.0.0.1:{port}")).await;
        let answer = publisher.publish(&borrowed(&batch(2, 2))).await;
        let reason = stopped_after(&answer, 0);
        assert!(reason.contains("the connection failed") && !reason.contains("hunter2"), "{reason}");
        let said = std::fs::read_to_string(publisher.host.log_dir().join("host.log")).unwrap();
        assert!(!said.contains("hunter2"), "{said}");
    }
    subscriber.messages(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let publisher = Publisher::start(&url(broker.port())).await;
    let (status, answer) = publisher.publish(&borrowed(&batch(1, 101))).await;
    let reason = "the batch has 101 messages, more than 100";
    assert_eq!((status, answer), (400, json!({ "published": 0, "error": reason })));

    let body = |bytes: usize| {
        let frame = json!({ "messages": [{ "topic": "a", "payload": "" }] }).to_string();
        let payload = "x".repeat(bytes - frame.len());
        json!({ "messages": [{ "topic": "a", "payload": payload }] }).to_string()
    };
    let (status, answer) = publisher.post("/publish", body((1 << 20) + 1)).await;
    assert_eq!(status, 413, "{answer}");
    for broken in ["", "[]", "{\"messages\":[{\"topic\":\"a\"}]}", "{\"messages\":[]} x"] {
        let (status, answer) = publisher.post("/publish", broken).await;
        assert_eq!(status, 400, "{broken}: {answer}");
    }
    for (path, expected) in [("/", 404), ("/publish/", 404), ("/publish?x", 404)] {
        assert_eq!(publisher.post(path, body(100)).await.0, expected, "{path}");
    }
    let get = reqwest::get(format!("{}/publish", publisher.host.base_url)).await.unwrap();
    assert_eq!(get.status().as_u16(), 405);
    assert_eq!(get.headers()["content-type"], "application/json");

    let (status, answer) = publisher.post("/publish", body(1 << 20)).await;
    assert_eq!((status, answer.as_str()), (200, r#"{"published":1,"error":null}"#), "the largest body");
    subscriber.messages(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_mqtt_does_not_allow_stops_the_batch_there() {
    let broker = Mosquitto::start(None).await.unwrap();
    let subscriber = Subscriber::start(broker.port(), None).await;
    let publisher = Publisher::start(&url(broker.port())).await;
    for (count, topic) in ["", "orders/+", "#", "a\0b", "a\nb", &"t".repeat(65_536)].into_iter().enumerate() {
        let answer = publisher.publish(&[("good", "1"), (topic, "2"), ("good", "3")]).await;
        assert!(stopped_after(&answer, 1).contains("its topic"), "{answer:?}");
        subscriber.messages(count + 1).await;
    }
    let longest = "t".repeat(65_535);
    assert_eq!(publisher.publish(&[(&longest, "x")]).await, all_published(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_and_with_a_wrong_url_the_answer_says_so_and_shows_nothing_of_it() {
    for (url, reason) in [
        ("", "events_mqtt_url is not set"),
        (" \n", "events_mqtt_url is not set"),
        ("http://hunter2@broker", "events_mqtt_url must begin with mqtt:// or mqtts://"),
        ("mqtt://u:hunter2@broker/path", "events_mqtt_url may have no path, query or fragment"),
    ] {
        let publisher = Publisher::start(url).await;
        let answer = publisher.publish(&[("a", "b")]).await;
        assert_eq!(answer, (503, json!({ "published": 0, "error": reason })), "{url:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_the_host_forbids_gets_nothing() {
    let broker = Mosquitto::start(None).await.unwrap();
    let url = url(broker.port());
    for (allowed, is_allowed) in [
        (format!("mqtt://127.0.0.1:{}", broker.port()), true),
        (format!("mqtts://127.0.0.1:{}", broker.port()), false),
        ("mqtt://127.0.0.1".to_owned(), false),
        (format!("mqtt://broker.example:{}", broker.port()), false),
        ("http://*:*".to_owned(), false),
    ] {
        let options =
            PublisherOptions { url: &url, allowed_hosts: Some(allowed.as_str()), is_private: false };
        let publisher = Publisher::start_with(options).await;
        let answer = publisher.publish(&[("a", "b")]).await;
        if is_allowed {
            assert_eq!(answer, all_published(1), "{allowed}");
        } else {
            assert!(stopped_after(&answer, 0).contains("is not permitted"), "{allowed}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_outside_reaches_a_private_component() {
    let options = PublisherOptions { url: "", allowed_hosts: None, is_private: true };
    let publisher = Publisher::start_with(options).await;
    for path in ["/publish", "/", "/..."] {
        assert_eq!(publisher.post(path, "{}").await, (404, String::new()), "{path}");
    }
    // Beside the order service, which has every path.
    let app = spawn().await;
    let answer = app.request(Method::POST, "/publish").json(&json!({ "messages": [] })).send().await;
    answer.problem(404, "route_not_found");
    let named = "POST /publish HTTP/1.1\r\nHost: mqtt-publisher.spin.internal\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = raw_http::exchange(&app.hosts[0], named).await;
    assert_eq!((answer.status, answer.body.as_str()), (0, ""), "the connection is closed");
    app.finish().await;
}

/// A call to any peer tells whether the name is reached: those to Notification are led there, at a path that the publisher does not have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_service_reaches_the_publisher_by_its_name_where_it_may() {
    let name = "http://mqtt-publisher.spin.internal";
    for (manifest, expected) in [("spin.toml", "status 404"), ("spin-without-mqtt.toml", "HttpRequestDenied")]
    {
        let port = order_dev::free_port().unwrap();
        let app = Spawn::new().manifest(manifest).sandbox_port(port).variable("notification_url", name);
        let app = app.variable("peers_http", &format!("http://127.0.0.1:{port}")).start().await;
        app.place(&order(&[1])).await.created().assert_is("CONFIRMED", "done");
        let line = eventually("the message is tried", async || {
            let lines = app.hosts[0].log_lines();
            lines.into_iter().find(|line| line["message"] == "a message was not taken")
        })
        .await;
        assert!(line.to_string().contains(expected), "{manifest}: {line}");
        app.abandon().await;
    }
}
