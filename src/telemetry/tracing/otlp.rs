//! Spans as the collector gets them: an `ExportTraceServiceRequest` of OTLP 1, in protobuf.

use super::ended::{Ended, Kind, Value};
use super::trace_context::SpanContext;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};
use prost::Message;

/// Encodes spans of the service of this name.
pub fn encode(service: &str, spans: Vec<Ended>) -> Vec<u8> {
    let attributes = [("service.name", service), ("service.version", env!("CARGO_PKG_VERSION"))];
    let attributes = attributes.map(|(key, value)| attribute(key, Value::from(value.to_owned())));
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: spans.into_iter().map(span).collect(),
        schema_url: String::new(),
    };
    let resource = Resource { attributes: attributes.into(), ..Default::default() };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn span(span: Ended) -> Span {
    let kind = match span.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    let status = span.has_failed.then(|| Status { code: StatusCode::Error.into(), message: String::new() });
    Span {
        trace_id: span.trace.id().bytes().to_vec(),
        span_id: span.id.bytes().to_vec(),
        trace_state: span.trace.state().to_string(),
        parent_span_id: span.parent_anywhere().map(|id| id.bytes().to_vec()).unwrap_or_default(),
        flags: flags(true, Some(span.has_remote_parent())),
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: span.begun,
        end_time_unix_nano: span.ended,
        attributes: span.attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        links: span.links.iter().map(link).collect(),
        status,
        ..Default::default()
    }
}

fn link(context: &SpanContext) -> Link {
    Link {
        trace_id: context.trace_id.bytes().to_vec(),
        span_id: context.span_id.bytes().to_vec(),
        flags: flags(context.is_sampled, None),
        ..Default::default()
    }
}

/// The flags of the trace context, and, where it is known, whether the parent is a span of somebody else.
fn flags(is_sampled: bool, is_remote: Option<bool>) -> u32 {
    let has = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = match is_remote {
        None => 0,
        Some(false) => has,
        Some(true) => has | SpanFlags::ContextIsRemoteMask as u32,
    };
    u32::from(is_sampled) | remote
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.into_owned()),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
