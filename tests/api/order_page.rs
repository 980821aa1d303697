//! The sandbox's page of an order: the calls of its peers, its events and the spans of its trace are put together to one life.

use crate::support::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const HOSTILE: &str = "<script>alert(1)</script>\"'>";

/// What the sandbox answers to `GET`, with its media type.
async fn sandbox_answers(app: &App, path: &str) -> (u16, String, String) {
    let answer = reqwest::get(format!("{}{path}", app.peers_url())).await.expect("the sandbox answers");
    let content_type = answer.headers()["content-type"].to_str().expect("a media type").to_owned();
    (answer.status().as_u16(), content_type, answer.text().await.expect("a body"))
}

async fn life(app: &App, order: &str) -> Value {
    let (status, _, body) = sandbox_answers(app, &format!("/control/orders/{order}?format=json")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// The steps of which this is true: what, the outcome and the attempt of each.
fn told(life: &Value, is: impl Fn(&Value) -> bool) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = life["steps"].as_array().expect("steps").iter().filter(|step| is(step));
    steps
        .map(|step| {
            (text(&step["what"]), text(&step["outcome"]), step["attempt"].as_u64().expect("a number"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orders_page_shows_its_calls_with_retries_its_events_and_the_spans_of_its_trace() {
    let app = Spawn::new().event_endpoint().spans_to_sandbox().payment_mode(Mode::Pending).start().await;
    let request = order(&[1, 2]).request(&app, 0).header("traceparent", TRACEPARENT);
    let placed = request.header("user-agent", HOSTILE).send().await.created();
    app.fault(FaultRule::on(CallName::Allocate, fail(503))).await;
    app.settle(&placed, PaymentStatus::Success).await;
    app.quiesce().await;
    app.read(placed.id()).await.assert_is("CONFIRMED", "done");

    // Spans come a little later than what they are about.
    let is_whole = |life: &Value| {
        let spans = told(life, |step| step["to"] == "database").len();
        let notes = told(life, |step| step["from"] == step["to"]);
        let is_last = |(what, ..): &(String, String, u64)| what.ends_with("done: CONFIRMED");
        spans > 5 && notes.iter().any(is_last) && !told(life, |step| step["from"] == "shop").is_empty()
    };
    let life = eventually("the page has the last spans", async || {
        Some(life(&app, placed.id()).await).filter(|life| is_whole(life))
    })
    .await;

    let exchange = |what: &str, outcome: &str, attempt| (what.to_owned(), outcome.to_owned(), attempt);
    assert_eq!(told(&life, |step| step["from"] == "shop"), [exchange("POST /v1/orders", "201", 1)]);
    assert_eq!(told(&life, |step| step["from"] == "payment"), [exchange("callback SUCCESS", "200", 1)]);
    let calls = told(&life, |step| {
        let to = step["to"].as_str().expect("somebody");
        ["catalog", "seating", "payment", "notification"].contains(&to) && step["from"] == "service"
    });
    let changes = ["event 101", "reserve", "charge", "allocate", "notify ORDER_CONFIRMED"];
    let changes: Vec<_> = calls.into_iter().filter(|(what, ..)| changes.contains(&&**what)).collect();
    assert_eq!(
        changes,
        [
            exchange("event 101", "200", 1),
            exchange("reserve", "200", 1),
            exchange("charge", "201", 1),
            exchange("allocate", "503", 1),
            exchange("allocate", "200", 2),
            exchange("notify ORDER_CONFIRMED", "202", 1),
        ]
    );
    let phases: Vec<String> = told(&life, |step| step["from"] == step["to"])
        .into_iter()
        .filter_map(|(what, ..)| what.contains('\u{2192}').then_some(what))
        .collect();
    assert_eq!(
        phases,
        [
            "reserving \u{2192} charging",
            "charging \u{2192} awaiting_payment",
            "awaiting_payment \u{2192} allocating",
            "allocating \u{2192} done: CONFIRMED"
        ]
    );
    let events = told(&life, |step| step["to"] == "events");
    let types = ["order.placed.v1 #1", "order.confirmed.v1 #2", "ticket.issued.v1 #3", "ticket.issued.v1 #4"];
    assert_eq!(events, types.map(|of_type| exchange(of_type, "204", 1)));
    assert_eq!(life["events"].as_array().expect("events").len(), 4);
    let times: Vec<&str> =
        life["steps"].as_array().unwrap().iter().map(|step| step["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");

    // One trace from placing to the tickets, in which the peers' own spans hang below those of the attempts.
    assert_eq!((&life["traces"], &life["status"]), (&json!([TRACE]), &json!("CONFIRMED")));
    let spans: Vec<&Value> = life["spans"]
        .as_array()
        .expect("trees")
        .iter()
        .flat_map(|tree| tree["spans"].as_array().expect("spans"))
        .filter(|span| span["trace_id"] == TRACE)
        .collect();
    let parent_of = |span: &Value| spans.iter().find(|other| other["span_id"] == span["parent_span_id"]);
    let charge = spans.iter().find(|span| span["name"] == "charge").expect("Payment's own span");
    let attempt = parent_of(charge).expect("the attempt");
    assert_eq!(
        (&charge["service"], &attempt["name"]),
        (&json!("payment"), &json!("POST /payment/v1/charge"))
    );
    assert_eq!(parent_of(attempt).expect("the request")["name"], "POST /v1/orders");
    assert!(spans.iter().any(|span| span["name"] == "SELECT apply_transition" && parent_of(span).is_some()));

    let (status, content_type, page) =
        sandbox_answers(&app, &format!("/control/orders/{}", placed.id())).await;
    assert_eq!((status, &*content_type), (200, "text/html; charset=utf-8"));
    for text in ["<svg", "attempt 2", "503", "allocating \u{2192} done: CONFIRMED", "ticket.issued.v1", TRACE]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
    let (_, _, list) = sandbox_answers(&app, "/control/orders").await;
    assert!(list.contains(&format!("href=\"/control/orders/{}\"", placed.id())), "{list}");
    let (status, _, unknown) =
        sandbox_answers(&app, &format!("/control/orders/{}", uuid::Uuid::now_v7())).await;
    assert_eq!((status, &*unknown), (404, r#"{"error":"no such order"}"#));
    app.finish().await;
}
