//! Events for other systems: each arrives at every sink, at least once, and those of an order in its order.

use order_dev::peers::{Matching, TakenEvent};

use crate::callback::pending;
use crate::refund::confirmed;
use crate::support::webhook::{OTHER_SECRET, SECRET, sign};
use crate::support::*;

/// The events that a sink has taken of an order, as they came.
async fn taken(app: &App, sink: &str, order: &str) -> Vec<TakenEvent> {
    let state = app.peers.state().await.expect("the sandbox's state");
    let of_order = |taken: &TakenEvent| taken.sink == sink && taken.event["subject"] == order;
    state.events_taken.into_iter().filter(of_order).collect()
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
        for (secret, signature) in [SECRET, OTHER_SECRET].iter().zip(header("signature").split(' ')) {
            assert_eq!(signature, sign(secret, &header("id"), &header("timestamp"), &taken.body));
        }
    }
    let document = app.read(order.id()).await;
    let data = |at: usize| &events[at].event["data"];
    assert_eq!(data(0)["seats"], json!([1, 2]));
    assert!(data(0).get("total_cents").is_none(), "it was not known then");
    assert_eq!(
        (&data(1)["total_cents"], &data(1)["payment_id"]),
        (&json!(31500), &json!(order.payment_id()))
    );
    let codes: Vec<&Value> = (2..4).map(|at| &data(at)["ticket_code"]).collect();
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
async fn the_same_events_go_to_kafka_keyed_by_the_order() {
    let app = Spawn::new().event_endpoint().kafka_rest_proxy().start().await;
    let mut orders = Vec::new();
    for seat in 1..=5 {
        orders.push(confirmed(&app, &[seat]).await);
    }
    app.quiesce().await;
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
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_refused_holds_up_its_own_order_alone_and_becomes_a_dead_letter() {
    let mut app = Spawn::new().event_endpoint().variable("internal_token", TOKEN).start().await;
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
    let delivered = "SELECT count(*) FROM event_deliveries WHERE next > last";
    eventually("the others' events", async || {
        app.sweep().await;
        (app.store.count(delivered).await == 3).then_some(())
    })
    .await;
    for other in &others {
        assert_in_order(&taken(&app, "http", other).await);
    }
    assert_eq!(taken(&app, "http", broken.id()).await.len(), 1, "the first one was taken before");
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
