//! The spans of an order as trees, those of the peers included.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::records::{Records, attempt_of};
use crate::peers::record::RecordedCall;
use crate::peers::spans::Span;

/// What begins so long after its parent has ended is shown with a scale of its own.
const LATER_US: i64 = 1_000_000;

/// Spans that are shown on one scale of time.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Group {
    pub trace_id: String,
    /// The name of the span in another group below which this one is; `None`: it begins a trace, or its parent is somebody else's.
    pub below: Option<String>,
    /// Each with its depth, children behind their parents.
    pub spans: Vec<(usize, Span)>,
}

impl Group {
    /// When its first span began and its last one ended, in microseconds since 1970.
    pub fn times(&self) -> (i64, i64) {
        let begun = self.spans.iter().map(|(_, span)| span.begun_us).min();
        let ended = self.spans.iter().map(|(_, span)| span.ended_us).max();
        (begun.unwrap_or_default(), ended.unwrap_or_default())
    }
}

/// The trees, by their begin.
pub(super) fn groups(records: &Records) -> Vec<Group> {
    let mut spans: Vec<Span> = records.spans.iter().map(|span| (**span).clone()).collect();
    spans.extend(records.calls.iter().filter_map(of_peer));
    spans.sort_by_key(|span| (span.begun_us, -span.ended_us));
    let ids: HashSet<(&str, &str)> = spans.iter().map(Span::key).collect();
    let mut children: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let parent = (&*span.trace_id, &*span.parent_span_id);
        match ids.contains(&parent) {
            true => children.entry(parent).or_default().push(index),
            false => roots.push(index),
        }
    }
    let mut seen = vec![false; spans.len()];
    let mut groups = Vec::new();
    // Those that nothing leads to are in a circle, and begin at any of them.
    for root in roots.into_iter().chain(0..spans.len()) {
        let mut begins = vec![(root, None)];
        while let Some((first, below)) = begins.pop() {
            let mut group = Group { trace_id: spans[first].trace_id.clone(), below, spans: Vec::new() };
            let mut next = vec![(0, first)];
            while let Some((depth, index)) = next.pop() {
                if std::mem::replace(&mut seen[index], true) {
                    continue;
                }
                let span = &spans[index];
                group.spans.push((depth, span.clone()));
                for &child in children.get(&span.key()).into_iter().flatten().rev() {
                    match spans[child].begun_us > span.ended_us + LATER_US {
                        true => begins.push((child, Some(span.name.clone()))),
                        false => next.push((depth + 1, child)),
                    }
                }
            }
            if !group.spans.is_empty() {
                groups.push(group);
            }
        }
    }
    groups.sort_by_key(|group| group.times());
    groups
}

/// The peer's own span of a call, which it does not export.
fn of_peer(call: &RecordedCall) -> Option<Span> {
    let (trace_id, parent_span_id) = attempt_of(call)?;
    let name = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let (begun_us, ended_us) = call.precise;
    let mut span = Span {
        service: name(json!(call.peer)),
        trace_id,
        span_id: call.trace.as_ref()?.span_id.clone(),
        parent_span_id,
        name: name(json!(call.call)),
        kind: "SPAN_KIND_SERVER".to_owned(),
        begun_us,
        ended_us: ended_us.unwrap_or(begun_us).max(begun_us),
        has_failed: call.closed || call.status.is_some_and(|status| status >= 500),
        ..Span::default()
    };
    span.attributes.extend(call.status.map(|status| ("http.response.status_code".to_owned(), json!(status))));
    Some(span)
}
