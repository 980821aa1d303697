//! All that the sandbox has recorded of an order.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::peers::callbacks::CallbackRecord;
use crate::peers::contract::CallName;
use crate::peers::events::TakenEvent;
use crate::peers::payment::Payment;
use crate::peers::record::RecordedCall;
use crate::peers::spans::Span;
use crate::peers::state::State;

/// The attribute of spans that names the order.
pub(super) const ORDER_ID: &str = "order_service.order.id";
/// The most spans of a page; those that began last are left out.
const MOST_SPANS: usize = 1_000;
/// The most calls of a page, and the most callbacks and events; the newest are left out.
const MOST_RECORDS: usize = 500;
/// How far up a span's ancestors are followed. Whoever sends spans may have made a circle of them.
const MOST_ANCESTORS: usize = 64;

/// The records about one order, each kind in the order in which it came.
#[derive(Default)]
pub(super) struct Records {
    pub order_id: String,
    /// The peers' calls; those too that name no order and are in its trace, such as Catalog's.
    pub calls: Vec<RecordedCall>,
    pub callbacks: Vec<CallbackRecord>,
    pub events: Vec<TakenEvent>,
    pub payments: Vec<Payment>,
    /// By their begin.
    pub spans: Vec<Arc<Span>>,
    /// The traces that are the order's own, and not a sweep's.
    pub traces: BTreeSet<String>,
    /// How many spans and records there are beside these.
    pub left_out: usize,
}

/// Trace and span.
type Key = (String, String);

impl Records {
    /// `None` when the sandbox has heard nothing of the order.
    pub fn of(state: &State, order_id: &str) -> Option<Records> {
        let calls = &state.calls.calls;
        let is_own = |call: &RecordedCall| call.order_id.as_deref() == Some(order_id);
        let events: Vec<TakenEvent> =
            state.events_taken.iter().filter(|taken| taken.event["subject"] == order_id).cloned().collect();
        let callbacks = state.callbacks.iter().filter(|callback| callback.sent["order_id"] == order_id);
        let mut records = Records {
            order_id: order_id.to_owned(),
            callbacks: callbacks.cloned().collect(),
            payments: state.payments_of(order_id).cloned().collect(),
            events,
            ..Records::default()
        };

        // A sweep delivers what is due of many orders in a trace of its own, which is not theirs.
        let is_delivery = |call: CallName| matches!(call, CallName::TakeEvent | CallName::Notify);
        let of_calls = calls.iter().filter(|call| is_own(call) && !is_delivery(call.call));
        let of_calls = of_calls.filter_map(|call| Some(attempt_of(call)?.0));
        let of_events = records.events.iter().filter_map(|taken| taken.event["traceparent"].as_str());
        let of_spans = state.spans.iter().filter(|span| span.text(ORDER_ID) == order_id);
        records.traces = of_calls
            .chain(of_events.filter_map(|text| Some(context(text)?.0)))
            .chain(of_spans.map(|span| span.trace_id.clone()))
            .collect();

        let family = Family::of(state, order_id);
        let of_its_trace = |call: &RecordedCall| {
            let attempt = attempt_of(call);
            call.order_id.is_none()
                && attempt.is_some_and(|(trace, span)| {
                    records.traces.contains(&trace) && !family.is_of_another_order((trace, span))
                })
        };
        records.calls = calls.iter().filter(|call| is_own(call) || of_its_trace(call)).cloned().collect();
        let above: HashSet<Key> =
            records.calls.iter().filter_map(attempt_of).flat_map(|attempt| family.line(attempt)).collect();
        let is_chosen = |span: &&Arc<Span>| {
            let key = owned(span.key());
            above.contains(&key)
                || records.traces.contains(&span.trace_id) && !family.is_of_another_order(key)
        };
        records.spans = state.spans.iter().filter(is_chosen).cloned().collect();
        records.spans.sort_by_key(|span| span.begun_us);
        records.limit();
        let is_known = !(records.calls.is_empty()
            && records.callbacks.is_empty()
            && records.events.is_empty()
            && records.payments.is_empty()
            && records.spans.is_empty());
        is_known.then_some(records)
    }

    fn limit(&mut self) {
        fn cut<T>(list: &mut Vec<T>, most: usize) -> usize {
            let surplus = list.len().saturating_sub(most);
            list.truncate(most);
            surplus
        }
        self.left_out = cut(&mut self.calls, MOST_RECORDS)
            + cut(&mut self.callbacks, MOST_RECORDS)
            + cut(&mut self.events, MOST_RECORDS)
            + cut(&mut self.payments, MOST_RECORDS)
            + cut(&mut self.spans, MOST_SPANS);
    }
}

/// Which span is above which, the peers' own included, and which are another order's.
struct Family {
    parents: HashMap<Key, String>,
    others: HashSet<Key>,
}

impl Family {
    fn of(state: &State, order_id: &str) -> Family {
        let mut family = Family { parents: HashMap::new(), others: HashSet::new() };
        for span in state.spans.iter() {
            let key = owned(span.key());
            let of = span.text(ORDER_ID);
            if !of.is_empty() && of != order_id {
                family.others.insert(key.clone());
            }
            family.parents.insert(key, span.parent_span_id.clone());
        }
        for call in &state.calls.calls {
            let (Some(attempt), Some(trace)) = (attempt_of(call), &call.trace) else { continue };
            if call.order_id.as_deref().is_some_and(|id| id != order_id) {
                family.others.insert(attempt.clone());
            }
            family.parents.insert((attempt.0, trace.span_id.clone()), attempt.1);
        }
        family
    }

    /// A span and those above it.
    fn line(&self, key: Key) -> impl Iterator<Item = Key> {
        let above = |(trace, span): &Key| {
            Some((trace.clone(), self.parents.get(&(trace.clone(), span.clone()))?.clone()))
        };
        std::iter::successors(Some(key), above).take(MOST_ANCESTORS)
    }

    fn is_of_another_order(&self, key: Key) -> bool {
        !self.others.is_empty() && self.line(key).any(|key| self.others.contains(&key))
    }
}

fn owned((trace, span): (&str, &str)) -> Key {
    (trace.to_owned(), span.to_owned())
}

/// The span of the attempt by which a call came, as the caller has it.
pub(super) fn attempt_of(call: &RecordedCall) -> Option<Key> {
    context(&call.trace.as_ref()?.traceparent)
}

/// Trace and span of a `traceparent`.
fn context(traceparent: &str) -> Option<Key> {
    match traceparent.split('-').collect::<Vec<_>>()[..] {
        [_, trace, span, _] => Some(owned((trace, span))),
        _ => None,
    }
}
