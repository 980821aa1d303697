//! Invariants of seats: tickets, claims and Seating's allocations agree.

use std::collections::HashMap;

use super::{Check, Violation, check_each, check_orders, violated_unless};
use crate::chaos::snapshot::{Order, Snapshot};
use crate::peers::SeatStatus;

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let mut owners: HashMap<i64, Vec<&Order>> = HashMap::new();
    let mut codes: HashMap<&str, usize> = HashMap::new();
    for order in &snapshot.orders {
        for seat in order.valid_seats() {
            owners.entry(seat).or_default().push(order);
        }
        for ticket in &order.tickets {
            *codes.entry(&ticket.ticket_code).or_default() += 1;
        }
    }
    let by_id: HashMap<&str, &Order> = snapshot.orders.iter().map(|order| (&*order.id, order)).collect();
    let allocated = snapshot.seats.iter().filter(|(_, seat)| seat.status == SeatStatus::Allocated);
    let sold = snapshot.orders.iter().filter(|order| !order.valid_seats().is_empty());
    vec![
        check_each("no seat is sold twice", &owners, |(seat, orders)| {
            let twice = orders.len() > 1;
            let ids: Vec<&str> = orders.iter().map(|order| &*order.id).collect();
            twice.then(|| violation(orders[0], format!("seat {seat} has valid tickets of {ids:?}")))
        }),
        check_orders("no ticket code is used twice", &snapshot.orders, |order| {
            let twice = order.tickets.iter().find(|ticket| codes[&*ticket.ticket_code] > 1);
            twice.map(|ticket| format!("{} is not the only {}", ticket.seat_id, ticket.ticket_code))
        }),
        check_orders("tickets, claims and Seating's allocations agree", sold, |order| agree(order, snapshot)),
        check_each("no seat is allocated to an order that is not confirmed", allocated, |(seat, known)| {
            let id = known.order_id.as_deref().unwrap_or_default();
            let order = by_id.get(id);
            let good =
                order.is_some_and(|order| order.status == "CONFIRMED" && order.valid_seats().contains(seat));
            let status = order.map(|order| &order.status);
            (!good).then(|| Violation {
                order_id: Some(id.to_owned()),
                key: order.map(|order| order.idempotency_key.clone()),
                detail: format!("Seating has given it seat {seat}; it is {status:?}"),
            })
        }),
        check_orders("live orders claim their seats, dead ones none", &snapshot.orders, claims),
    ]
}

fn agree(order: &Order, snapshot: &Snapshot) -> Option<String> {
    let valid = order.valid_seats();
    if order.claims != valid {
        return Some(format!("valid tickets for {valid:?}, claims on {:?}", order.claims));
    }
    let wrong = valid.iter().find(|id| {
        let seat = snapshot.seats.get(id);
        !seat.is_some_and(|seat| {
            seat.status == SeatStatus::Allocated && seat.order_id.as_deref() == Some(&*order.id)
        })
    });
    wrong.map(|id| format!("seat {id} was sold; Seating says {:?}", snapshot.seats.get(id)))
}

fn claims(order: &Order) -> Option<String> {
    let live = ["PENDING", "CONFIRMED"].contains(&&*order.status);
    let expected = if live { order.sorted_seats() } else { Vec::new() };
    violated_unless(order.claims == expected, || {
        format!("{} with claims on {:?}", order.status, order.claims)
    })
}

fn violation(order: &Order, detail: String) -> Violation {
    Violation { order_id: Some(order.id.clone()), key: Some(order.idempotency_key.clone()), detail }
}
