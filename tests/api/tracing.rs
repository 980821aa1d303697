//! Traces: what callers send, what peers get, and the spans of the service.

use std::collections::{BTreeMap, BTreeSet};

use order_dev::collector::Collector;
use order_dev::peers::{CallTrace, RecordedCall};

use crate::support::spans::{ExportedSpan, decoded_in_python, spans, until_span};
use crate::support::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// The service with a collector.
pub async fn traced(spawn: Spawn) -> (App, Collector) {
    let collector = Collector::start().await.expect("a collector");
    let spawn =
        spawn.variable("otel_exporter_otlp_endpoint", &collector.url()).variable("log_level", "debug");
    (spawn.start().await, collector)
}

/// The calls of peers about an order that were a part of some trace.
async fn traced_calls(app: &App, order_id: &str) -> Vec<(RecordedCall, CallTrace)> {
    let calls = app.peers.calls().await.expect("the calls").calls;
    let about = calls
        .into_iter()
        .filter(|call| call.order_id.as_deref() == Some(order_id) || call.call == CallName::Event);
    about.filter_map(|call| call.trace.clone().map(|trace| (call, trace))).collect()
}

/// Every span of a trace has its parent in it, ours and the peers', but for those of one parent that somebody else has.
#[track_caller]
fn assert_one_tree(spans: &[ExportedSpan], calls: &[(RecordedCall, CallTrace)], root: &str) {
    let of_span = |span: &ExportedSpan| (span.span_id.clone(), span.parent_span_id.clone());
    let of_call = |(_, trace): &(RecordedCall, CallTrace)| {
        (trace.span_id.clone(), trace.traceparent.split('-').nth(2).unwrap_or_default().to_owned())
    };
    let nodes: Vec<(String, String)> = spans.iter().map(of_span).chain(calls.iter().map(of_call)).collect();
    let parents: BTreeMap<&String, &String> = nodes.iter().map(|(id, parent)| (id, parent)).collect();
    assert_eq!(parents.len(), nodes.len(), "no id comes twice");
    for (id, _) in &nodes {
        let (mut at, mut steps) = (id, 0);
        while let Some(parent) = parents.get(at) {
            (at, steps) = (parent, steps + 1);
            assert!(steps <= nodes.len(), "a circle at {id}");
        }
        assert_eq!(at, root, "the way up from {id} ends at the root: {spans:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orders_life_is_one_tree_over_placing_callback_and_peers() {
    let (app, collector) = traced(Spawn::new()).await;
    let request = order(&[1, 2]).request(&app, 0).header("traceparent", traceparent("01"));
    let document = request.header("tracestate", STATE).send().await.created();
    document.assert_is("CONFIRMED", "done");
    app.quiesce().await;
    let of_trace = |span: &ExportedSpan| span.trace_id == TRACE;
    until_span(&collector, "the last span", |span| span.text("db.query.summary") == "SELECT delete_message")
        .await;
    let placing = until_span(&collector, "the request's span", |span| span.is_request("/v1/orders")).await;
    let callback = |span: &ExportedSpan| span.is_request("/v1/payments/callback");
    let callback = until_span(&collector, "the callback's span", callback).await;
    let spans: Vec<ExportedSpan> = spans(&collector).into_iter().filter(of_trace).collect();
    let calls = traced_calls(&app, document.id()).await;
    assert_one_tree(&spans, &calls, CALLER);

    // Placing is the caller's child, and the callback a child of the charge as Payment has it.
    assert_eq!((&*placing.parent_span_id, &*placing.trace_state), (CALLER, STATE));
    let charge = calls.iter().find(|(call, _)| call.call == CallName::Charge).expect("a charge");
    assert_eq!(callback.parent_span_id, charge.1.span_id);
    // Every peer's call has the span of its attempt as its parent.
    let names: BTreeSet<String> = calls.iter().map(|(call, _)| format!("{:?}", call.call)).collect();
    for name in ["Event", "Reserve", "Charge", "Payment", "Allocate", "Notify"] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    for (call, trace) in &calls {
        let parent = trace.traceparent.split('-').nth(2).expect("an id");
        let attempt = spans.iter().find(|span| span.span_id == parent).unwrap_or_else(|| panic!("{call:?}"));
        assert_eq!((&*attempt.kind, &*trace.tracestate), ("SPAN_KIND_CLIENT", STATE), "{attempt:?}");
        assert!(trace.traceparent.ends_with("-01"));
        assert_eq!(attempt.attributes["http.response.status_code"], call.status.expect("an answer"));
        assert!(attempt.name.starts_with(attempt.text("http.request.method")), "{attempt:?}");
        assert!(attempt.text("url.full").starts_with(&app.peers_url()), "{attempt:?}");
        assert!(app.peers_url().ends_with(&attempt.attributes["server.port"].to_string()));
    }

    // The spans by the conventions.
    assert_eq!(placing.name, "POST /v1/orders");
    for (name, value) in [
        ("http.request.method", json!("POST")),
        ("url.path", json!("/v1/orders")),
        ("url.scheme", json!("http")),
        ("http.route", json!("/v1/orders")),
        ("http.response.status_code", json!(201)),
    ] {
        assert_eq!(placing.attributes.get(name), Some(&value), "{name}");
    }
    assert_eq!(placing.resource["service.name"], "order-service");
    assert_eq!(placing.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert!(spans.iter().all(|span| !span.has_failed()), "{spans:?}");
    let statements: Vec<&ExportedSpan> =
        spans.iter().filter(|span| span.attributes.contains_key("db.system.name")).collect();
    for function in ["insert_order", "apply_transition", "load_order", "delete_message"] {
        let is = |span: &&&ExportedSpan| span.text("db.stored_procedure.name") == function;
        let span = statements.iter().find(is).unwrap_or_else(|| panic!("{function} in {statements:?}"));
        assert_eq!(span.name, format!("SELECT {function}"));
        assert_eq!((span.text("db.operation.name"), &*span.kind), ("SELECT", "SPAN_KIND_CLIENT"));
        assert_eq!(span.text("db.system.name"), "postgresql");
    }
    let transitions: Vec<&ExportedSpan> =
        spans.iter().filter(|span| span.name == "order transition").collect();
    let phases: BTreeSet<(&str, &str)> = transitions
        .iter()
        .map(|span| (span.text("order_service.phase.from"), span.text("order_service.phase.to")))
        .collect();
    for step in [("reserving", "charging"), ("charging", "allocating"), ("allocating", "done")] {
        assert!(phases.contains(&step), "{step:?} in {phases:?}");
    }
    assert!(transitions.iter().all(|span| span.text("order_service.order.id") == document.id()));

    // A child begins when its parent has, and ends when it has begun.
    let starts: BTreeMap<&str, u64> = spans.iter().map(|span| (&*span.span_id, span.start)).collect();
    for span in &spans {
        assert!(span.end >= span.start && span.start > 1_700_000_000_000_000_000, "{span:?}");
        assert!(starts.get(&*span.parent_span_id).is_none_or(|start| *start <= span.start), "{span:?}");
    }

    // The journal and the log.
    let stored: BTreeSet<&str> = transitions.iter().map(|span| &*span.span_id).collect();
    for entry in app.journal(document.id()).await.iter() {
        let kept = entry["data"]["traceparent"].as_str().unwrap_or_else(|| panic!("{entry}"));
        assert!(kept.starts_with(&format!("00-{TRACE}-")), "{entry}");
        // The first one is the request's own.
        let is_stored = stored.contains(kept.split('-').nth(2).expect("an id"));
        assert_eq!(is_stored, entry["seq"] != 1, "{entry} {stored:?}");
    }
    let lines = app.hosts[0].log_lines();
    let about: Vec<&Value> = lines.iter().filter(|line| line["order_id"] == document.id()).collect();
    assert!(!about.is_empty() && about.iter().all(|line| line["trace_id"] == TRACE), "{about:?}");
    let ids: BTreeSet<&str> = spans.iter().map(|span| &*span.span_id).collect();
    assert!(
        about.iter().all(|line| line["span_id"].as_str().is_some_and(|id| ids.contains(id))),
        "{about:?}"
    );

    // Another decoder reads the same.
    let here = crate::support::spans::spans(&collector);
    let there = decoded_in_python(&collector).await;
    assert!(there.len() >= here.len());
    assert_eq!(there[..here.len()], here[..]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_and_a_callback_without_a_trace_go_on_in_the_orders() {
    let (app, collector) = traced(Spawn::new().payment_mode(Mode::Pending).event_endpoint()).await;
    let place = async |seat| {
        let request = order(&[seat]).request(&app, 0).header("traceparent", traceparent("01"));
        request.header("tracestate", STATE).send().await.created_or_accepted()
    };
    let (paid, expired) = (place(1).await, place(2).await);
    app.settle(&paid, PaymentStatus::Success).await;
    app.store.expire(expired.id()).await;
    // Its first message is not taken, and is sent again by a sweep.
    app.fault(FaultRule::on(CallName::Notify, fail(503))).await;
    app.quiesce().await;
    app.read(expired.id()).await.assert_is("CANCELLED", "done");

    let callback = |span: &ExportedSpan| span.is_request("/v1/payments/callback");
    let callback = until_span(&collector, "the callback's span", callback).await;
    let placing: Vec<String> = spans(&collector)
        .iter()
        .filter(|span| span.is_request("/v1/orders") && span.trace_id == TRACE)
        .map(|span| span.span_id.clone())
        .collect();
    assert!(
        callback.trace_id == TRACE && placing.contains(&callback.parent_span_id),
        "{callback:?} {placing:?}"
    );
    let of_callback = |span: &ExportedSpan| span.parent_span_id == callback.span_id;
    let inside: Vec<ExportedSpan> = spans(&collector).into_iter().filter(of_callback).collect();
    assert!(inside.len() > 3 && inside.iter().all(|span| span.trace_id == TRACE), "{inside:?}");

    let swept = |span: &ExportedSpan| {
        span.name == "sweep order" && span.text("order_service.order.id") == expired.id()
    };
    let swept = until_span(&collector, "the swept order's span", swept).await;
    assert!(swept.trace_id == TRACE && placing.contains(&swept.parent_span_id), "{swept:?} {placing:?}");
    let [(trace, sweep)] = &swept.links[..] else { panic!("{swept:?}") };
    let sweep = until_span(&collector, "the sweep's span", |span| span.span_id == *sweep).await;
    assert_eq!((&*sweep.name, &sweep.trace_id), ("sweep", trace));
    assert_ne!(trace, TRACE);
    let transition =
        |span: &ExportedSpan| span.parent_span_id == swept.span_id && span.name == "order transition";
    until_span(&collector, "its transition", transition).await;
    let sent = |span: &ExportedSpan| {
        span.name == "deliver events" && span.text("order_service.order.id") == expired.id()
    };
    until_span(&collector, "the sending of its events", sent).await;

    // All calls about both orders, those of sweeps with them, are parts of one tree, with the tracestate as it came.
    for order in [&paid, &expired] {
        for (call, trace) in traced_calls(&app, order.id()).await {
            assert!(trace.traceparent.contains(TRACE) && trace.tracestate == STATE, "{call:?} {trace:?}");
        }
    }
    let of_orders =
        |call: &RecordedCall| [paid.id(), expired.id()].map(Some).contains(&call.order_id.as_deref());
    let calls = app.peers.calls().await.expect("the calls").calls;
    let calls: Vec<_> = calls.into_iter().filter(of_orders).collect();
    assert!(calls.iter().all(|call| call.trace.is_some()), "{calls:?}");
    assert!(calls.iter().filter(|call| call.call == CallName::Notify).count() >= 3, "{calls:?}");
    assert!(calls.iter().any(|call| call.call == CallName::TakeEvent), "{calls:?}");
    // The events that arrived tell the trace of the changes that they are of.
    let events = app.peers.state().await.expect("the sandbox's state").events_taken;
    assert!(events.len() >= 5, "{events:?}");
    for taken in &events {
        let told = taken.event["traceparent"].as_str().unwrap_or_else(|| panic!("{taken:?}"));
        assert!(told.starts_with(&format!("00-{TRACE}-")), "{taken:?}");
    }
    let calls: Vec<_> =
        calls.into_iter().filter_map(|call| call.trace.clone().map(|trace| (call, trace))).collect();
    let parents: BTreeSet<String> =
        calls.iter().map(|(_, trace)| trace.traceparent.split('-').nth(2).unwrap().to_owned()).collect();
    for parent in parents {
        until_span(&collector, "the span of each call", |span| span.span_id == parent).await;
    }
    let spans: Vec<ExportedSpan> =
        spans(&collector).into_iter().filter(|span| span.trace_id == TRACE).collect();
    assert_one_tree(&spans, &calls, CALLER);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_was_answered_before_the_order_was_known_goes_on_in_the_orders_trace() {
    let (app, collector) = traced(Spawn::new().payment_mode(Mode::Pending)).await;
    let request = order(&[1]).request(&app, 0).header("traceparent", traceparent("01"));
    let placed = request.send().await.created();
    app.settle_silently(&placed, PaymentStatus::Success).await;
    let lock = app.store.database().connect().await.unwrap();
    lock.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    // The answer is logged, with the trace that the callback has begun.
    let answer = app.call_back(placed.id(), placed.payment_id(), "SUCCESS").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    lock.batch_execute("COMMIT").await.unwrap();
    eventually("the payment counts", async || {
        let confirmed = "SELECT count(*) FROM orders WHERE status = 'CONFIRMED' AND phase = 'done'";
        (app.store.count(confirmed).await == 1).then_some(())
    })
    .await;
    let journal = app.journal(placed.id()).await;
    let of_payment: Vec<&Value> = journal.iter().filter(|entry| entry["actor"] == "payment").collect();
    assert!(!of_payment.is_empty(), "{journal:?}");
    for entry in of_payment {
        let trace = entry["data"]["traceparent"].as_str().unwrap_or_default();
        assert!(trace.contains(TRACE), "{entry}");
    }
    let goes_on = |span: &ExportedSpan| span.name == "payment callback" && span.trace_id == TRACE;
    let goes_on = until_span(&collector, "the rest of the callback", goes_on).await;
    let [(trace, callback)] = &goes_on.links[..] else { panic!("{goes_on:?}") };
    let callback = until_span(&collector, "the callback's span", |span| span.span_id == *callback).await;
    assert_eq!(callback.trace_id, *trace);
    assert!(callback.is_request("/v1/payments/callback"), "{callback:?}");
    app.quiesce().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_with_a_trace_of_its_own_is_linked_to_the_orders() {
    let (app, collector) = traced(Spawn::new()).await;
    let orders = "11111111111111111111111111111111";
    // The order is of another trace than the request whose charge Payment calls back about.
    app.store
        .run(&format!(
            "CREATE FUNCTION set_trace() RETURNS TRIGGER LANGUAGE plpgsql AS
                 $$ BEGIN NEW.traceparent := '00-{orders}-2222222222222222-01'; RETURN NEW; END $$;
             CREATE TRIGGER set_trace BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION set_trace()"
        ))
        .await;
    let request = order(&[1]).request(&app, 0).header("traceparent", traceparent("01"));
    request.send().await.created();
    let callback = |span: &ExportedSpan| span.is_request("/v1/payments/callback");
    let callback = until_span(&collector, "the callback's span", callback).await;
    assert_eq!(callback.trace_id, TRACE);
    assert_eq!(callback.links, [(orders.to_owned(), "2222222222222222".to_owned())]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_a_callers_context_is_passed_on_as_it_came() {
    let app = Spawn::new().variable("log_level", "debug").start().await;
    let request = order(&[1]).request(&app, 0).header("traceparent", traceparent("01"));
    let document = request.header("tracestate", STATE).send().await.created();
    app.quiesce().await;
    let calls = traced_calls(&app, document.id()).await;
    assert!(calls.len() >= 6, "{calls:?}");
    for (call, trace) in &calls {
        // The callback's come with the id that Payment has given it.
        assert!(trace.traceparent.starts_with(&format!("00-{TRACE}-")), "{call:?}");
        assert_eq!(trace.tracestate, STATE, "{call:?}");
    }
    let charge = calls.iter().find(|(call, _)| call.call == CallName::Charge).expect("a charge");
    assert_eq!(charge.1.traceparent, traceparent("01"));
    for entry in app.journal(document.id()).await.iter() {
        assert!(entry["data"]["traceparent"].as_str().is_some_and(|text| text.contains(TRACE)), "{entry}");
    }
    let lines = app.hosts[0].log_lines();
    let about: Vec<&Value> = lines.iter().filter(|line| line["order_id"] == document.id()).collect();
    assert!(!about.is_empty() && about.iter().all(|line| line["trace_id"] == TRACE), "{about:?}");

    // Without a caller's there is nothing anywhere.
    app.peers.clear_calls().await.expect("the sandbox answers");
    let document = app.place(&order(&[2])).await.created();
    app.quiesce().await;
    assert_eq!(traced_calls(&app, document.id()).await.len(), 0);
    for entry in app.journal(document.id()).await {
        assert_eq!(entry["data"].get("traceparent"), None, "{entry}");
    }
    let lines = app.hosts[0].log_lines();
    let about = lines.iter().filter(|line| line["order_id"] == document.id());
    assert!(about.into_iter().all(|line| line.get("trace_id").is_none()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traceparent_is_read_strictly_and_nothing_that_is_wrong_is_passed_on() {
    let app = spawn().await;
    let valid = traceparent("01");
    let (upper, zero) = (valid.to_uppercase(), "0".repeat(32));
    let future = format!("cc{}-what-will-come", &valid[2..]);
    for (seat, headers, expected) in [
        (1, vec![("traceparent", valid.clone()), ("tracestate", "a=1".into())], Some("a=1")),
        (2, vec![("traceparent", future), ("tracestate", "a=1".into())], Some("a=1")),
        (3, vec![("tracestate", "a=1".into())], None),
        (4, vec![("traceparent", valid.clone()), ("traceparent", valid.clone())], None),
        (5, vec![("traceparent", upper), ("tracestate", "a=1".into())], None),
        (6, vec![("traceparent", valid.replace(TRACE, &zero))], None),
        (7, vec![("traceparent", valid.replace(CALLER, &zero[..16]))], None),
        (8, vec![("traceparent", format!("{valid}-more"))], None),
        (9, vec![("traceparent", format!("ff{}", &valid[2..]))], None),
        (10, vec![("traceparent", "nonsense".into())], None),
        (11, vec![("traceparent", valid.clone()), ("tracestate", "A=1".into())], Some("")),
        (12, vec![("traceparent", valid.clone()), ("tracestate", "a=1,a=2".into())], Some("")),
        (
            13,
            vec![
                ("traceparent", valid.clone()),
                ("tracestate", "a=1, b=2".into()),
                ("tracestate", " c=3".into()),
            ],
            Some("a=1,b=2,c=3"),
        ),
        (14, vec![("traceparent", traceparent("ff"))], Some("")),
    ] {
        let mut request = order(&[seat]).request(&app, 0);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let document = request.send().await.created();
        let calls = app.peers.calls().await.expect("the calls").about(document.id());
        let reserve = calls.of(CallName::Reserve).next().expect("a reserve").trace.clone();
        match expected {
            None => assert_eq!(reserve, None, "{headers:?}"),
            Some(state) => {
                let trace = reserve.unwrap_or_else(|| panic!("{headers:?}"));
                assert_eq!((trace.traceparent, &*trace.tracestate), (valid.clone(), state), "{headers:?}");
            }
        }
    }
    app.finish().await;
}
