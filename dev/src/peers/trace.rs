//! Trace Context, as a service that is instrumented passes it on: in a span of its own.

use hyper::HeaderMap;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize};

/// The trace that a call is a part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTrace {
    /// The header `traceparent` that came with it.
    pub traceparent: String,
    /// The header `tracestate`; empty: there was none.
    pub tracestate: String,
    /// The id of the peer's own span.
    pub span_id: String,
}

impl CallTrace {
    /// That of a call with a `traceparent`, which the peer believes.
    pub(super) fn of(headers: &HeaderMap) -> Option<CallTrace> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let traceparent = text("traceparent")?;
        let span_id = uuid::Uuid::new_v4().simple().to_string()[..16].to_owned();
        Some(CallTrace { traceparent, tracestate: text("tracestate").unwrap_or_default(), span_id })
    }

    /// The `traceparent` of what the peer sends in turn.
    pub fn sent_on(&self) -> String {
        match self.traceparent.split('-').collect::<Vec<_>>()[..] {
            [version, trace, _, flags] => format!("{version}-{trace}-{}-{flags}", self.span_id),
            _ => self.traceparent.clone(),
        }
    }

    /// Adds its headers to a request.
    pub(super) fn add_to(trace: Option<&CallTrace>, request: RequestBuilder) -> RequestBuilder {
        let Some(trace) = trace else { return request };
        let request = request.header("traceparent", trace.sent_on());
        if trace.tracestate.is_empty() { request } else { request.header("tracestate", &trace.tracestate) }
    }
}
