//! The life of an order as a page, `GET /control/orders/{id}`: a sequence diagram over the service and its peers, the events that the sinks
//! have taken, and the spans of its traces.
//!
//! `records` finds what the sandbox has recorded of it, `steps` makes a list of it, `rows` and `diagram` draw that, `tree` and
//! `waterfall` the spans. `Accept: application/json` or `?format=json` gives the same as JSON.

mod diagram;
mod format;
mod page;
mod records;
mod rows;
mod steps;
mod tree;
mod waterfall;

use std::collections::BTreeMap;

use hyper::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};

use super::Sandbox;
use super::answer::Answer;
use super::state::State;
use format::timestamp;
use records::Records;

/// The most orders of the list.
const MOST_ORDERS: usize = 100;

/// `GET /control/orders/{id}`. Order ids are UUIDs; there is no order of another id.
pub(super) fn order(sandbox: &Sandbox, head: &Parts, id: &str) -> Answer {
    let id = uuid::Uuid::try_parse(id).ok().map(|id| id.to_string());
    // The state is free again when the page is drawn.
    let Some(records) = id.and_then(|id| Records::of(&sandbox.state(), &id)) else {
        return Answer::error(404, "no such order");
    };
    if wants_json(head) {
        return Answer::json(200, &as_json(&records));
    }
    Answer::html(200, &page::order(&records, parameter(head, "statements") != Some("all")))
}

/// An order in the list.
#[derive(Serialize)]
struct Listed {
    order_id: String,
    /// `None`: before the sandbox was started.
    last_at_ms: Option<i64>,
    calls: usize,
    failed: usize,
    last_event: Option<String>,
}

/// `GET /control/orders`
pub(super) fn list(state: &State, head: &Parts) -> Answer {
    let orders = listed(state);
    match wants_json(head) {
        true => Answer::json(200, &json!({ "orders": orders })),
        false => Answer::html(200, &page::list(&orders)),
    }
}

/// The latest orders, of which the sandbox has calls, events or payments.
fn listed(state: &State) -> Vec<Listed> {
    let mut orders: BTreeMap<&str, Listed> = BTreeMap::new();
    fn entry<'a, 'b>(orders: &'a mut BTreeMap<&'b str, Listed>, id: &'b str) -> &'a mut Listed {
        let order_id = id.to_owned();
        let new = || Listed { order_id, last_at_ms: None, calls: 0, failed: 0, last_event: None };
        orders.entry(id).or_insert_with(new)
    }
    for payment in state.payments.values() {
        entry(&mut orders, &payment.order_id);
    }
    for call in &state.calls.calls {
        let Some(id) = &call.order_id else { continue };
        let order = entry(&mut orders, id);
        order.calls += 1;
        order.failed += usize::from(call.closed || call.status.is_some_and(|status| status >= 400));
        order.last_at_ms = order.last_at_ms.max(Some(call.started_at_ms));
    }
    for taken in &state.events_taken {
        let Some(id) = taken.event["subject"].as_str() else { continue };
        let order = entry(&mut orders, id);
        order.last_at_ms = order.last_at_ms.max(Some(taken.taken_at_ms));
        order.last_event = taken.event["type"].as_str().map(str::to_owned);
    }
    // Only these have pages.
    let is_id = |id: &str| uuid::Uuid::try_parse(id).is_ok_and(|uuid| uuid.to_string() == id);
    let mut orders: Vec<Listed> = orders.into_values().filter(|order| is_id(&order.order_id)).collect();
    orders.sort_by(|a, b| (b.last_at_ms, &b.order_id).cmp(&(a.last_at_ms, &a.order_id)));
    orders.truncate(MOST_ORDERS);
    orders
}

fn as_json(records: &Records) -> Value {
    let ms = |us: i64| us as f64 / 1e3;
    let steps = steps::steps(records);
    let shown = steps.iter().map(|step| {
        json!({
            "at": timestamp(step.begun_us), "from": step.from, "to": step.to, "what": step.what, "outcome": step.outcome,
            "failed": step.has_failed, "attempt": step.attempt, "took_ms": step.took_us().map(ms),
            "details": step.details.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
    });
    let span = |(depth, span): &(usize, super::spans::Span)| {
        json!({
            "depth": depth, "service": span.service, "name": span.name, "kind": span.kind, "trace_id": span.trace_id,
            "span_id": span.span_id, "parent_span_id": span.parent_span_id, "at": timestamp(span.begun_us),
            "took_ms": ms(span.ended_us - span.begun_us), "failed": span.has_failed, "attributes": span.attributes,
        })
    };
    let groups = tree::groups(records);
    let groups = groups.iter().map(|group| {
        let spans: Vec<Value> = group.spans.iter().map(span).collect();
        json!({ "trace_id": group.trace_id, "below": group.below, "spans": spans })
    });
    json!({
        "order_id": records.order_id, "status": steps::status(records), "traces": records.traces,
        "steps": shown.collect::<Vec<_>>(), "events": records.events, "payments": records.payments,
        "spans": groups.collect::<Vec<_>>(), "left_out": records.left_out,
    })
}

fn wants_json(head: &Parts) -> bool {
    let accept = head.headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match parameter(head, "format") {
        Some(format) => format == "json",
        None => accept.contains("application/json") && !accept.contains("text/html"),
    }
}

fn parameter<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = head.uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests;
