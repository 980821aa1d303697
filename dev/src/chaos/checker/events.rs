//! Invariants of events for other systems: at-least-once delivery to the sink, those of an order in its order and without gaps, each the
//! same whenever it comes, and all together what happened to the order.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::{Check, Violation, check_each, check_orders, violated_unless};
use crate::chaos::snapshot::{Order, Snapshot};
use crate::chaos::testbed::WEBHOOK_SECRET;
use crate::chaos::{tracing, webhook};
use crate::peers::TakenEvent;

/// The attributes that the feed has, too.
const ATTRIBUTES: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "partitionkey", "sequence", "traceparent"];

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let mut arrivals: HashMap<&str, Vec<&Value>> = HashMap::new();
    let mut first_by_id: HashMap<&str, &TakenEvent> = HashMap::new();
    let mut feed: HashMap<&str, Vec<&Value>> = HashMap::new();
    for taken in &snapshot.events {
        arrivals.entry(text(&taken.event, "subject")).or_default().push(&taken.event);
        first_by_id.entry(text(&taken.event, "id")).or_insert(taken);
    }
    for event in &snapshot.feed {
        feed.entry(text(event, "subject")).or_default().push(event);
    }
    let by_id: HashMap<&str, &Order> = snapshot.orders.iter().map(|order| (&*order.id, order)).collect();
    let arrived = |order: &Order| arrivals.get(&*order.id).map_or(&[][..], Vec::as_slice);
    let told_of = || snapshot.orders.iter().filter(|order| !arrived(order).is_empty());
    // What an older version does makes no events, and has no trace.
    let whole = || told_of().filter(|_| !snapshot.some_send_no_events);
    let traced = snapshot.events.iter().filter(|_| !snapshot.some_send_no_events);
    let owner = |event: &Value| by_id.get(text(event, "subject")).copied();
    vec![
        check_orders("every event of every order arrived at the sink", &snapshot.orders, |order| {
            missing(order, arrived(order))
        }),
        check_orders("the events of one order arrive in its order, without gaps", told_of(), |order| {
            overtaking(arrived(order))
        }),
        check_each("an event that comes again is the same", &snapshot.events, |taken| {
            let first = first_by_id[text(&taken.event, "id")];
            let same = first.event == taken.event && first.body == taken.body;
            (!same).then(|| about(owner(&taken.event), taken, &format!("before, it was {}", first.event)))
        }),
        check_each("every event is about an order that exists", &snapshot.events, |taken| {
            let order = owner(&taken.event);
            let wrong = order.is_none() || taken.event["partitionkey"] != taken.event["subject"];
            wrong.then(|| about(order, taken, "of no order"))
        }),
        check_each("every event is signed", &snapshot.events, |taken| {
            (!is_signed(taken))
                .then(|| about(owner(&taken.event), taken, &format!("its headers are {:?}", taken.webhook)))
        }),
        check_each("every event belongs to the trace of its order", traced, |taken| {
            let trace = text(&taken.event, "traceparent").split('-').nth(1);
            let order = owner(&taken.event)?;
            let same = trace == Some(&tracing::trace_id(&order.idempotency_key));
            (!same).then(|| about(Some(order), taken, "of another trace"))
        }),
        check_orders("the events of an order tell its history", whole(), |order| {
            other_history(order, arrived(order))
        }),
        check_orders("the data of events agree with the order", told_of(), |order| {
            once_each(arrived(order)).values().find_map(|event| other_data(order, event))
        }),
        check_orders("the feed lists the same events, each once and in order", told_of(), |order| {
            other_feed(arrived(order), feed.get(&*order.id).map_or(&[][..], Vec::as_slice))
        }),
        check_orders("no event waits, and none is a dead letter", told_of(), left_over),
        check_each("no sink of events is off or paused", &snapshot.sinks, |sink| {
            let rests = sink.off_at.is_some() || sink.paused_until.is_some();
            rests.then(|| Violation { order_id: None, key: None, detail: format!("{sink:?}") })
        }),
    ]
}

/// The numbers of the events that the journal has made, with their types.
fn journal(order: &Order) -> BTreeMap<i64, String> {
    let mut numbers = BTreeMap::new();
    for entry in &order.journal {
        for (number, event) in (entry.sequence.unwrap_or_default()..).zip(entry.events.iter().flatten()) {
            numbers.insert(number, format!("{}.v1", text(event, "type")));
        }
    }
    numbers
}

fn missing(order: &Order, arrived: &[&Value]) -> Option<String> {
    let made = journal(order);
    let taken: BTreeMap<i64, &str> =
        arrived.iter().filter_map(|event| Some((number(event)?, text(event, "type")))).collect();
    let lost = made.iter().find(|(number, kind)| taken.get(number) != Some(&&***kind));
    if let Some((number, kind)) = lost {
        return Some(format!("number {number}, {kind}, of {made:?} never arrived; {taken:?} did"));
    }
    let made_up = taken.keys().find(|number| !made.contains_key(number));
    made_up.map(|number| format!("number {number} arrived, and was never made: {made:?}"))
}

/// What is wrong with the order in which events of one order arrived for the first time.
fn overtaking(arrived: &[&Value]) -> Option<String> {
    let mut next = 1;
    for event in arrived {
        match number(event) {
            None => return Some(format!("no number of ten digits: {event}")),
            Some(number) if number > next => {
                return Some(format!("number {number} arrived before number {next}"));
            }
            Some(number) if number == next => next += 1,
            Some(_) => {}
        }
    }
    None
}

/// Each event once, by its number.
fn once_each<'a>(arrived: &[&'a Value]) -> BTreeMap<i64, &'a Value> {
    arrived.iter().rev().filter_map(|event| Some((number(event)?, *event))).collect()
}

fn other_history(order: &Order, arrived: &[&Value]) -> Option<String> {
    let once = once_each(arrived);
    let told: Vec<&str> = once.values().map(|event| text(event, "type")).collect();
    let mut happened = vec!["order.placed.v1".to_owned()];
    for (was, is) in order.transitions.iter().zip(order.transitions.iter().skip(1)) {
        if was.status != is.status {
            happened.push(format!("order.{}.v1", is.status.to_lowercase()));
        }
        if was.status != is.status && is.status == "CONFIRMED" {
            happened.extend(order.tickets.iter().map(|_| "ticket.issued.v1".to_owned()));
        }
    }
    // When tickets were voided within it, the states do not say.
    let without_void: Vec<&str> = told.iter().filter(|kind| **kind != "ticket.voided.v1").copied().collect();
    let void = order.tickets.iter().filter(|ticket| ticket.void).count();
    let is_right = without_void == happened && told.len() - without_void.len() == void;
    violated_unless(is_right, || format!("{told:?} was told; {happened:?} happened, {void} tickets are void"))
}

fn other_data(order: &Order, event: &Value) -> Option<String> {
    let (data, kind) = (&event["data"], text(event, "type"));
    let mut expected = vec![
        ("order_id", json!(order.id)),
        ("user_id", json!(order.user_id)),
        ("event_id", json!(order.event_id)),
        ("currency", json!(order.currency)),
        ("seats", json!(order.sorted_seats())),
    ];
    // The amounts of an order do not change once they are known.
    if data.get("total_cents").is_some() || kind == "order.confirmed.v1" {
        expected.extend([
            ("subtotal_cents", json!(order.subtotal_cents)),
            ("tax_cents", json!(order.tax_cents)),
            ("total_cents", json!(order.total_cents)),
        ]);
    }
    if kind == "order.confirmed.v1" && order.status == "CONFIRMED" {
        expected.push(("payment_id", json!(order.payment_id)));
    }
    if kind.starts_with("ticket.") {
        let seat = data["seat_id"].as_i64();
        let ticket = order.tickets.iter().find(|ticket| Some(ticket.seat_id) == seat);
        expected.push(("ticket_code", json!(ticket.map(|ticket| &ticket.ticket_code))));
        if kind == "ticket.voided.v1" && ticket.is_some_and(|ticket| !ticket.void) {
            return Some(format!("a valid ticket was told to be void: {event}"));
        }
    }
    if kind == "order.failed.v1" {
        expected.push(("failure", json!({ "code": order.failure_code })));
    }
    // Of an object what is expected.
    let is = |found: &Value, expected: &Value| match expected.as_object() {
        Some(members) => members.iter().all(|(name, value)| found[name] == *value),
        None => found == expected,
    };
    let wrong = expected.iter().find(|(name, value)| !is(&data[*name], value));
    wrong.map(|(name, value)| format!("{name} must be {value}: {event}"))
}

fn other_feed(arrived: &[&Value], listed: &[&Value]) -> Option<String> {
    let once = once_each(arrived);
    let numbers: Vec<Option<i64>> = listed.iter().map(|event| number(event)).collect();
    let expected: Vec<Option<i64>> = once.keys().copied().map(Some).collect();
    if numbers != expected {
        return Some(format!("{numbers:?} are listed, {expected:?} arrived"));
    }
    let differ = |(listed, sent): &(&&Value, &&Value)| {
        listed["data"] != sent["data"] || ATTRIBUTES.iter().any(|name| listed[*name] != sent[*name])
    };
    let other = listed.iter().zip(once.values()).find(differ);
    other.map(|(listed, sent)| format!("{listed} is listed, {sent} arrived"))
}

fn left_over(order: &Order) -> Option<String> {
    let at_rest = |waiting: &&crate::chaos::snapshot::Delivery| {
        waiting.next == waiting.last + 1 && waiting.due_at.is_none() && waiting.dead_at.is_none()
    };
    let waiting = order.deliveries.iter().find(|delivery| !at_rest(delivery));
    waiting.map(|delivery| format!("{delivery:?}"))
}

fn is_signed(taken: &TakenEvent) -> bool {
    let header = |name: &str| taken.webhook.get(name).map(String::as_str).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    id == text(&taken.event, "id")
        && header("webhook-signature") == webhook::signature(WEBHOOK_SECRET, id, timestamp, &taken.body)
}

/// The number of an event within its order, of ten digits.
fn number(event: &Value) -> Option<i64> {
    let digits = text(event, "sequence");
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_default()
}

fn about(order: Option<&Order>, taken: &TakenEvent, what: &str) -> Violation {
    Violation {
        order_id: Some(text(&taken.event, "subject").to_owned()),
        key: order.map(|order| order.idempotency_key.clone()),
        detail: format!("{what}: {}", taken.event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on arrivals with these numbers.
    fn judged(numbers: &[i64]) -> Option<String> {
        let events: Vec<Value> =
            numbers.iter().map(|number| json!({ "sequence": format!("{number:010}") })).collect();
        overtaking(&events.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_later_event_never_arrives_before_an_earlier_one_and_repeats_prove_nothing() {
        assert_eq!(judged(&[1, 1, 2, 1, 2, 3]), None);
        assert_eq!(judged(&[1, 3, 2]).as_deref(), Some("number 3 arrived before number 2"));
        assert!(judged(&[2, 1, 2]).is_some(), "its repetition is no first arrival");
        assert!(judged(&[2]).is_some(), "they begin with 1");
    }

    #[test]
    fn a_number_has_ten_digits() {
        for wrong in [json!({}), json!({ "sequence": 1 }), json!({ "sequence": "1" })] {
            assert!(overtaking(&[&wrong]).is_some(), "{wrong}");
        }
    }
}
