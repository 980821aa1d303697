//! Spans: what is being done, for how long, and as a part of what.

use super::ended::{Ended, Kind, Value, enqueue, unix_nanos};
use super::trace::{Trace, span_id};
use super::trace_context::{SpanContext, SpanId};
use crate::runtime::task;
use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

/// A span that has begun. Dropped without [`Self::end`] it is not exported: the host has cancelled the work.
#[derive(Debug)]
pub struct Span {
    trace: Rc<Trace>,
    id: SpanId,
    parent: Option<SpanId>,
    kind: Kind,
    /// Whether it is recorded: else it has an id, and nothing more.
    recorded: Option<Box<Recorded>>,
}

/// What is recorded of a span.
#[derive(Debug)]
struct Recorded {
    name: Cow<'static, str>,
    begun: Instant,
    attributes: Vec<(&'static str, Value)>,
    links: Vec<SpanContext>,
    has_failed: bool,
}

impl Span {
    /// Begins a span. `parent`: a span of this service; `None` for the first one here. `name` is made when it is recorded.
    pub fn begin(
        trace: &Rc<Trace>,
        parent: Option<SpanId>,
        kind: Kind,
        name: impl FnOnce() -> Cow<'static, str>,
    ) -> Self {
        let recorded = trace.records().then(|| {
            let (attributes, links) = (Vec::with_capacity(8), Vec::new());
            Box::new(Recorded { name: name(), begun: task::now(), attributes, links, has_failed: false })
        });
        Self { trace: trace.clone(), id: span_id(), parent, kind, recorded }
    }

    /// Its trace.
    pub fn trace(&self) -> &Rc<Trace> {
        &self.trace
    }

    /// Its id.
    pub fn id(&self) -> SpanId {
        self.id
    }

    /// Whether attributes are kept: what costs something need not be made else.
    pub fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// Begins at another time than now.
    pub fn begun_at(&mut self, begun: Instant) {
        if let Some(recorded) = &mut self.recorded {
            recorded.begun = begun;
        }
    }

    /// Sets an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(recorded) = &mut self.recorded {
            recorded.attributes.push((name, value.into()));
        }
    }

    /// Links a span of another trace.
    pub fn link(&mut self, other: SpanContext) {
        if let Some(recorded) = &mut self.recorded {
            recorded.links.push(other);
        }
    }

    /// It has failed: its status is an error, of this type (`error.type`).
    pub fn fail(&mut self, error: impl Into<Value>) {
        self.set("error.type", error);
        if let Some(recorded) = &mut self.recorded {
            recorded.has_failed = true;
        }
    }

    /// Ends it now.
    pub fn end(self) {
        self.end_at(task::now());
    }

    /// Ends it, at this time.
    pub fn end_at(mut self, end: Instant) {
        let Some(mut recorded) = self.recorded.take() else { return };
        if self.parent.is_none() {
            recorded.links.extend(self.trace.take_links());
        }
        enqueue(Ended {
            id: self.id,
            parent: self.parent,
            kind: self.kind,
            name: recorded.name,
            begun: unix_nanos(recorded.begun),
            ended: unix_nanos(end.max(recorded.begun)),
            attributes: recorded.attributes,
            links: recorded.links,
            has_failed: recorded.has_failed,
            trace: self.trace.clone(),
        });
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Whatever becomes of the request, its trace stays what it is from now on.
        if self.parent.is_none() {
            self.trace.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tracing::ended::{QUEUE_LIMIT, are_waiting, take, take_dropped};
    use crate::telemetry::tracing::trace::Sampler;
    use crate::telemetry::tracing::trace_context::TraceId;

    fn context(trace: u8, span: u8, is_sampled: bool) -> SpanContext {
        let (trace_id, span_id) = (TraceId::new([trace; 16]).unwrap(), SpanId::new([span; 8]).unwrap());
        SpanContext { trace_id, span_id, is_sampled }
    }

    fn sampler(ratio: f64) -> Sampler {
        Sampler::new(ratio).expect("a ratio")
    }

    #[test]
    fn a_trace_goes_over_to_another_one_until_somebody_was_told_of_it() {
        let trace = Rc::new(Trace::root(sampler(0.0), true));
        let first = Span::begin(&trace, None, Kind::Server, || "POST".into());
        let statement = Span::begin(&trace, Some(first.id()), Kind::Client, || "SELECT".into());
        let (first_id, order) = (first.id(), context(1, 2, true));
        statement.end();
        assert!(take(10).is_empty() && are_waiting(), "nobody knows yet which trace it is");
        assert!(trace.adopt(order, "a=b"));
        first.end();
        let spans = take(10);
        assert!(spans.iter().all(|span| span.trace.id() == order.trace_id && span.links.is_empty()));
        let parents: Vec<_> =
            spans.iter().map(|span| (span.parent_anywhere(), span.has_remote_parent())).collect();
        assert_eq!(parents, [(Some(first_id), false), (Some(order.span_id), true)]);

        let told = Rc::new(Trace::root(sampler(1.0), true));
        let first = Span::begin(&told, None, Kind::Server, || "POST".into());
        let own = told.tell(first.id());
        assert!(!told.adopt(order, ""), "what follows belongs to the order's");
        assert!(told.adopt(SpanContext { span_id: order.span_id, ..own }, ""));
        first.end();
        let spans = take(10);
        assert_eq!((spans[0].trace.id(), spans[0].parent_anywhere()), (own.trace_id, None));
        assert_eq!(spans[0].links, [order]);

        // Into a trace that is not sampled: nothing of it is exported.
        let unsampled = Rc::new(Trace::root(sampler(1.0), true));
        let first = Span::begin(&unsampled, None, Kind::Server, || "POST".into());
        assert!(unsampled.adopt(context(3, 4, false), ""));
        assert!(Trace::of_caller(context(1, 2, true), "").adopt(order, ""), "a caller's stays what it is");
        first.end();
        assert!(take(10).is_empty() && !are_waiting());
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let trace = Rc::new(Trace::of_caller(context(1, 2, true), "a=b"));
        for _ in 0..QUEUE_LIMIT + 3 {
            Span::begin(&trace, None, Kind::Internal, || "x".into()).end();
        }
        assert_eq!((take_dropped(), take_dropped()), (3, 0));
        assert_eq!((take(512).len(), take(usize::MAX).len()), (512, QUEUE_LIMIT - 512));
        let unsampled = Rc::new(Trace::of_caller(context(1, 2, false), ""));
        let mut span = Span::begin(&unsampled, None, Kind::Internal, || "x".into());
        span.set("a", "b");
        assert!(!span.is_recorded());
        span.end();
        assert!(!are_waiting());
    }
}
