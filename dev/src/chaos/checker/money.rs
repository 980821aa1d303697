//! Invariants of money: orders reconcile with Payment's ledger.

use std::collections::HashSet;

use super::{Check, Violation, check_each, check_orders, violated_unless};
use crate::chaos::snapshot::{Order, Snapshot};
use crate::peers::{CallName, Payment, PaymentStatus};

/// The tax in thousandths: 7.5 %.
const TAX_PER_MILLE: i64 = 75;

pub(super) fn checks(snapshot: &Snapshot) -> Vec<Check> {
    let payments = snapshot.payments_by_order();
    let of = |order: &Order| payments.get(&*order.id).and_then(|all| of_order(order, all));
    let all_of = |order: &Order| payments.get(&*order.id).map_or(&[][..], Vec::as_slice);
    let priced = || snapshot.orders.iter().filter(|order| order.total_cents.is_some());
    let charged = || snapshot.orders.iter().filter(|order| payments.contains_key(&*order.id));
    let asked_to_charge: HashSet<&str> = snapshot
        .calls
        .iter()
        .filter(|call| call.call == CallName::Charge)
        .filter_map(|call| call.order_id.as_deref())
        .collect();
    let free = snapshot.orders.iter().filter(|order| order.is_free());
    let known = |payment: &Payment| snapshot.orders.iter().any(|order| order.id == payment.order_id);
    vec![
        check_each(
            "one charge per order at most, and none without an order",
            &snapshot.payments,
            |payment| {
                if payment.charged_elsewhere {
                    return None;
                }
                let charges = payments[&*payment.order_id].iter();
                let detail = if charges.filter(|other| !other.charged_elsewhere).count() > 1 {
                    "the order was charged more than once".to_owned()
                } else if payment.taken > 1 {
                    format!("the money was taken {} times", payment.taken)
                } else if payment.idempotency_key != payment.order_id {
                    format!("charged under the key {}", payment.idempotency_key)
                } else if !known(payment) {
                    "there is no such order".to_owned()
                } else {
                    return None;
                };
                Some(Violation { order_id: Some(payment.order_id.clone()), key: None, detail })
            },
        ),
        check_orders("amounts are equal: seats, tax, total, charge", priced(), |order| {
            amounts(order, of(order), snapshot)
        }),
        check_orders("paid exactly if the tickets are valid", &snapshot.orders, |order| {
            paid(order, all_of(order))
        }),
        check_orders("the order knows what became of its money", charged(), |order| knows(order, of(order)?)),
        check_orders(
            "money goes back once, and only for orders that are not confirmed",
            charged(),
            |order| back(order, all_of(order)),
        ),
        check_orders("an order that costs nothing is never charged", free, |order| {
            let is_charged = asked_to_charge.contains(&*order.id) || !all_of(order).is_empty();
            violated_unless(!is_charged && order.payment_id.is_none(), || {
                format!("{}, its payment is {:?}", order.status, order.payment_id)
            })
        }),
    ]
}

/// The payment that the order knows, or else that of its charge. The others are second payments, which go back.
fn of_order<'a>(order: &Order, payments: &[&'a Payment]) -> Option<&'a Payment> {
    let find = |wanted: &dyn Fn(&Payment) -> bool| payments.iter().find(|payment| wanted(payment)).copied();
    find(&|payment| order.payment_id.as_ref() == Some(&payment.id))
        .or_else(|| find(&|payment| !payment.charged_elsewhere))
        .or_else(|| find(&|_| true))
}

fn amounts(order: &Order, payment: Option<&Payment>, snapshot: &Snapshot) -> Option<String> {
    let (Some(subtotal), Some(tax), Some(total)) = (order.subtotal_cents, order.tax_cents, order.total_cents)
    else {
        return Some("only some of the amounts are known".into());
    };
    let items: i64 = order.items.iter().map(|item| item.cents).sum();
    let seats: Vec<i64> = order.items.iter().map(|item| item.seat_id).collect();
    let wrong_price = order
        .items
        .iter()
        .find(|item| snapshot.prices.get(&item.seat_id).is_some_and(|price| *price != item.cents));
    if let Some(item) = wrong_price {
        return Some(format!("seat {} was sold at {} cents", item.seat_id, item.cents));
    }
    let exact_tax = (subtotal * TAX_PER_MILLE + 999) / 1_000;
    let charged = payment.map_or(total, |payment| payment.amount_cents);
    let currency = payment.map_or(&order.currency, |payment| &payment.currency);
    violated_unless(
        items == subtotal
            && seats == order.sorted_seats()
            && tax == exact_tax
            && total == subtotal + tax
            && charged == total
            && *currency == order.currency,
        || {
            format!(
                "seats {items}, subtotal {subtotal}, tax {tax} (exactly {exact_tax}), total {total}, charged {charged} {currency}"
            )
        },
    )
}

fn paid(order: &Order, payments: &[&Payment]) -> Option<String> {
    let paid = payments.iter().any(|payment| payment.status == PaymentStatus::Success);
    let valid = order.valid_seats();
    let whole = if order.status == "CONFIRMED" { valid == order.sorted_seats() } else { valid.is_empty() };
    let must_pay = order.status == "CONFIRMED" && !order.is_free();
    violated_unless(whole && paid == must_pay, || {
        let statuses: Vec<_> = payments.iter().map(|payment| payment.status).collect();
        format!(
            "{}, Payment says {statuses:?}, valid tickets for {valid:?} of {:?}",
            order.status, order.seats
        )
    })
}

fn knows(order: &Order, payment: &Payment) -> Option<String> {
    let status = serde_json::json!(payment.status);
    let same =
        order.payment_id.as_ref() == Some(&payment.id) && order.payment_status.as_deref() == status.as_str();
    violated_unless(same, || {
        format!(
            "the order says {:?} {:?}, Payment says {} {status}",
            order.payment_id, order.payment_status, payment.id
        )
    })
}

fn back(order: &Order, payments: &[&Payment]) -> Option<String> {
    let taken: u32 = payments.iter().map(|payment| payment.taken).sum();
    let returned: u32 = payments.iter().map(|payment| payment.returned).sum();
    let due = i64::from(order.status == "CONFIRMED");
    let once = payments.iter().all(|payment| payment.returned <= 1);
    violated_unless(once && i64::from(taken) - i64::from(returned) == due, || {
        format!(
            "{}: {} payments, taken {taken} times, given back {returned} times",
            order.status,
            payments.len()
        )
    })
}
