//! The page of an order, and the collector of spans behind it.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind};
use prost::Message;

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
const OTHER: &str = "01980000-0000-7000-8000-000000000002";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A span of the trace.
fn span(id: u8, parent: u8, name: &str, attributes: &[(&str, &str)]) -> Span {
    let id_of = |id: u8| if id == 0 { Vec::new() } else { vec![id; 8] };
    let attribute = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    Span {
        trace_id: (0..16).map(|at| u8::from_str_radix(&TRACE[at * 2..at * 2 + 2], 16).unwrap()).collect(),
        span_id: id_of(id),
        parent_span_id: id_of(parent),
        name: name.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: 1_800_000_000_000_000_000,
        end_time_unix_nano: 1_800_000_000_001_000_000,
        attributes: attributes.iter().map(attribute).collect(),
        ..Span::default()
    }
}

fn exported(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

impl Sandboxed {
    async fn export(&self, content_type: &str, body: Vec<u8>) -> u16 {
        let request = self.client.post(format!("{}/v1/traces", self.peers.url())).body(body);
        request.header("content-type", content_type).send().await.unwrap().status().as_u16()
    }

    async fn page(&self, path: &str) -> String {
        let (status, page) = self.get(path).await;
        assert_eq!(status, 200, "{page}");
        page.as_str().expect("a page").to_owned()
    }
}

#[tokio::test]
async fn an_order_that_nobody_has_heard_of_has_no_page() {
    let s = sandbox().await;
    for id in [ORDER, "7", "x%00", "%3Cscript%3E", ""] {
        let (status, body) = s.get(&format!("/control/orders/{id}")).await;
        // Without an id it is the list.
        assert_eq!(status, if id.is_empty() { 200 } else { 404 }, "{id}: {body}");
        assert!(id.is_empty() || body == json!({ "error": "no such order" }), "{body}");
    }
    assert!(s.page("/control/orders").await.contains("None yet"));
}

#[tokio::test]
async fn without_spans_the_page_has_the_calls() {
    let s = sandbox().await;
    s.reserve(&[1, 2]).await;
    s.charge().await;
    let (_, life) = s.get(&format!("/control/orders/{ORDER}?format=json")).await;
    let steps: Vec<_> = life["steps"].as_array().unwrap().iter().map(|step| &step["what"]).collect();
    assert_eq!(steps, ["reserve", "charge"]);
    assert_eq!(
        (&life["steps"][1]["outcome"], &life["payments"][0]["status"]),
        (&json!("201"), &json!("SUCCESS"))
    );
    let page = s.page(&format!("/control/orders/{}", ORDER.to_uppercase())).await;
    assert!(page.contains("No spans of this order are here") && page.contains("<svg"), "{page}");
    assert!(s.page("/control/orders").await.contains(&format!("href=\"/control/orders/{ORDER}\"")));
}

#[tokio::test]
async fn whatever_callers_send_is_shown_as_text() {
    let s = sandbox().await;
    let reserve =
        json!({ "eventId": 101, "seatIds": [1], "userId": HOSTILE, "orderId": ORDER, "title": HOSTILE });
    s.post("/seating/v1/seats/reserve", reserve).await;
    let charge = json!({ "merchant_order_id": ORDER, "amount_cents": 1, "currency": "<i>'\"" });
    s.post("/payment/v1/charge", charge).await;
    s.post("/notification/v1/notify", json!({ "type": HOSTILE, "order_id": ORDER, "seats": [] })).await;
    let event = s.client.post(format!("{}/events/hook", s.peers.url())).json(&json!({ "seat": HOSTILE }));
    let event = event.header("ce-id", HOSTILE).header("ce-type", HOSTILE).header("ce-subject", ORDER);
    let event = event.header("ce-traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    assert_eq!(event.header("ce-sequence", HOSTILE).send().await.unwrap().status().as_u16(), 204);
    let attributes = [
        ("order_service.order.id", ORDER),
        ("http.route", HOSTILE),
        ("url.path", HOSTILE),
        (HOSTILE, HOSTILE),
        ("user_agent.original", HOSTILE),
        ("error.type", HOSTILE),
    ];
    let body = exported(vec![span(1, 0, HOSTILE, &attributes)]);
    assert_eq!(s.export("application/x-protobuf", body).await, 200);

    for path in ["/control/orders", &format!("/control/orders/{ORDER}?statements=all")] {
        let page = s.page(path).await;
        for tag in ["<script", "<img", "<i>", "onerror=alert(2)>"] {
            assert!(!page.contains(tag), "{tag} in {page}");
        }
        let escaped = page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count();
        assert!(escaped > 0 && escaped == page.matches("alert(1)").count(), "{escaped} in {page}");
        assert!(page.contains("&lt;/script&gt;&quot;'&gt;&lt;img"), "what could end an attribute is escaped");
        assert!(page.contains("default-src 'none'"));
    }
}

#[tokio::test]
async fn spans_of_another_order_in_the_same_trace_are_not_the_orders() {
    let s = sandbox().await;
    let body = exported(vec![
        span(1, 0, "batch", &[]),
        span(2, 1, "mine", &[("order_service.order.id", ORDER)]),
        span(3, 1, "another's", &[("order_service.order.id", OTHER)]),
        span(4, 3, "below another's", &[]),
        span(5, 2, "below mine", &[]),
    ]);
    assert_eq!(s.export("application/x-protobuf", body).await, 200);
    let (_, life) = s.get(&format!("/control/orders/{ORDER}?format=json")).await;
    let spans = life["spans"][0]["spans"].as_array().unwrap();
    let names: Vec<_> = spans.iter().map(|span| (&span["depth"], span["name"].as_str().unwrap())).collect();
    assert_eq!(names, [(&json!(0), "batch"), (&json!(1), "mine"), (&json!(2), "below mine")]);
    assert_eq!(life["traces"], json!([TRACE]));
}

#[tokio::test]
async fn the_collector_takes_protobuf_alone() {
    let s = sandbox().await;
    let body = exported(vec![span(1, 0, "a", &[("x", "1"), ("x", "2")])]);
    assert_eq!(s.export("application/json", b"{}".to_vec()).await, 415);
    assert_eq!(s.export("application/x-protobuf", b"\xff\xff".to_vec()).await, 400);
    assert_eq!(s.export("application/x-protobuf", body).await, 400);
    assert_eq!(s.export("application/x-protobuf", Vec::new()).await, 200);
    assert_eq!(s.get("/v1/traces").await.0, 405);
}
