//! What those who run the service see.

use super::{Check, Violation, of_all};
use crate::chaos::evidence::Evidence;

pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    let lists = evidence.stuck.iter().flat_map(|stuck| {
        ["orders", "messages"].into_iter().map(|name| (name, stuck[name].as_array().cloned()))
    });
    vec![
        of_all("no order and no message is stuck", lists, |(name, list)| {
            let first = match list {
                Some(list) => list.into_iter().next()?,
                None => return Some(nobody(format!("/internal/stuck has no list of {name}"))),
            };
            let order_id = first["order_id"].as_str().map(str::to_owned);
            Some(Violation { order_id, key: None, detail: format!("/internal/stuck shows {first}") })
        }),
        of_all("the gauges of violations are at zero", &evidence.gauges, |(labels, value)| {
            (*value != 0.0).then(|| nobody(format!("{labels} is at {value}")))
        }),
        of_all("the component never panicked", [&evidence.panics], |panics| {
            let shown: String = panics.chars().take(2_000).collect();
            (!panics.is_empty()).then(|| nobody(shown))
        }),
    ]
}

fn nobody(detail: String) -> Violation {
    Violation { order_id: None, key: None, detail }
}
