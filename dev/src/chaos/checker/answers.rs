//! Invariants of responses: to clients and to Payment's callbacks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use super::{Check, Violation, check_each};
use crate::chaos::request_log::{Answer, Exchange, Operation};
use crate::chaos::snapshot::{Order, Snapshot};

/// When half a body is given up: after ten seconds, and whatever a busy machine adds.
const BODY_TIMEOUT_MS: RangeInclusive<u64> = 9_500..=20_000;

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let by_id: HashMap<&str, &Order> = snapshot.orders.iter().map(|order| (&*order.id, order)).collect();
    let of = |id: &Option<String>| id.as_deref().and_then(|id| by_id.get(id)).copied();
    let answered: Vec<(&Exchange, &Answer)> =
        snapshot.exchanges.iter().filter_map(|one| Some((one, one.answer.as_ref().ok()?))).collect();
    let naming = || answered.iter().filter(|(_, answer)| answer.order_id.is_some());
    let confirmed = answered.iter().filter(|(_, answer)| answer.says("CONFIRMED"));
    let cancelled =
        answered.iter().filter(|(one, answer)| one.operation == Operation::Cancel && answer.status == 200);

    let half_sent = snapshot.exchanges.iter().filter(|one| one.operation == Operation::PlaceHalf);

    let mut by_key: BTreeMap<&str, Vec<(&Exchange, &Answer)>> = BTreeMap::new();
    for (exchange, answer) in naming() {
        by_key.entry(&exchange.key).or_default().push((exchange, answer));
    }
    vec![
        check_each("every answer is one that the contract has", &answered, |(exchange, answer)| {
            (!is_legal(exchange.operation, answer)).then(|| about(exchange, answer, "not in the contract"))
        }),
        check_each("every order that was acknowledged exists", naming(), |(exchange, answer)| {
            let exists = of(&answer.order_id).is_some_and(|order| order.idempotency_key == exchange.key);
            (!exists).then(|| about(exchange, answer, "there is no such order"))
        }),
        check_each("one key, one order", &by_key, |(_, answers)| {
            let ids: BTreeSet<&str> =
                answers.iter().filter_map(|(_, answer)| answer.order_id.as_deref()).collect();
            (ids.len() > 1)
                .then(|| about(answers[0].0, answers[0].1, &format!("one key, several orders: {ids:?}")))
        }),
        check_each("a confirmation holds", confirmed, |(exchange, answer)| {
            let order = of(&answer.order_id)?;
            let holds = ["CONFIRMED", "REFUNDED"].contains(&&*order.status);
            (!holds).then(|| about(exchange, answer, &format!("now the order is {}", order.status)))
        }),
        check_each("a cancellation holds", cancelled, |(exchange, answer)| {
            let order = of(&answer.order_id)?;
            let holds = order.status == "CANCELLED" && answer.says("CANCELLED");
            (!holds).then(|| about(exchange, answer, &format!("now the order is {}", order.status)))
        }),
        check_each("what users see never goes back", &by_key, |(_, answers)| status_regression(answers)),
        check_each("half a body is a request timeout, in time", half_sent, |exchange| {
            let timed_out = exchange.answer.as_ref().is_ok_and(|answer| answer.status == 408);
            let is_right = timed_out && BODY_TIMEOUT_MS.contains(&exchange.took_ms);
            (!is_right).then(|| Violation {
                order_id: None,
                key: Some(exchange.key.clone()),
                detail: format!("after {} ms it was answered with {:?}", exchange.took_ms, exchange.answer),
            })
        }),
        check_each("every callback is answered as the contract has it", &snapshot.callbacks, |callback| {
            let legal = matches!(callback.status, None | Some(200 | 503));
            (!legal).then(|| Violation {
                order_id: callback.sent["order_id"].as_str().map(str::to_owned),
                key: None,
                detail: format!("{callback:?}"),
            })
        }),
    ]
}

fn is_legal(operation: Operation, answer: &Answer) -> bool {
    let code = answer.code.as_deref();
    match (operation, answer.status) {
        (_, 503) => {
            code == Some("database_unavailable") || (operation.places() && code == Some("peer_unavailable"))
        }
        (Operation::PlaceSlowly | Operation::PlaceHalf, 408) => code == Some("request_timeout"),
        (Operation::PlaceSlowly, _) => is_legal(Operation::Place, answer),
        (Operation::Place, 201 | 202) => answer.order_status.is_some(),
        (Operation::Place, 402) => code == Some("payment_declined"),
        (Operation::Place, 409) => matches!(code, Some("seats_unavailable" | "event_not_on_sale")),
        (Operation::Place, 422) => code == Some("seat_not_found"),
        (Operation::Read, 200) => answer.order_status.is_some(),
        (Operation::Cancel, 200) => answer.order_status.is_some(),
        (Operation::Cancel, 409) => code == Some("order_not_cancellable"),
        (Operation::Refund, 200 | 202) => answer.order_status.is_some(),
        (Operation::Refund, 409) => code == Some("order_not_refundable"),
        _ => false,
    }
}

/// An answer that says less than one that had come before it was operation for.
fn status_regression(answers: &[(&Exchange, &Answer)]) -> Option<Violation> {
    let rank = |answer: &Answer| match answer.order_status.as_deref() {
        Some("PENDING") => Some(0),
        // An expired order may be paid late, and then be confirmed.
        Some("CANCELLED") => Some(1),
        Some("CONFIRMED" | "FAILED") => Some(2),
        Some("REFUNDED") => Some(3),
        _ => None,
    };
    for (later, said) in answers {
        let now = rank(said)?;
        let mut before = answers.iter().filter(|(one, _)| one.at_ms + one.took_ms < later.at_ms);
        if let Some((_, other)) = before.find(|(_, other)| rank(other) > Some(now)) {
            return Some(about(later, said, &format!("before, it was {:?}", other.order_status)));
        }
    }
    None
}

fn about(exchange: &Exchange, answer: &Answer, what: &str) -> Violation {
    Violation {
        order_id: answer.order_id.clone(),
        key: Some(exchange.key.clone()),
        detail: format!(
            "{what}: {:?} at {} ms was answered with {answer:?}",
            exchange.operation, exchange.at_ms
        ),
    }
}
