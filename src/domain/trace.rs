//! The trace context of the request that placed an order, as it is stored with the order.

/// W3C Trace Context. What is done for the order later goes on in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredTrace {
    /// The header `traceparent`, of a span of this service or of its caller.
    pub traceparent: String,
    /// The header `tracestate`; empty when there was none.
    pub tracestate: String,
}

impl StoredTrace {
    /// That of two columns; `None` when the order is part of no trace.
    pub fn of_columns(traceparent: Option<String>, tracestate: Option<String>) -> Option<Self> {
        Some(Self { traceparent: traceparent?, tracestate: tracestate.unwrap_or_default() })
    }
}
