//! Spans that have ended, and the queue of those that wait to be exported.

use super::trace::Trace;
use super::trace_context::{SpanContext, SpanId};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// How many spans an instance keeps that have ended and were not exported yet. What does not fit is dropped, and counted.
pub const QUEUE_LIMIT: usize = 2_048;
/// The longest value of an attribute, in bytes.
const VALUE_LIMIT: usize = 1_024;

/// What a span is to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Work inside of the service.
    Internal,
    /// A request that is served.
    Server,
    /// A request that is sent.
    Client,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(mut text: String) -> Self {
        text.truncate(text.floor_char_boundary(VALUE_LIMIT));
        Self::Text(text.into())
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// A span that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its trace, whose id is looked up when the span is exported.
    pub trace: Rc<Trace>,
    /// Its id.
    pub id: SpanId,
    /// Its parent; `None` for the trace's first span here, whose parent is the trace's.
    pub parent: Option<SpanId>,
    /// What it is to others.
    pub kind: Kind,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its begin, in nanoseconds since 1970.
    pub begun: u64,
    /// Its end.
    pub ended: u64,
    /// Its attributes.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that it is linked to.
    pub links: Vec<SpanContext>,
    /// Whether its status is an error.
    pub has_failed: bool,
}

impl Ended {
    /// Its parent, here or at somebody else.
    pub fn parent_anywhere(&self) -> Option<SpanId> {
        self.parent.or_else(|| self.trace.parent())
    }

    /// Whether its parent is a span of another service.
    pub fn has_remote_parent(&self) -> bool {
        self.parent.is_none() && self.trace.parent().is_some()
    }
}

thread_local! {
    static QUEUE: RefCell<VecDeque<Ended>> = const { RefCell::new(VecDeque::new()) };
    /// Called when a span waits.
    static EXPORTER: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
    static DROPPED: Cell<u64> = const { Cell::new(0) };
    /// A time by both clocks.
    static CLOCKS: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// A time of the monotonic clock in nanoseconds since 1970. Both clocks are read once an instance, which does not live long.
pub fn unix_nanos(time: Instant) -> u64 {
    let (instant, nanos) = CLOCKS.get().unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clocks = (Instant::now(), u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        CLOCKS.set(Some(clocks));
        clocks
    });
    let nanos_of = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match time.checked_duration_since(instant) {
        Some(since) => nanos.saturating_add(nanos_of(since)),
        None => nanos.saturating_sub(nanos_of(instant.duration_since(time))),
    }
}

/// Sets what is called whenever a span waits, for this instance. It is to see to it that the spans are taken, soon and not at once.
pub fn export_by(exporter: impl Fn() + 'static) {
    EXPORTER.set(Some(Rc::new(exporter)));
}

/// Adds a span, if it fits.
pub fn enqueue(span: Ended) {
    QUEUE.with_borrow_mut(|queue| {
        if queue.len() < QUEUE_LIMIT {
            queue.push_back(span);
        } else {
            count_dropped(1);
        }
    });
    if let Some(exporter) = EXPORTER.with_borrow(Clone::clone) {
        exporter();
    }
}

/// Counts spans that are not exported.
pub fn count_dropped(count: usize) {
    DROPPED.set(DROPPED.get() + count as u64);
}

/// How many spans were dropped since the last call.
pub fn take_dropped() -> u64 {
    DROPPED.take()
}

/// Whether spans wait to be exported.
pub fn are_waiting() -> bool {
    QUEUE.with_borrow(|queue| !queue.is_empty())
}

/// Takes the oldest spans that wait to be exported, so many at most. Those stay whose trace may become another one, and those of a trace
/// that has turned out not to be sampled are dropped.
pub fn take(most: usize) -> Vec<Ended> {
    QUEUE.with_borrow_mut(|queue| {
        let mut taken = Vec::new();
        let mut left = VecDeque::new();
        while let Some(span) = queue.pop_front() {
            match span.trace.is_exported() {
                Some(true) if taken.len() < most => taken.push(span),
                Some(false) => {}
                Some(true) | None => left.push_back(span),
            }
        }
        *queue = left;
        taken
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_two_characters() {
        let Value::Text(text) = Value::from("é".repeat(VALUE_LIMIT)) else { panic!() };
        assert_eq!(text.len(), VALUE_LIMIT);
        let Value::Text(text) = Value::from(format!("x{}", "é".repeat(VALUE_LIMIT))) else { panic!() };
        assert_eq!(text.len(), VALUE_LIMIT - 1);
    }
}
