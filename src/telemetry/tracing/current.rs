//! The trace of the work that is being polled, and spans of it.
//!
//! Each request carries its trace along ([`crate::runtime::task::carrying`]), with all tasks that it spawns, so that requests which an
//! instance serves at the same time do not take each other's.

use super::ended::Kind;
use super::span::Span;
use super::trace::{Sampler, Trace};
use super::trace_context::{SpanContext, SpanId, TraceId, tracestate};
use crate::domain::trace::StoredTrace;
use crate::runtime::task;
use futures::future::Either;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use uuid::Uuid;

thread_local! {
    /// Which root traces are sampled; none: tracing is off.
    static SAMPLER: Cell<Option<Sampler>> = const { Cell::new(None) };
}

/// Switches tracing on, for this instance: there is a collector, and it gets this part of all root traces.
pub fn switch_on(sampler: Sampler) {
    SAMPLER.set(Some(sampler));
}

/// Whether tracing is on: there are spans.
pub fn is_on() -> bool {
    SAMPLER.get().is_some()
}

/// The headers `traceparent` and `tracestate` of a request: the values of each.
pub type Headers = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// Who may begin a trace when the caller has sent none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// The request does.
    Root,
    /// The request does, and goes over to the trace of the order that it turns out to be about.
    Adoptable,
    /// Nobody: probes and scrapes are too many, and no part of anything.
    Nothing,
}

/// A trace that is looked up when it is first needed.
struct Lazy {
    read: Cell<Option<Box<dyn FnOnce() -> Headers>>>,
    begin: Cell<Begin>,
    trace: OnceCell<Option<Rc<Trace>>>,
    /// The trace to which work without one has gone over.
    adopted: OnceCell<Rc<Trace>>,
}

impl Lazy {
    fn known(trace: Rc<Trace>) -> Rc<Self> {
        let trace = OnceCell::from(Some(trace));
        let (read, begin, adopted) = (Cell::default(), Cell::new(Begin::Nothing), OnceCell::new());
        Rc::new(Self { read, begin, trace, adopted })
    }

    fn get(&self) -> Option<&Rc<Trace>> {
        let find = || {
            let (parents, states) = self.read.take().map(|read| read()).unwrap_or_default();
            if let Some(caller) = SpanContext::of_header(&parents) {
                return Some(Rc::new(Trace::of_caller(caller, &tracestate(&states))));
            }
            let (sampler, begin) = (SAMPLER.get()?, self.begin.get());
            (begin != Begin::Nothing).then(|| Rc::new(Trace::root(sampler, begin == Begin::Adoptable)))
        };
        self.trace.get_or_init(find).as_ref().or_else(|| self.adopted.get())
    }
}

/// A trace, and the span of it that is the parent of what is done.
#[derive(Clone)]
pub struct Scope {
    trace: Rc<Lazy>,
    /// A span of ours; none: the caller's.
    span: Option<SpanId>,
}

impl Scope {
    /// That of a request, whose headers are read when they are first needed. It begins no trace, until [`Self::may_begin`] says so.
    pub fn of_request(read: impl FnOnce() -> Headers + 'static) -> Self {
        let read = Cell::new(Some(Box::new(read) as Box<dyn FnOnce() -> Headers>));
        let begin = Cell::new(Begin::Nothing);
        let (trace, adopted) = (OnceCell::new(), OnceCell::new());
        Self { trace: Rc::new(Lazy { read, begin, trace, adopted }), span: None }
    }

    /// That of work that nobody has asked for; `None` while tracing is off.
    pub fn of_root() -> Option<Self> {
        let trace = Rc::new(Trace::root(SAMPLER.get()?, false));
        Some(Self { trace: Lazy::known(trace), span: None })
    }

    /// That of work that goes on in a stored trace, such as an order's; `None` when there is none.
    pub fn continued(stored: Option<&StoredTrace>) -> Option<Self> {
        let stored = stored?;
        let trace = Trace::of_caller(context_of(stored)?, &stored.tracestate);
        Some(Self { trace: Lazy::known(Rc::new(trace)), span: None })
    }

    /// Lets the request begin a trace, if the caller has sent none.
    pub fn may_begin(&self, begin: Begin) {
        self.trace.begin.set(begin);
    }

    /// Begins a span in this scope; `None` while tracing is off, when there is no trace, or within the first span of one that is not recorded.
    pub fn begin(&self, kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Option<Span> {
        if !is_on() {
            return None;
        }
        let trace = self.trace.get()?;
        // Of a trace that is not recorded others need one id, and not one for each step.
        (self.span.is_none() || trace.records()).then(|| Span::begin(trace, self.span, kind, name))
    }

    /// The scope of a span of it, or the same scope where there is none.
    pub fn within(self, span: Option<&Span>) -> Self {
        Self { span: span.map(Span::id).or(self.span), ..self }
    }

    /// Has the current task go on in this scope.
    pub fn enter(self) {
        task::carry(Rc::new(self));
    }

    /// Does work in this scope.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        task::carrying(Some(Rc::new(self)), work)
    }

    fn parent(&self) -> Option<(&Rc<Trace>, SpanId)> {
        let trace = self.trace.get()?;
        Some((trace, self.span.or_else(|| trace.parent())?))
    }
}

/// Does work that belongs to no trace.
pub fn outside<F: Future>(work: F) -> impl Future<Output = F::Output> {
    task::carrying(None, work)
}

/// Does work as a part of a span, if there is one.
pub fn within<F: Future>(span: Option<&Span>, work: F) -> impl Future<Output = F::Output> {
    let scope = |span: &Span| Scope { trace: Lazy::known(span.trace().clone()), span: Some(span.id()) };
    match span {
        Some(span) => Either::Left(scope(span).run(work)),
        None => Either::Right(work),
    }
}

fn with_scope<T>(use_it: impl FnOnce(&Scope) -> Option<T>) -> Option<T> {
    let carried = task::carried()?;
    use_it(carried.downcast_ref::<Scope>()?)
}

/// Begins a span of the current trace, as [`Scope::begin`]; `None` outside of a trace, too.
pub fn begin(kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Option<Span> {
    with_scope(|scope| scope.begin(kind, name))
}

/// What a request to somebody else carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Propagated {
    /// The header `traceparent`.
    pub traceparent: String,
    /// The header `tracestate`; empty: there is none.
    pub tracestate: Rc<str>,
}

/// What a request to somebody else carries: `span`, which is that of the request, or the current one.
pub fn propagated(span: Option<&Span>) -> Option<Propagated> {
    let of = |trace: &Rc<Trace>, span| {
        Some(Propagated { traceparent: trace.tell(span).to_string(), tracestate: trace.state() })
    };
    match span {
        Some(span) => of(span.trace(), span.id()),
        None => with_scope(|scope| scope.parent().and_then(|(trace, span)| of(trace, span))),
    }
}

/// The current span, as it is kept with what is stored: a `traceparent`.
pub fn traceparent() -> Option<String> {
    context().map(|context| context.to_string())
}

/// The current span, as it is stored with an order.
pub fn stored() -> Option<StoredTrace> {
    let Propagated { traceparent, tracestate } = propagated(None)?;
    Some(StoredTrace { traceparent, tracestate: tracestate.to_string() })
}

/// The current span.
pub fn context() -> Option<SpanContext> {
    with_scope(|scope| scope.parent().map(|(trace, span)| trace.tell(span)))
}

/// The ids of the current trace and span, for the log.
pub fn ids() -> Option<(TraceId, SpanId)> {
    context().map(|context| (context.trace_id, context.span_id))
}

/// The work turns out to be about an order, which has this trace: it goes over to that, if it has none, or may and nobody was told of its own;
/// else it is linked to it.
///
/// Returns whether what follows may stay in the current trace, see [`Trace::adopt`]; else it is to be done by [`continuing`].
pub fn adopt(stored: Option<&StoredTrace>) -> bool {
    let Some((stored, other)) = stored.and_then(|stored| Some((stored, context_of(stored)?))) else {
        return true;
    };
    let stays = with_scope(|scope| match scope.trace.get() {
        Some(trace) if is_on() => Some(trace.adopt(other, &stored.tracestate)),
        Some(_) => None,
        None => {
            drop(scope.trace.adopted.set(Rc::new(Trace::of_caller(other, &stored.tracestate))));
            None
        }
    });
    stays.unwrap_or(true)
}

/// Does work for an order in a span of its own: in the order's trace, where it has one, and linked to the current span; else as a part of that.
pub fn continuing<F: Future>(
    name: &'static str,
    order: Uuid,
    stored: Option<StoredTrace>,
    work: F,
) -> impl Future<Output = F::Output> {
    let outer = context_while_on();
    let in_span = async move {
        let mut span = begin(Kind::Internal, || name.into());
        if let Some(span) = &mut span {
            if span.is_recorded() {
                span.set("order_service.order.id", order.to_string());
            }
            if let Some(outer) = outer.filter(|outer| outer.trace_id != span.trace().id()) {
                span.link(outer);
            }
        }
        let result = within(span.as_ref(), work).await;
        if let Some(span) = span {
            span.end();
        }
        result
    };
    in_stored(stored.as_ref(), in_span)
}

/// Does work in a stored trace, such as an order's, if there is one; else as a part of the current one.
pub fn in_stored<F: Future>(
    stored: Option<&StoredTrace>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    match Scope::continued(stored) {
        Some(scope) => Either::Left(scope.run(work)),
        None => Either::Right(work),
    }
}

fn context_while_on() -> Option<SpanContext> {
    if is_on() { context() } else { None }
}

/// The span that a stored trace ends with; `None` when it is not valid.
pub fn context_of(stored: &StoredTrace) -> Option<SpanContext> {
    SpanContext::parse(stored.traceparent.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tracing::ended;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn run<T>(work: impl Future<Output = T>) -> T {
        match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    fn request(traceparent: &'static str, reads: &Rc<Cell<u32>>) -> Scope {
        let reads = reads.clone();
        Scope::of_request(move || {
            reads.set(reads.get() + 1);
            (vec![traceparent.into()], vec![b"a=b".to_vec()])
        })
    }

    #[test]
    fn while_tracing_is_off_headers_are_read_once_when_they_are_needed_and_passed_on() {
        let reads = Rc::new(Cell::new(0));
        run(request(CALLER, &reads).run(async {
            assert!(begin(Kind::Client, || "x".into()).is_none());
            assert!(adopt(None));
            assert_eq!(reads.get(), 0);
            assert!(adopt(Some(&orders())));
            assert_eq!(traceparent().as_deref(), Some(CALLER));
            let sent = propagated(None).expect("a caller's");
            assert_eq!((&*sent.traceparent, &*sent.tracestate), (CALLER, "a=b"));
            assert_eq!(reads.get(), 1);
        }));
        let scope = request("nonsense", &reads);
        scope.may_begin(Begin::Root);
        run(scope.run(async { assert!(propagated(None).is_none() && ids().is_none()) }));
        assert!(run(async { propagated(None) }).is_none() && Scope::of_root().is_none());
    }

    fn orders() -> StoredTrace {
        let traceparent = "00-11111111111111111111111111111111-2222222222222222-01".to_owned();
        StoredTrace { traceparent, tracestate: "c=d".to_owned() }
    }

    #[test]
    fn work_without_a_trace_goes_over_to_the_orders() {
        let reads = Rc::new(Cell::new(0));
        run(request("", &reads).run(async {
            assert!(adopt(Some(&orders())));
            let sent = propagated(None).expect("the order's");
            assert_eq!((&*sent.traceparent, &*sent.tracestate), (&*orders().traceparent, "c=d"));
            assert_eq!(stored(), Some(orders()));
            let inside = continuing("x", Uuid::nil(), None, async { stored() }).await;
            assert_eq!(inside, Some(orders()));
        }));
        let other = run(continuing("x", Uuid::nil(), Some(orders()), async { stored() }));
        assert_eq!(other, Some(orders()));
    }

    #[test]
    fn a_trace_that_is_not_recorded_has_one_id_for_others() {
        switch_on(Sampler::new(0.0).unwrap());
        run(Scope::of_root().expect("a trace").run(async {
            let first = begin(Kind::Server, || "POST".into()).expect("a span");
            within(Some(&first), async {
                assert!(begin(Kind::Client, || "SELECT".into()).is_none());
                let told = propagated(None).expect("it").traceparent;
                assert!(told.ends_with(&format!("-{}-00", first.id())), "{told}");
            })
            .await;
        }));
    }

    #[test]
    fn a_span_is_the_parent_of_what_is_done_within_it() {
        switch_on(Sampler::new(1.0).unwrap());
        let reads = Rc::new(Cell::new(0));
        run(request(CALLER, &reads).run(async {
            let server = begin(Kind::Server, || "POST".into()).expect("a span");
            within(Some(&server), async {
                let statement = begin(Kind::Client, || "SELECT".into()).expect("a span");
                let sent = propagated(Some(&statement)).expect("it");
                assert!(sent.traceparent.contains(&statement.id().to_string()));
                assert!(traceparent().expect("it").contains(&server.id().to_string()));
                statement.end();
                run(outside(async {
                    assert!(begin(Kind::Client, || "x".into()).is_none() && ids().is_none())
                }));
                assert!(adopt(Some(&orders())));
            })
            .await;
            server.end();
        }));
        let spans = ended::take(10);
        assert_eq!(spans[0].parent_anywhere(), Some(spans[1].id));
        assert_eq!(spans[1].parent_anywhere().expect("the caller").to_string(), "00f067aa0ba902b7");
        assert!(spans[1].has_remote_parent() && spans[1].links.len() == 1);
        SAMPLER.set(None);
    }
}
