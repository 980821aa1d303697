//! Invariants of single orders: final state, journal, state transitions.

use super::{Check, check_orders, violated_unless};
use crate::chaos::snapshot::{Order, Snapshot, Transition};

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let all = || snapshot.orders.iter();
    vec![
        check_orders("every order is at rest", all(), at_rest),
        check_orders("nothing is left over: messages, parked orders", all(), nothing_left),
        check_orders("the journal is whole", all(), journal_is_whole),
        check_orders("the journal tells causes before effects", all(), journal_is_legal),
        check_orders("every change of status is a legal one", all(), changes_are_legal),
        check_orders(
            "what the buyer cancelled is never confirmed",
            all().filter(|order| order.has("cancel_requested")),
            cancelled_stays,
        ),
    ]
}

fn at_rest(order: &Order) -> Option<String> {
    let done = order.phase == "done" && !order.has_due && order.status != "PENDING";
    let waits = order.phase == "awaiting_payment" && order.status == "PENDING" && order.in_time;
    violated_unless(done || waits, || format!("{} in phase {}", order.status, order.phase))
}

fn nothing_left(order: &Order) -> Option<String> {
    if let Some(message) = order.outbox.first() {
        return Some(format!("a message waits: {message:?}"));
    }
    violated_unless(!order.parked, || "the order is parked".into())
}

fn journal_is_whole(order: &Order) -> Option<String> {
    // An entry that stands for several versions has the number of the first one; the others are numbers that no entry has.
    let mut stands_for = 0;
    for entry in &order.journal {
        if entry.count < 1 || !(1..=stands_for + 1).contains(&entry.seq) {
            return Some(format!("{entry:?} after entries for {stands_for} versions"));
        }
        stands_for += entry.count;
    }
    let versions: Vec<i64> = order.transitions.iter().map(|step| step.version).collect();
    let expected: Vec<i64> = (1..=order.version).collect();
    if stands_for != order.version {
        return Some(format!("entries for {stands_for} versions, version {}", order.version));
    }
    if versions != expected {
        return Some(format!("states {versions:?} were seen, version {}", order.version));
    }
    let actors = ["client", "payment", "sweep", "operator"];
    let stranger = order.journal.iter().find(|entry| !actors.contains(&&*entry.actor));
    stranger.map(|entry| format!("an actor that nobody knows: {entry:?}"))
}

fn journal_is_legal(order: &Order) -> Option<String> {
    let first = order.journal.first().map(|entry| &*entry.r#type);
    if first != Some("order_placed") {
        return Some(format!("begins with {first:?}"));
    }
    if order.journal.iter().skip(1).any(|entry| entry.r#type == "order_placed") {
        return Some("was placed twice".into());
    }
    let before =
        |seq: i64, kind: &str| order.journal.iter().any(|entry| entry.seq < seq && entry.r#type == kind);
    for (was, is) in changes(order) {
        let Some(entry) = order.journal.iter().find(|entry| entry.seq == is.version) else {
            // An attempt that repeats: an earlier entry counts it.
            if (&was.status, &was.phase) != (&is.status, &is.phase) {
                return Some(format!("number {} has no entry of its own, and changes the order", is.version));
            }
            continue;
        };
        let legal = match (&*entry.r#type, &*is.status) {
            ("refund_requested", _) => was.status == "CONFIRMED",
            ("cancel_requested", status) => {
                status == "CANCELLED" && ["PENDING", "CANCELLED"].contains(&&*was.status)
            }
            (_, "CONFIRMED") if was.status != "CONFIRMED" => {
                let paid = before(is.version, "payment_succeeded") || order.total_cents == Some(0);
                paid && before(is.version, "seats_reserved")
            }
            _ => true,
        };
        if !legal {
            return Some(format!("{} after {} as number {}", entry.r#type, was.status, is.version));
        }
    }
    None
}

fn changes_are_legal(order: &Order) -> Option<String> {
    let first = order.transitions.first().map(|step| &*step.status);
    if first != Some("PENDING") {
        return Some(format!("begins as {first:?}"));
    }
    if order.transitions.last().map(|step| (&step.status, &step.phase)) != Some((&order.status, &order.phase))
    {
        return Some(format!("is {} in phase {}, and was last seen otherwise", order.status, order.phase));
    }
    let wrong = changes(order).find(|(was, is)| {
        was.status != is.status
            && !matches!(
                (&*was.status, &*is.status),
                ("PENDING", "CONFIRMED" | "CANCELLED" | "FAILED" | "REFUNDED")
                    | ("CONFIRMED", "REFUNDED")
// A late payment of an expired order whose seats were still free.
                    | ("CANCELLED", "CONFIRMED")
            )
    });
    wrong.map(|(was, is)| format!("from {} to {} as number {}", was.status, is.status, is.version))
}

fn cancelled_stays(order: &Order) -> Option<String> {
    let cancel = order.journal.iter().find(|entry| entry.r#type == "cancel_requested")?;
    let confirmed =
        order.transitions.iter().find(|step| step.version >= cancel.seq && step.status == "CONFIRMED");
    confirmed.map(|step| format!("cancelled as number {}, confirmed as number {}", cancel.seq, step.version))
}

fn changes(order: &Order) -> impl Iterator<Item = (&Transition, &Transition)> {
    order.transitions.iter().zip(order.transitions.iter().skip(1))
}
