//! Invariants of cancelled events: in a campaign money for them comes only after their orders have expired.

use super::{Check, check_orders, violated_unless};
use crate::chaos::snapshot::{Order, Snapshot};
use crate::peers::{Payment, PaymentStatus, SeatStatus};

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let payments = snapshot.payments_by_order();
    let all_of = |order: &Order| payments.get(&*order.id).map_or(&[][..], Vec::as_slice);
    let of_cancelled =
        || snapshot.orders.iter().filter(|order| snapshot.cancelled_events.contains(&order.event_id));
    let paid = || of_cancelled().filter(|order| all_of(order).iter().any(|payment| payment.taken > 0));
    vec![
        check_orders("money that came late for a cancelled event went back", paid(), |order| {
            went_back(order, all_of(order))
        }),
        check_orders("no seat of a cancelled event is sold", of_cancelled(), |order| {
            is_sold(order, snapshot)
        }),
    ]
}

fn went_back(order: &Order, payments: &[&Payment]) -> Option<String> {
    let taken = payments.iter().filter(|payment| payment.taken > 0);
    let kept = taken.filter(|payment| payment.status != PaymentStatus::Refunded || payment.returned != 1);
    let kept: Vec<_> = kept.map(|payment| (&payment.id, payment.status, payment.returned)).collect();
    let was_confirmed = order.transitions.iter().any(|step| step.status == "CONFIRMED");
    violated_unless(kept.is_empty() && !was_confirmed, || {
        format!("{}, confirmed before: {was_confirmed}; not given back once: {kept:?}", order.status)
    })
}

fn is_sold(order: &Order, snapshot: &Snapshot) -> Option<String> {
    let valid = order.valid_seats();
    let is_allocated =
        |id: &&i64| snapshot.seats.get(id).is_some_and(|seat| seat.status == SeatStatus::Allocated);
    let allocated: Vec<&i64> = order.seats.iter().filter(is_allocated).collect();
    violated_unless(valid.is_empty() && allocated.is_empty(), || {
        format!("valid tickets for {valid:?}, allocated {allocated:?}")
    })
}
