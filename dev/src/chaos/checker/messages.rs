//! Invariants of messages: at-least-once delivery to Notification, with stable ids and bodies.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Check, Violation, check_each, check_orders, violated_unless};
use crate::chaos::snapshot::{Message, Order, Snapshot};

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let mut delivered_keys: HashSet<(&str, &str, &str)> = HashSet::new();
    let mut bodies: HashMap<&str, &Value> = HashMap::new();
    let mut changed: HashSet<&str> = HashSet::new();
    for message in &snapshot.notifications {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        delivered_keys.insert((text("order_id"), text("id"), text("type")));
        if bodies.insert(text("id"), message).is_some_and(|other| other != message) {
            changed.insert(text("id"));
        }
    }
    let written: HashSet<&str> =
        snapshot.orders.iter().flat_map(|order| &order.messages).map(|message| &*message.id).collect();
    let messages =
        snapshot.orders.iter().flat_map(|order| order.messages.iter().map(move |message| (order, message)));
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
