//! The export of spans: which traces are sampled, what the collector gets, and that it is never in the way.

use std::time::Duration;

use order_dev::collector::{Behaviour, Collector};

use crate::support::spans::{ExportedSpan, decode, spans, until_span};
use crate::support::*;
use crate::tracing::traced;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// One instance at a time: its spans are exported in order.
fn one_instance() -> Spawn {
    Spawn::new().environment("SPIN_MAX_INSTANCE_COUNT", "1")
}

async fn traceparent_at_seating(app: &App, order_id: &str) -> String {
    let calls = app.peers.calls().await.expect("the calls").about(order_id);
    let trace = calls.of(CallName::Reserve).next().expect("a reserve").trace.clone();
    trace.expect("a traceparent").traceparent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsampled_trace_is_passed_on_and_not_exported() {
    let (app, collector) = traced(one_instance()).await;
    let unsampled = format!("00-{TRACE}-00f067aa0ba902b7-00");
    let request = order(&[1]).request(&app, 0).header("traceparent", &unsampled);
    let document = request.send().await.created();
    let sent = traceparent_at_seating(&app, document.id()).await;
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    assert_ne!(sent, unsampled, "the parent is a span of ours");
    // What comes later is exported later.
    app.place(&order(&[2])).await.created();
    until_span(&collector, "the second order", |span| span.is_request("/v1/orders")).await;
    app.quiesce().await;
    let spans = spans(&collector);
    assert!(spans.iter().all(|span| span.trace_id != TRACE), "{spans:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_traces_that_begin_here_a_part_is_sampled_and_of_callers_those_that_are() {
    let (app, collector) = traced(one_instance().variable("otel_traces_sampler_arg", "0")).await;
    let document = app.place(&order(&[1])).await.created();
    let sent = traceparent_at_seating(&app, document.id()).await;
    assert!(sent.ends_with("-00"), "{sent}");
    let sampled = format!("00-{TRACE}-00f067aa0ba902b7-01");
    order(&[2]).request(&app, 0).header("traceparent", &sampled).send().await.created();
    until_span(&collector, "the caller's", |span| span.is_request("/v1/orders")).await;
    app.quiesce().await;
    assert!(spans(&collector).iter().all(|span| span.trace_id == TRACE));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_and_scrapes_begin_no_trace() {
    let (app, collector) = traced(one_instance()).await;
    for path in ["/health", "/health/live", "/metrics", "/", "/docs", "/openapi.json"] {
        app.get(path).await;
    }
    app.get("/nowhere").await.problem(404, "route_not_found");
    let nowhere = until_span(&collector, "another request", |span| span.kind == "SPAN_KIND_SERVER").await;
    assert_eq!((&*nowhere.name, nowhere.text("url.path")), ("GET", "/nowhere"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_gets_protobuf_with_its_headers_and_failures_are_told_as_such() {
    let secret = "Basic%20a-token-nobody-may-see";
    let spawn =
        Spawn::new().variable("otel_exporter_otlp_headers", &format!("authorization={secret},x-scope=a"));
    let (app, collector) = traced(spawn.variable("otel_service_name", "orders-of-a-test")).await;
    app.fault(FaultRule::on(CallName::Reserve, fail(503)).seat(1)).await;
    app.place(&order(&[1])).await;
    app.fault(FaultRule::on(CallName::Event, Action::LoseRequest)).await;
    app.place(&order(&[2]).event(102)).await;
    app.quiesce().await;
    let busy = |span: &ExportedSpan| span.attributes.get("http.response.status_code") == Some(&json!(503));
    let busy = until_span(&collector, "the failed reserve", busy).await;
    assert!(busy.has_failed() && busy.text("error.type") == "503", "{busy:?}");
    let resent = |span: &ExportedSpan| span.attributes.get("http.request.resend_count") == Some(&json!(1));
    until_span(&collector, "a repeated question", resent).await;
    let broken = spans(&collector).into_iter().find(|span| span.text("error.type") == "connection_ended");
    assert!(broken.expect("a closed connection").has_failed());
    let received = collector.received();
    for request in &received {
        assert_eq!(request.target, "POST /v1/traces");
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert_eq!(request.headers["authorization"], "Basic a-token-nobody-may-see");
        assert_eq!((&*request.headers["x-scope"], request.headers.get("traceparent")), ("a", None));
        let spans = decode(&request.body);
        assert!(
            !spans.is_empty() && spans.iter().all(|span| span.resource["service.name"] == "orders-of-a-test")
        );
    }
    let lines = format!("{:?}", app.hosts[0].log_lines());
    assert!(!lines.contains("nobody-may-see"), "{lines}");
    app.finish().await;
}

/// Places orders, which go on as if there were no collector, and nothing is said of it above level debug.
async fn assert_not_in_the_way(app: &App, seats: std::ops::Range<i64>) {
    for seat in seats {
        app.place(&order(&[seat])).await.created().assert_is("CONFIRMED", "done");
    }
    let lines = app.hosts[0].log_lines();
    let told: Vec<&Value> = lines
        .iter()
        .filter(|line| line["level"] != "debug" && line.to_string().contains("span"))
        .filter(|line| line["message"].as_str().is_some_and(|message| message.contains("span")))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_fails_is_not_tried_again_and_not_in_the_way() {
    let (app, collector) = traced(one_instance()).await;
    collector.behave(Behaviour::status(500));
    assert_not_in_the_way(&app, 1..4).await;
    eventually("spans are refused", async || (!collector.received().is_empty()).then_some(())).await;
    collector.behave(Behaviour::status(200));
    app.place(&order(&[4])).await.created();
    until_span(&collector, "later ones are taken", |span| span.is_request("/v1/orders")).await;
    let received = collector.received();
    let refused: Vec<_> = received.iter().filter(|request| request.status == 500).collect();
    for request in &refused {
        let times = received.iter().filter(|other| other.body == request.body).count();
        assert_eq!(times, 1, "it is not sent again");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_collector_gets_the_same_again_when_it_asks_for_it() {
    let (app, collector) = traced(one_instance()).await;
    collector.behave(Behaviour { retry_after: Some(2), ..Behaviour::status(503) });
    assert_not_in_the_way(&app, 1..3).await;
    let first = eventually("it is asked", async || collector.received().into_iter().next()).await;
    collector.behave(Behaviour::status(200));
    let again = async || {
        let received = collector.received();
        received.into_iter().skip(1).find(|request| request.body == first.body)
    };
    let again = eventually("it is asked again", again).await;
    assert_eq!(again.status, 200);
    assert!(again.at - first.at >= Duration::from_secs(2), "{:?}", again.at - first.at);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_stalls_or_is_away_is_not_in_the_way() {
    let (app, collector) = traced(one_instance()).await;
    let a_minute = Duration::from_secs(60);
    collector.behave(Behaviour { delay: a_minute, ..Behaviour::status(200) });
    assert_not_in_the_way(&app, 1..4).await;
    // Answered while the collector was holding the same request from before the order until after its answer: it has waited for none.
    let mut seat = 4;
    eventually("an order is answered meanwhile", async || {
        let before = collector.held();
        assert_not_in_the_way(&app, seat..seat + 1).await;
        seat += 1;
        (!before.is_disjoint(&collector.held())).then_some(())
    })
    .await;
    app.finish().await;

    let (app, collector) = traced(one_instance()).await;
    drop(collector);
    assert_not_in_the_way(&app, 1..4).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_of_one_instance_keep_their_traces_apart() {
    let (app, collector) = traced(Spawn::new()).await;
    let trace = |seat: i64| format!("{seat:032x}");
    let place = |seat: i64| {
        let parent = format!("00-{}-00f067aa0ba902b7-01", trace(seat));
        order(&[seat]).request(&app, 0).header("traceparent", parent).send()
    };
    let placed = futures::future::join_all((1..=12).map(place)).await;
    app.quiesce().await;
    for (seat, answer) in (1..).zip(placed) {
        let document = answer.document(answer.status);
        let calls = app.peers.calls().await.expect("the calls").about(document.id());
        for call in &calls.calls {
            let sent = call.trace.as_ref().unwrap_or_else(|| panic!("{call:?}"));
            assert!(sent.traceparent.contains(&trace(seat)), "{call:?}");
        }
        let of_order = |span: &ExportedSpan| {
            span.text("order_service.phase.to") == "done"
                && span.text("order_service.order.id") == document.id()
        };
        let span = until_span(&collector, "the order's last transition", of_order).await;
        assert_eq!(span.trace_id, trace(seat));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_variable_is_one_clear_error() {
    let collector = Collector::start().await.expect("a collector");
    for (name, value) in [
        ("otel_traces_sampler_arg", "2"),
        ("otel_exporter_otlp_headers", "no-value"),
        ("otel_service_name", ""),
    ] {
        let spawn = Spawn::new().variable("otel_exporter_otlp_endpoint", &collector.url());
        let mut app = spawn.variable(name, value).start().await;
        let health = app.get("/health").await.json(503);
        assert!(health.to_string().contains(name), "{health}");
        app.expect_errors_in_the_log();
        app.abandon().await;
    }
}
