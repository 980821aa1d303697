//! The judge: looks at the evidence and knows nothing of how the service works, only what must be true of any that does.

mod answers;
mod messages;
mod money;
mod operators;
mod orders;
mod seats;

use super::evidence::{Evidence, Order};

/// One invariant, and what came of it.
#[derive(Debug)]
pub struct Check {
    /// What must be true.
    pub name: &'static str,
    /// Of how many orders, seats, messages, answers it was looked at.
    pub checked: usize,
    /// Where it is not true.
    pub violations: Vec<Violation>,
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The order, where there is one.
    pub order_id: Option<String>,
    /// Its idempotency key, where it is known.
    pub key: Option<String>,
    /// What is wrong.
    pub detail: String,
}

/// Checks every invariant, in the order of the table.
pub fn check(evidence: &Evidence) -> Vec<Check> {
    let mut all = Vec::new();
    all.extend(orders::checks(evidence));
    all.extend(money::checks(evidence));
    all.extend(seats::checks(evidence));
    all.extend(messages::checks(evidence));
    all.extend(answers::checks(evidence));
    all.extend(operators::checks(evidence));
    all
}

/// Looks at each order for what is wrong with it.
fn of_orders<'a>(
    name: &'static str,
    orders: impl IntoIterator<Item = &'a Order>,
    wrong: impl Fn(&Order) -> Option<String>,
) -> Check {
    of_all(name, orders, |order| {
        wrong(order).map(|detail| Violation {
            order_id: Some(order.id.clone()),
            key: Some(order.idempotency_key.clone()),
            detail,
        })
    })
}

/// Looks at each of something.
fn of_all<T>(
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

/// A violation where it is not true.
fn unless(is_true: bool, detail: impl FnOnce() -> String) -> Option<String> {
    (!is_true).then(detail)
}

#[cfg(test)]
mod tests;
