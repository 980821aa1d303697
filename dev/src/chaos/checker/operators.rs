//! Invariants of what operators see: stuck work, gauges, panics.

use super::{Check, Violation, check_each};
use crate::chaos::snapshot::Snapshot;

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let lists = snapshot.stuck.iter().flat_map(|stuck| {
        ["orders", "messages"].into_iter().map(|name| (name, stuck[name].as_array().cloned()))
    });
    vec![
        check_each("no order and no message is stuck", lists, |(name, list)| {
            let first = match list {
                Some(list) => list.into_iter().next()?,
                None => return Some(without_order(format!("/internal/stuck has no list of {name}"))),
            };
            let order_id = first["order_id"].as_str().map(str::to_owned);
            Some(Violation { order_id, key: None, detail: format!("/internal/stuck shows {first}") })
        }),
        check_each("the gauges of violations are at zero", &snapshot.gauges, |(labels, value)| {
            (*value != 0.0).then(|| without_order(format!("{labels} is at {value}")))
        }),
        check_each("the component never panicked", [&snapshot.panics], |panics| {
            let shown: String = panics.chars().take(2_000).collect();
            (!panics.is_empty()).then(|| without_order(shown))
        }),
    ]
}

fn without_order(detail: String) -> Violation {
    Violation { order_id: None, key: None, detail }
}
