//! What users and Payment were told, and whether it was true and stays true.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Check, Violation, of_all};
use crate::chaos::evidence::{Evidence, Order};
use crate::chaos::log::{Answer, Asked, Exchange};

pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    let by_id: HashMap<&str, &Order> = evidence.orders.iter().map(|order| (&*order.id, order)).collect();
    let of = |id: &Option<String>| id.as_deref().and_then(|id| by_id.get(id)).copied();
    let answered: Vec<(&Exchange, &Answer)> =
        evidence.exchanges.iter().filter_map(|one| Some((one, one.answer.as_ref().ok()?))).collect();
    let naming = || answered.iter().filter(|(_, answer)| answer.order_id.is_some());
    let confirmed = answered.iter().filter(|(_, answer)| answer.says("CONFIRMED"));
    let cancelled =
        answered.iter().filter(|(one, answer)| one.asked == Asked::Cancel && answer.status == 200);

    let mut by_key: BTreeMap<&str, Vec<(&Exchange, &Answer)>> = BTreeMap::new();
    for (exchange, answer) in naming() {
        by_key.entry(&exchange.key).or_default().push((exchange, answer));
    }
    vec![
        of_all("every answer is one that the contract has", &answered, |(exchange, answer)| {
            (!is_legal(exchange.asked, answer)).then(|| about(exchange, answer, "not in the contract"))
        }),
        of_all("every order that was acknowledged exists", naming(), |(exchange, answer)| {
            let exists = of(&answer.order_id).is_some_and(|order| order.idempotency_key == exchange.key);
            (!exists).then(|| about(exchange, answer, "there is no such order"))
        }),
        of_all("one key, one order", &by_key, |(_, answers)| {
            let ids: BTreeSet<&str> =
                answers.iter().filter_map(|(_, answer)| answer.order_id.as_deref()).collect();
            (ids.len() > 1)
                .then(|| about(answers[0].0, answers[0].1, &format!("one key, several orders: {ids:?}")))
        }),
        of_all("a confirmation holds", confirmed, |(exchange, answer)| {
            let order = of(&answer.order_id)?;
            let holds = ["CONFIRMED", "REFUNDED"].contains(&&*order.status);
            (!holds).then(|| about(exchange, answer, &format!("now the order is {}", order.status)))
        }),
        of_all("a cancellation holds", cancelled, |(exchange, answer)| {
            let order = of(&answer.order_id)?;
            let holds = order.status == "CANCELLED" && answer.says("CANCELLED");
            (!holds).then(|| about(exchange, answer, &format!("now the order is {}", order.status)))
        }),
        of_all("what users see never goes back", &by_key, |(_, answers)| goes_back(answers)),
        of_all("every callback is answered as the contract has it", &evidence.callbacks, |callback| {
            let legal = matches!(callback.status, None | Some(200 | 503));
            (!legal).then(|| Violation {
                order_id: callback.sent["order_id"].as_str().map(str::to_owned),
                key: None,
                detail: format!("{callback:?}"),
            })
        }),
    ]
}

fn is_legal(asked: Asked, answer: &Answer) -> bool {
    let code = answer.code.as_deref();
    match (asked, answer.status) {
        (_, 503) => {
            code == Some("database_unavailable")
                || (asked == Asked::Place && code == Some("peer_unavailable"))
        }
        (Asked::Place, 201 | 202) => answer.order_status.is_some(),
        (Asked::Place, 402) => code == Some("payment_declined"),
        (Asked::Place, 409) => matches!(code, Some("seats_unavailable" | "event_not_on_sale")),
        (Asked::Place, 422) => code == Some("seat_not_found"),
        (Asked::Read, 200) => answer.order_status.is_some(),
        (Asked::Cancel, 200) => answer.order_status.is_some(),
        (Asked::Cancel, 409) => code == Some("order_not_cancellable"),
        (Asked::Refund, 200 | 202) => answer.order_status.is_some(),
        (Asked::Refund, 409) => code == Some("order_not_refundable"),
        _ => false,
    }
}

/// An answer that says less than one that had come before it was asked for.
fn goes_back(answers: &[(&Exchange, &Answer)]) -> Option<Violation> {
    let rank = |answer: &Answer| match answer.order_status.as_deref() {
        Some("PENDING") => Some(0),
        // What expired may yet be paid, and then be confirmed.
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
        detail: format!("{what}: {:?} at {} ms was answered with {answer:?}", exchange.asked, exchange.at_ms),
    }
}
