//! Notification heard of everything.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Check, Violation, of_all, of_orders, unless};
use crate::chaos::evidence::{Evidence, Message, Order};

pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    let mut heard: HashSet<(&str, &str, &str)> = HashSet::new();
    let mut bodies: HashMap<&str, &Value> = HashMap::new();
    let mut changed: HashSet<&str> = HashSet::new();
    for message in &evidence.notifications {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        heard.insert((text("order_id"), text("id"), text("type")));
        if bodies.insert(text("id"), message).is_some_and(|other| other != message) {
            changed.insert(text("id"));
        }
    }
    let written: HashSet<&str> =
        evidence.orders.iter().flat_map(|order| &order.messages).map(|message| &*message.id).collect();
    let messages =
        evidence.orders.iter().flat_map(|order| order.messages.iter().map(move |message| (order, message)));
    vec![
        of_all(
            "every message was delivered at least once",
            messages,
            |(order, message): (&Order, &Message)| {
                let delivered = heard.contains(&(&*order.id, &*message.id, &*message.kind));
                (!delivered).then(|| Violation {
                    order_id: Some(order.id.clone()),
                    key: Some(order.idempotency_key.clone()),
                    detail: format!("Notification never took {message:?}"),
                })
            },
        ),
        of_all("a message that comes again is the same", &evidence.notifications, |message| {
            let id = message["id"].as_str().unwrap_or_default();
            let good = written.contains(id) && !changed.contains(id);
            (!good).then(|| Violation {
                order_id: message["order_id"].as_str().map(str::to_owned),
                key: None,
                detail: format!("made up, or changed between two deliveries: {message}"),
            })
        }),
        of_orders("every change of status is told", &evidence.orders, told),
    ]
}

fn told(order: &Order) -> Option<String> {
    let steps = order.steps.iter().zip(order.steps.iter().skip(1));
    let changes: Vec<&str> =
        steps.filter(|(was, is)| was.status != is.status).map(|(_, is)| &*is.status).collect();
    for status in ["CONFIRMED", "CANCELLED", "FAILED", "REFUNDED"] {
        let times = changes.iter().filter(|change| **change == status).count();
        let kind = format!("ORDER_{status}");
        let messages = order.messages.iter().filter(|message| message.kind == kind).count();
        let wrong = messages < times || (status == "CONFIRMED" && messages > times);
        if let Some(detail) = unless(!wrong, || format!("{status} {times} times, told {messages} times")) {
            return Some(detail);
        }
    }
    None
}
