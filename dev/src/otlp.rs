//! Spans as a collector gets them: an `ExportTraceServiceRequest` of OTLP 1 in protobuf, decoded with the messages of `opentelemetry-proto`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

/// The media type of requests and of their answers.
pub const PROTOBUF: &str = "application/x-protobuf";

/// A span as it was exported.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ExportedSpan {
    /// Attributes of the resource.
    pub resource: BTreeMap<String, Value>,
    /// The instrumentation scope.
    pub scope: String,
    /// In hexadecimal, as all ids.
    pub trace_id: String,
    /// Its id.
    pub span_id: String,
    /// Empty: a root.
    pub parent_span_id: String,
    /// The member of that name, as it came.
    pub trace_state: String,
    /// The flags of the trace context, and whether the parent is remote.
    pub flags: u32,
    /// Its name.
    pub name: String,
    /// As `SPAN_KIND_SERVER`.
    pub kind: String,
    /// In nanoseconds since 1970.
    pub start: u64,
    /// In nanoseconds since 1970.
    pub end: u64,
    /// Texts, numbers and truth values; any other value is null.
    pub attributes: BTreeMap<String, Value>,
    /// Trace and span of each.
    pub links: Vec<(String, String)>,
    /// As `STATUS_CODE_ERROR`.
    pub status: String,
}

impl ExportedSpan {
    /// An attribute's text.
    pub fn text(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is the request to this route.
    pub fn is_request(&self, route: &str) -> bool {
        self.kind == "SPAN_KIND_SERVER" && self.text("http.route") == route
    }

    /// Whether its status is an error.
    pub fn has_failed(&self) -> bool {
        self.status == "STATUS_CODE_ERROR"
    }
}

/// Decodes a request.
///
/// # Errors
/// When it is none, or has an attribute twice in one place.
pub fn decode(body: &[u8]) -> Result<Vec<ExportedSpan>> {
    let request = ExportTraceServiceRequest::decode(body).context("no request of OTLP")?;
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = plain(&of_resource.resource.unwrap_or_default().attributes)?;
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.unwrap_or_default().name;
            for span in of_scope.spans {
                let status = span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
                spans.push(ExportedSpan {
                    resource: resource.clone(),
                    scope: scope.clone(),
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_span_id: hex(&span.parent_span_id),
                    kind: span.kind().as_str_name().to_owned(),
                    trace_state: span.trace_state,
                    flags: span.flags,
                    name: span.name,
                    start: span.start_time_unix_nano,
                    end: span.end_time_unix_nano,
                    attributes: plain(&span.attributes)?,
                    links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                    status: status.as_str_name().to_owned(),
                });
            }
        }
    }
    Ok(spans)
}

fn plain(attributes: &[KeyValue]) -> Result<BTreeMap<String, Value>> {
    let value = |attribute: &KeyValue| match &attribute.value.as_ref()?.value {
        Some(Any::StringValue(text)) => Some(json!(text)),
        Some(Any::IntValue(number)) => Some(json!(number)),
        Some(Any::DoubleValue(number)) => Some(json!(number)),
        Some(Any::BoolValue(truth)) => Some(json!(truth)),
        _ => None,
    };
    let values = attributes.iter().map(|one| (one.key.clone(), value(one).unwrap_or(Value::Null)));
    let plain: BTreeMap<String, Value> = values.collect();
    ensure!(plain.len() == attributes.len(), "an attribute comes twice");
    Ok(plain)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
