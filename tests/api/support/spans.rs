//! What a collector has got, decoded.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use order_dev::collector::{Collector, Received};
use order_dev::manifests::install_python_packages;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use super::poll::eventually;

/// A span as it was exported.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ExportedSpan {
    /// Attributes of the resource.
    pub resource: BTreeMap<String, Value>,
    /// The instrumentation scope.
    pub scope: String,
    /// In hexadecimal, as all ids.
    pub trace_id: String,
    pub span_id: String,
    /// Empty: a root.
    pub parent_span_id: String,
    pub trace_state: String,
    pub flags: u32,
    pub name: String,
    /// As `SPAN_KIND_SERVER`.
    pub kind: String,
    /// In nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
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

/// The bodies that the collector has taken.
fn taken(collector: &Collector) -> Vec<Received> {
    collector.received().into_iter().filter(|request| request.status == 200).collect()
}

/// All spans that the collector has taken.
pub fn spans(collector: &Collector) -> Vec<ExportedSpan> {
    taken(collector).iter().flat_map(|request| decode(&request.body)).collect()
}

/// Waits until the collector has a span of which this is true.
pub async fn until_span(
    collector: &Collector,
    what: &str,
    is: impl Fn(&ExportedSpan) -> bool,
) -> ExportedSpan {
    eventually(what, async || spans(collector).into_iter().find(&is)).await
}

/// Decodes a request with the messages that the service has encoded it with.
pub fn decode(body: &[u8]) -> Vec<ExportedSpan> {
    let request = ExportTraceServiceRequest::decode(body).expect("a request of OTLP");
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = plain(&of_resource.resource.expect("a resource").attributes);
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.expect("a scope").name;
            spans.extend(of_scope.spans.into_iter().map(|span| ExportedSpan {
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
                attributes: plain(&span.attributes),
                links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                status:
                    span.status.map_or(StatusCode::Unset, |status| status.code()).as_str_name().to_owned(),
            }));
        }
    }
    assert!(spans.iter().all(|span| span.kind != SpanKind::Unspecified.as_str_name()));
    spans
}

/// The same spans, decoded by OpenTelemetry's Python package.
pub async fn decoded_in_python(collector: &Collector) -> Vec<ExportedSpan> {
    let sources = order_dev::repo_root().join("tests/otlp");
    let folder = order_dev::component::target_dir().await.expect("a target directory").join("otlp-test");
    std::fs::create_dir_all(&folder).expect("a folder");
    let environment = folder.join("python");
    install_python_packages(&sources.join("requirements.txt"), &environment).expect("Python packages");
    let files: Vec<_> = taken(collector)
        .iter()
        .enumerate()
        .map(|(at, request)| {
            let file = folder.join(format!("{}-{at}.pb", std::process::id()));
            std::fs::write(&file, &request.body).expect("a file");
            file
        })
        .collect();
    let output = python(&environment, &sources.join("decode.py"), &files);
    for file in files {
        std::fs::remove_file(file).expect("it is there");
    }
    serde_json::from_slice(&output).expect("spans")
}

fn python(environment: &Path, script: &Path, files: &[std::path::PathBuf]) -> Vec<u8> {
    let output = Command::new(environment.join("bin/python")).arg(script).args(files).output();
    let output = output.expect("Python is started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn plain(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let value = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        other => panic!("{attribute:?} has the value {other:?}"),
    };
    let plain: BTreeMap<_, _> = attributes.iter().map(|one| (one.key.clone(), value(one))).collect();
    assert_eq!(plain.len(), attributes.len(), "no attribute comes twice: {attributes:?}");
    plain
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
