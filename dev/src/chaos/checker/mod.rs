//! The invariant checker. It is black box: it knows what must be true of the final state, not how the service gets there.

mod answers;
mod cancelled_events;
mod events;
mod messages;
mod money;
mod operators;
mod orders;
mod seats;

use super::snapshot::{Order, Snapshot};

/// The result of one invariant.
#[derive(Debug)]
pub struct Check {
    /// The invariant, in words.
    pub name: &'static str,
    /// How many orders, seats, messages, events or responses were checked.
    pub checked: usize,
    /// The counterexamples.
    pub violations: Vec<Violation>,
}

/// A counterexample of an invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The order, where there is one.
    pub order_id: Option<String>,
    /// Its idempotency key, where it is known.
    pub key: Option<String>,
    /// What is wrong.
    pub detail: String,
}

/// Checks every invariant, in the order of the report.
pub fn check(snapshot: &Snapshot) -> Vec<Check> {
    let mut all = Vec::new();
    all.extend(orders::checks(snapshot));
    all.extend(money::checks(snapshot));
    all.extend(seats::checks(snapshot));
    all.extend(cancelled_events::checks(snapshot));
    all.extend(messages::checks(snapshot));
    all.extend(events::checks(snapshot));
    all.extend(answers::checks(snapshot));
    all.extend(operators::checks(snapshot));
    all
}

/// Checks an invariant of single orders; `wrong` describes a violation.
fn check_orders<'a>(
    name: &'static str,
    orders: impl IntoIterator<Item = &'a Order>,
    wrong: impl Fn(&Order) -> Option<String>,
) -> Check {
    check_each(name, orders, |order| {
        wrong(order).map(|detail| Violation {
            order_id: Some(order.id.clone()),
            key: Some(order.idempotency_key.clone()),
            detail,
        })
    })
}

/// Checks an invariant of each item; `wrong` returns a violation.
fn check_each<T>(
    name: &'static str,
    all: impl IntoIterator<Item = T>,
    mut wrong: impl FnMut(T) -> Option<Violation>,
) -> Check {
    let mut check = Check { name, checked: 0, violations: Vec::new() };
    for one in all {
        check.checked += 1;
        check.violations.extend(wrong(one));
    }
    check
}

/// Describes a violation unless the condition is true.
fn violated_unless(is_true: bool, detail: impl FnOnce() -> String) -> Option<String> {
    (!is_true).then(detail)
}

#[cfg(test)]
mod tests;
