//! A trace: its id, whether it is sampled, and whose it is.

use super::trace_context::{SpanContext, SpanId, TraceId};
use crate::runtime::random::random;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Which root traces are sampled: a part of all trace ids (`TraceIdRatioBased`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampler(f64);

impl Sampler {
    /// A sampler of this part of all traces, from 0 to 1.
    pub fn new(ratio: f64) -> Option<Self> {
        (0.0..=1.0).contains(&ratio).then_some(Self(ratio))
    }

    /// Whether it samples a trace: by the last bytes of the id, so that every service with the same ratio samples the same traces.
    fn samples(self, id: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g, h] = *id.bytes();
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        number < (self.0 * (1_u64 << 63) as f64) as u64
    }
}

/// A trace, as far as this service takes part in it.
#[derive(Debug)]
pub struct Trace {
    identity: RefCell<Identity>,
    /// Spans of other traces that belong to this one's first span.
    links: RefCell<Vec<SpanContext>>,
}

#[derive(Clone, Debug)]
struct Identity {
    id: TraceId,
    /// The span of somebody else that is the parent of ours.
    parent: Option<SpanId>,
    is_sampled: bool,
    state: Rc<str>,
    /// Nobody was told of it yet, and it may become another one.
    is_adoptable: bool,
}

impl Trace {
    /// The trace of a caller, with the `tracestate` to send on.
    pub fn of_caller(caller: SpanContext, state: &str) -> Self {
        Self::new(Identity {
            id: caller.trace_id,
            parent: Some(caller.span_id),
            is_sampled: caller.is_sampled,
            state: state.into(),
            is_adoptable: false,
        })
    }

    /// A trace that begins here. `is_adoptable`: it may go over to another one, see [`Self::adopt`].
    pub fn root(sampler: Sampler, is_adoptable: bool) -> Self {
        let id = trace_id();
        let is_sampled = sampler.samples(id);
        Self::new(Identity { id, parent: None, is_sampled, state: "".into(), is_adoptable })
    }

    fn new(identity: Identity) -> Self {
        Self { identity: RefCell::new(identity), links: RefCell::default() }
    }

    /// The span of somebody else that is the parent of ours.
    pub fn parent(&self) -> Option<SpanId> {
        self.identity.borrow().parent
    }

    /// Its id.
    pub fn id(&self) -> TraceId {
        self.identity.borrow().id
    }

    /// Whether its spans are exported; `None` as long as it may go over to another one.
    pub fn is_exported(&self) -> Option<bool> {
        let identity = self.identity.borrow();
        (!identity.is_adoptable).then_some(identity.is_sampled)
    }

    /// Whether a span that begins now is recorded.
    pub fn records(&self) -> bool {
        let identity = self.identity.borrow();
        identity.is_sampled || identity.is_adoptable
    }

    /// Takes the spans of other traces that its first span is to be linked to.
    pub fn take_links(&self) -> Vec<SpanContext> {
        self.links.take()
    }

    /// A span of it, to be told to others: from now on the trace stays what it is.
    pub fn tell(&self, span_id: SpanId) -> SpanContext {
        let mut identity = self.identity.borrow_mut();
        identity.is_adoptable = false;
        SpanContext { trace_id: identity.id, span_id, is_sampled: identity.is_sampled }
    }

    /// The `tracestate` to send on.
    pub fn state(&self) -> Rc<str> {
        self.identity.borrow().state.clone()
    }

    /// From now on the trace stays what it is.
    pub fn settle(&self) {
        self.identity.borrow_mut().is_adoptable = false;
    }

    /// Goes over to another trace, as a child of a span of it; when somebody was told of this one, its first span is only linked to that.
    ///
    /// Returns whether what follows may stay in this trace: it is the other one now, or a caller's. False: it began here, and is another one.
    pub fn adopt(&self, other: SpanContext, state: &str) -> bool {
        let mut identity = self.identity.borrow_mut();
        if identity.is_adoptable {
            identity.id = other.trace_id;
            identity.parent = Some(other.span_id);
            identity.is_sampled = other.is_sampled;
            identity.state = state.into();
            identity.is_adoptable = false;
            return true;
        }
        if identity.id == other.trace_id {
            return true;
        }
        self.links.borrow_mut().push(other);
        identity.parent.is_some()
    }
}

thread_local! {
    /// Random bytes in advance, because asking the host costs a call.
    static RANDOM: Cell<([u8; 256], usize)> = const { Cell::new(([0; 256], 256)) };
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let (mut bytes, mut used) = RANDOM.get();
    if used + N > bytes.len() {
        (bytes, used) = (random(), 0);
    }
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[used..used + N]);
    RANDOM.set((bytes, used + N));
    taken
}

fn trace_id() -> TraceId {
    loop {
        if let Some(id) = TraceId::new(random_bytes()) {
            return id;
        }
    }
}

/// A new id of a span.
pub fn span_id() -> SpanId {
    loop {
        if let Some(id) = SpanId::new(random_bytes()) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(ratio: f64) -> Sampler {
        Sampler::new(ratio).expect("a ratio")
    }

    #[test]
    fn a_part_of_all_traces_is_sampled_by_their_ids() {
        let id = |low: u64| {
            let mut bytes = [7; 16];
            bytes[8..].copy_from_slice(&low.to_be_bytes());
            TraceId::new(bytes).unwrap()
        };
        for (ratio, low, expected) in [
            (0.0, 0, false),
            (1.0, u64::MAX, true),
            (0.5, u64::MAX / 2, true),
            (0.5, u64::MAX / 2 + 2, false),
            (0.1, u64::MAX / 10 - 4_000, true),
            (0.1, u64::MAX / 10 + 4_000, false),
        ] {
            assert_eq!(sampler(ratio).samples(id(low)), expected, "{ratio} {low}");
        }
        let sampled = (0..10_000).filter(|_| sampler(0.1).samples(trace_id())).count();
        assert!((800..1_200).contains(&sampled), "{sampled}");
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Sampler::new(bad), None);
        }
    }

    #[test]
    fn ids_are_all_different() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| span_id()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
