//! Response bodies of the control API.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::peers::answer::Answer;
use crate::peers::catalog::Event;
use crate::peers::events::TakenEvent;
use crate::peers::state::{Seat, SeatStatus, State};
use crate::peers::{callbacks, payment, seating};

/// One seat, as Seating shows it.
pub fn seat(state: &State, id: &str) -> Answer {
    match id.parse().ok().and_then(|id: i64| state.seats.get(&id)) {
        Some(seat) => Answer::json(200, &seating::shown(seat)),
        None => Answer::error(404, "no such seat"),
    }
}

/// All there is, but only those seats that are not free, because there may be very many others.
pub fn all(state: &State) -> Answer {
    #[derive(Serialize)]
    struct Shown<'a> {
        events: Vec<&'a Event>,
        seat_counts: Value,
        seats: Vec<Box<RawValue>>,
        payments: Vec<&'a payment::Payment>,
        callbacks: Vec<&'a callbacks::CallbackRecord>,
        notifications: Vec<&'a Value>,
        events_taken: Vec<&'a TakenEvent>,
        faults: Value,
        serialization_failures: u64,
    }
    let mut counts = std::collections::BTreeMap::<SeatStatus, usize>::new();
    for seat in state.seats.values() {
        *counts.entry(seat.status).or_default() += 1;
    }
    let mut seats: Vec<&Seat> =
        state.seats.values().filter(|seat| seat.status != SeatStatus::Available).collect();
    seats.sort_unstable_by_key(|seat| seat.id);
    Answer::json(
        200,
        &Shown {
            events: state.events.values().collect(),
            seat_counts: json!(counts),
            seats: seats.into_iter().map(seating::shown).collect(),
            payments: state.payments.values().collect(),
            callbacks: state.callbacks.iter().collect(),
            notifications: state.notifications.iter().collect(),
            events_taken: state.events_taken.iter().collect(),
            faults: json!(state.faults.list()),
            serialization_failures: state.transactions.failures,
        },
    )
}

/// The payments from number `from` on, in the order in which they were made, with the users who pay.
pub fn payments(state: &State, query: &str) -> Answer {
    let from = query.split('&').find_map(|pair| pair.strip_prefix("from=")?.parse::<usize>().ok());
    let ids = state.payment_order.iter().skip(from.unwrap_or(0));
    let payments = ids.filter_map(|id| state.payments.get(id));
    let shown = payments
        .map(|payment| json!({ "payment": payment, "user_id": state.user_of_order(&payment.order_id) }))
        .collect::<Vec<_>>();
    Answer::json(200, &json!({ "payments": shown }))
}

/// The recorded calls, filtered by `peer`, `call` and `order_id`; the counts are of all calls.
pub fn calls(state: &State, query: &str) -> Answer {
    let wanted = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let (peer, call, order) = (wanted("peer"), wanted("call"), wanted("order_id"));
    let named = |value: Value, wanted: Option<&str>| wanted.is_none_or(|wanted| value == wanted);
    let calls = state.calls.calls.iter().filter(|record| {
        named(json!(record.peer), peer)
            && named(json!(record.call), call)
            && order.is_none_or(|order| record.order_id.as_deref() == Some(order))
    });
    let name = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let counts = state.calls.counts.iter();
    let counts = counts.map(|((peer, call), n)| (name(json!(peer)) + "." + &name(json!(call)), json!(n)));
    Answer::json(
        200,
        &json!({ "counts": Value::Object(counts.collect()), "calls": calls.collect::<Vec<_>>() }),
    )
}
