//! Invariants of messages: at-least-once delivery to Notification, with stable ids and bodies, those of one order in its order.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Check, Violation, check_each, check_orders, violated_unless};
use crate::chaos::snapshot::{Message, Order, Snapshot};

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let mut delivered_keys: HashSet<(&str, &str, &str)> = HashSet::new();
    let mut bodies: HashMap<&str, &Value> = HashMap::new();
    let mut changed: HashSet<&str> = HashSet::new();
    let mut arrivals: HashMap<&str, Vec<&Value>> = HashMap::new();
    for message in &snapshot.notifications {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        delivered_keys.insert((text("order_id"), text("id"), text("type")));
        arrivals.entry(text("order_id")).or_default().push(message);
        if bodies.insert(text("id"), message).is_some_and(|other| other != message) {
            changed.insert(text("id"));
        }
    }
    let written: HashSet<&str> =
        snapshot.orders.iter().flat_map(|order| &order.messages).map(|message| &*message.id).collect();
    let messages =
        snapshot.orders.iter().flat_map(|order| order.messages.iter().map(move |message| (order, message)));
    let told_of = snapshot.orders.iter().filter(|order| arrivals.contains_key(&*order.id));
    vec![
        check_each(
            "every message was delivered at least once",
            messages,
            |(order, message): (&Order, &Message)| {
                let delivered = delivered_keys.contains(&(&*order.id, &*message.id, &*message.kind));
                (!delivered).then(|| Violation {
                    order_id: Some(order.id.clone()),
                    key: Some(order.idempotency_key.clone()),
                    detail: format!("Notification never took {message:?}"),
                })
            },
        ),
        check_each("a message that comes again is the same", &snapshot.notifications, |message| {
            let id = message["id"].as_str().unwrap_or_default();
            let good = written.contains(id) && !changed.contains(id);
            (!good).then(|| Violation {
                order_id: message["order_id"].as_str().map(str::to_owned),
                key: None,
                detail: format!("made up, or changed between two deliveries: {message}"),
            })
        }),
        check_orders("every change of status is told", &snapshot.orders, every_change_has_a_message),
        check_orders("the messages of one order arrive in its order", told_of, |order| {
            let dead = order.outbox.iter().filter(|message| message.dead).map(|message| &*message.id);
            inversion(&arrivals[&*order.id], &dead.collect())
        }),
    ]
}

fn every_change_has_a_message(order: &Order) -> Option<String> {
    let transitions = order.transitions.iter().zip(order.transitions.iter().skip(1));
    let changes: Vec<&str> =
        transitions.filter(|(was, is)| was.status != is.status).map(|(_, is)| &*is.status).collect();
    for status in ["CONFIRMED", "CANCELLED", "FAILED", "REFUNDED"] {
        let times = changes.iter().filter(|change| **change == status).count();
        let kind = format!("ORDER_{status}");
        let messages = order.messages.iter().filter(|message| message.kind == kind).count();
        let wrong = messages < times || (status == "CONFIRMED" && messages > times);
        if let Some(detail) =
            violated_unless(!wrong, || format!("{status} {times} times, told {messages} times"))
        {
            return Some(detail);
        }
    }
    None
}

/// What is wrong with the order in which the messages of one order arrived for the first time: it must be that of their `sequence`.
/// A message that comes again proves nothing, and the messages behind a dead letter do not wait for it.
fn inversion(arrivals: &[&Value], dead: &HashSet<&str>) -> Option<String> {
    let mut arrived: HashSet<&str> = HashSet::new();
    let mut latest: Option<(i64, &str)> = None;
    for message in arrivals {
        let id = message["id"].as_str().unwrap_or_default();
        if dead.contains(id) || !arrived.insert(id) {
            continue;
        }
        let Some(sequence) = message["sequence"].as_i64() else {
            return Some(format!("it has no sequence: {message}"));
        };
        if let Some((before, other)) = latest.filter(|(before, _)| *before >= sequence) {
            return Some(format!("{id} with sequence {sequence} came after {other} with sequence {before}"));
        }
        latest = Some((sequence, id));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The verdict on arrivals with these sequences, whose ids are made from them, while those with the sequences `dead` are dead.
    fn judged(sequences: &[i64], dead: &[i64]) -> Option<String> {
        let id = |sequence: &i64| format!("message-{sequence}");
        let messages: Vec<Value> =
            sequences.iter().map(|sequence| json!({ "id": id(sequence), "sequence": sequence })).collect();
        let dead: Vec<String> = dead.iter().map(id).collect();
        inversion(&messages.iter().collect::<Vec<_>>(), &dead.iter().map(String::as_str).collect())
    }

    #[test]
    fn a_message_that_arrives_before_an_older_one_is_an_inversion() {
        assert_eq!(judged(&[4, 6, 9], &[]), None);
        let wrong = judged(&[4, 9, 6], &[]);
        assert_eq!(wrong.as_deref(), Some("message-6 with sequence 6 came after message-9 with sequence 9"));
        assert!(judged(&[6, 4, 6], &[]).is_some(), "its repetition is no first arrival");
    }

    #[test]
    fn a_repeated_delivery_and_a_dead_letter_are_no_inversions() {
        assert_eq!(judged(&[4, 4, 6, 4, 6, 9], &[]), None);
        assert_eq!(judged(&[6, 4, 9], &[4]), None);
        assert!(judged(&[6, 4, 9], &[9]).is_some());
    }

    #[test]
    fn a_message_has_a_sequence() {
        let bare = json!({ "id": "message" });
        assert!(inversion(&[&bare], &HashSet::new()).is_some());
        let (first, second) = (json!({ "id": "a", "sequence": 4 }), json!({ "id": "b", "sequence": 4 }));
        assert!(inversion(&[&first, &second], &HashSet::new()).is_some(), "no two of an order have the same");
    }
}
