//! A collector of spans (OTLP over HTTP): a bounded number of them, for the page of an order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hyper::http::request::Parts;
use serde::Serialize;
use serde_json::Value;

use super::answer::Answer;
use crate::otlp::{self, ExportedSpan};

/// The most spans that are kept; the oldest are dropped.
const LIMIT: usize = 20_000;
/// The longest name and the longest value, in bytes.
const TEXT_LIMIT: usize = 500;
/// The most attributes of a span, and the most links.
const ATTRIBUTE_LIMIT: usize = 40;

/// A span, of which only so much is kept that very many of them fit into memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Span {
    /// `service.name`.
    pub service: String,
    pub trace_id: String,
    pub span_id: String,
    /// Empty: a root.
    pub parent_span_id: String,
    pub name: String,
    /// As `SPAN_KIND_SERVER`.
    pub kind: String,
    /// In microseconds since 1970.
    pub begun_us: i64,
    /// In microseconds since 1970.
    pub ended_us: i64,
    pub has_failed: bool,
    pub attributes: BTreeMap<String, Value>,
}

impl Span {
    fn of(span: ExportedSpan) -> Span {
        let us = |nanos: u64| (nanos / 1_000) as i64;
        let service = span.resource.get("service.name").and_then(Value::as_str).unwrap_or_default();
        let has_failed = span.has_failed();
        let short = |value| match value {
            Value::String(text) => Value::String(shortened(text)),
            other => other,
        };
        let attributes = span.attributes.into_iter().take(ATTRIBUTE_LIMIT);
        Span {
            service: shortened(service.to_owned()),
            trace_id: shortened(span.trace_id),
            span_id: shortened(span.span_id),
            parent_span_id: shortened(span.parent_span_id),
            name: shortened(span.name),
            kind: span.kind,
            begun_us: us(span.start),
            ended_us: us(span.end.max(span.start)),
            has_failed,
            attributes: attributes.map(|(name, value)| (shortened(name), short(value))).collect(),
        }
    }

    /// An attribute's text.
    pub fn text(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its trace, and its id in that.
    pub fn key(&self) -> (&str, &str) {
        (&self.trace_id, &self.span_id)
    }
}

/// The spans that came last.
#[derive(Default)]
pub(super) struct Spans {
    kept: VecDeque<Arc<Span>>,
}

impl Spans {
    fn add(&mut self, spans: Vec<ExportedSpan>) {
        self.kept.extend(spans.into_iter().map(|span| Arc::new(Span::of(span))));
        let surplus = self.kept.len().saturating_sub(LIMIT);
        self.kept.drain(..surplus);
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Span>> {
        self.kept.iter()
    }
}

/// `POST /v1/traces`
pub(super) fn take(spans: &mut Spans, head: &Parts, body: &[u8]) -> Answer {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if head.method != hyper::Method::POST {
        return Answer::error(405, "spans come by POST");
    }
    if header("content-type") != otlp::PROTOBUF || !matches!(header("content-encoding"), "" | "identity") {
        return Answer::error(415, "spans come in protobuf, and are not compressed");
    }
    match otlp::decode(body) {
        Ok(decoded) => {
            spans.add(decoded);
            // An empty message: all is taken.
            Answer::of_type(200, otlp::PROTOBUF, "")
        }
        Err(error) => Answer::error(400, &format!("{error:#}")),
    }
}

/// Text that is not longer than the limit.
pub(super) fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_LIMIT));
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(number: usize) -> ExportedSpan {
        ExportedSpan {
            resource: BTreeMap::new(),
            scope: String::new(),
            trace_id: "t".to_owned(),
            span_id: number.to_string(),
            parent_span_id: String::new(),
            trace_state: String::new(),
            flags: 1,
            name: "\u{e9}".repeat(TEXT_LIMIT),
            kind: "SPAN_KIND_SERVER".to_owned(),
            start: 2_000,
            end: 1_000,
            attributes: (0..100).map(|n| (n.to_string(), Value::String("x".repeat(9_000)))).collect(),
            links: Vec::new(),
            status: "STATUS_CODE_ERROR".to_owned(),
        }
    }

    #[test]
    fn the_newest_are_kept_and_each_is_small() {
        let mut spans = Spans::default();
        spans.add((0..LIMIT).map(exported).collect());
        spans.add((LIMIT..LIMIT + 3).map(exported).collect());
        assert_eq!((spans.kept.len(), &*spans.kept[0].span_id), (LIMIT, "3"));
        let span = &spans.kept[0];
        assert_eq!((span.name.len(), span.attributes.len()), (TEXT_LIMIT, ATTRIBUTE_LIMIT));
        assert!(span.attributes.values().all(|value| value.as_str().unwrap().len() == TEXT_LIMIT));
        assert!(span.has_failed && span.begun_us == 2 && span.ended_us == 2);
    }
}
