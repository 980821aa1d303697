//! Resolves the payment of an order by an operator's word, where Payment never gives one.

use super::Context;
use super::buyer_request::{self, RequestOutcome};
use super::drive::{apply_event, drive};
use crate::db::orders::{self, Document};
use crate::db::transition::JournalEntry;
use crate::db::{DbError, payment_checks, payment_refunds};
use crate::domain::access::Caller;
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::order::{Order, Payment, PaymentStatus};
use crate::domain::saga::{Event, Rejected, Verdict};
use serde_json::json;

/// The journal's type for an operator's word.
const RESOLVED: &str = "resolved";

/// What an operator says of a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolution {
    /// `SUCCESS`: the money was taken. `FAILED`: it was not. `REFUNDED`: it went back.
    pub status: PaymentStatus,
    /// The payment; needed where money moved and no payment is known.
    pub payment: Option<PaymentId>,
    /// Why, for the journal.
    pub reason: Option<String>,
}

/// The outcome of a resolution.
#[derive(Debug)]
pub enum ResolveOutcome {
    /// There is no such order.
    OrderNotFound,
    /// Nothing about its payment is open. The order as it is.
    NotResolvable(Box<Order>),
    /// No payment of the order is known: the operator must name it.
    PaymentRequired,
    /// The payment is not the order's.
    OtherPayment,
    /// It is stored; the order's document.
    Resolved(Document),
}

/// Stores an operator's word as news of the payment, and drives the order on.
///
/// # Errors
/// [`DbError`]; the sweep finishes what was begun.
pub async fn resolve(
    context: &Context,
    id: OrderId,
    resolution: &Resolution,
) -> Result<ResolveOutcome, DbError> {
    let config = &context.config;
    let Some((order, _)) = orders::load(config, id).await? else {
        return Ok(ResolveOutcome::OrderNotFound);
    };
    if let Some(payment) = resolution.payment
        && payment_refunds::find(config, id, payment).await?.is_some()
    {
        return resolve_second(context, order, payment, resolution).await;
    }
    // A word about another payment than the order's own says nothing about that, which may be open, too.
    let names_another =
        resolution.payment.is_some_and(|named| order.payment.is_some_and(|own| own.id != named));
    if (names_another || !order.is_resolvable())
        && payment_checks::is_open(config, id, resolution.payment).await?
    {
        return resolve_check(context, order, resolution).await;
    }
    if !order.is_resolvable() {
        return Ok(ResolveOutcome::NotResolvable(Box::new(order)));
    }
    let known = order.payment.map(|known| known.id);
    if resolution.payment.is_some_and(|payment| known.is_some_and(|known| known != payment)) {
        return Ok(ResolveOutcome::OtherPayment);
    }
    let verdict = match (resolution.status, resolution.payment.or(known)) {
        (PaymentStatus::Failed | PaymentStatus::Pending, payment) => Verdict::NotTaken(payment),
        (PaymentStatus::Success, Some(payment)) => Verdict::Taken(payment),
        (PaymentStatus::Refunded, Some(payment)) => Verdict::Refunded(payment),
        (PaymentStatus::Success | PaymentStatus::Refunded, None) => {
            return Ok(ResolveOutcome::PaymentRequired);
        }
    };
    let detail = json!({
        "payment": resolution.status, "payment_id": resolution.payment.or(known), "reason": resolution.reason,
    });
    Ok(match buyer_request::handle(context, &Caller::Anyone, id, Event::Resolved(verdict), detail).await? {
        RequestOutcome::OrderNotFound => ResolveOutcome::OrderNotFound,
        RequestOutcome::Refused(_, Rejected::ForeignPayment) => ResolveOutcome::OtherPayment,
        RequestOutcome::Refused(order, _) => ResolveOutcome::NotResolvable(order),
        RequestOutcome::Granted(_, document) => ResolveOutcome::Resolved(document),
    })
}

/// A payment beside the order's own: it is settled, unless the money is still taken.
async fn resolve_second(
    context: &Context,
    order: Order,
    payment: PaymentId,
    resolution: &Resolution,
) -> Result<ResolveOutcome, DbError> {
    let config = &context.config;
    let (status, reason) = (resolution.status, resolution.reason.as_deref());
    let is_settled = matches!(status, PaymentStatus::Failed | PaymentStatus::Refunded)
        && payment_refunds::resolve(config, order.id, payment, status, reason, context.actor).await?;
    if !is_settled {
        return Ok(ResolveOutcome::NotResolvable(Box::new(order)));
    }
    Ok(match orders::load(config, order.id).await? {
        Some((_, document)) => ResolveOutcome::Resolved(document),
        None => ResolveOutcome::OrderNotFound,
    })
}

/// Whether there is a payment beside the order's own that nobody could tell: one that was taken goes back, and nothing is left to
/// check.
async fn resolve_check(
    context: &Context,
    order: Order,
    resolution: &Resolution,
) -> Result<ResolveOutcome, DbError> {
    let config = &context.config;
    let (status, payment) = (resolution.status, resolution.payment);
    let detail = json!({ "payment": status, "payment_id": payment, "reason": resolution.reason });
    if status == PaymentStatus::Success {
        let Some(id) = payment else {
            return Ok(ResolveOutcome::PaymentRequired);
        };
        let taken = Event::PaymentIs(Payment { id, status });
        let stored = apply_event(context, &order, taken, detail.clone()).await?;
        if stored.rejected == Some(Rejected::ForeignPayment) {
            return Ok(ResolveOutcome::OtherPayment);
        }
        if stored.has_lease {
            drive(context, stored.order).await?;
        }
    }
    let entry = JournalEntry { event: RESOLVED, actor: context.actor, data: &detail };
    payment_checks::close(config, order.id, payment, entry).await?;
    Ok(match orders::load(config, order.id).await? {
        Some((_, document)) => ResolveOutcome::Resolved(document),
        None => ResolveOutcome::OrderNotFound,
    })
}
