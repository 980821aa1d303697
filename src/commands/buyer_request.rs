//! A buyer's request about a placed order: the common part of cancelling and refunding.

use super::Context;
use super::drive::{TransitionOutcome, apply_event, drive};
use super::time_budget::within_budget;
use crate::db::DbError;
use crate::db::orders::{self, Document};
use crate::domain::access::Caller;
use crate::domain::ids::OrderId;
use crate::domain::order::Order;
use crate::domain::saga::{Event, Rejected};
use serde_json::Value;
use std::time::Duration;

/// The outcome of the request.
#[derive(Debug)]
pub enum RequestOutcome {
    /// There is no such order.
    OrderNotFound,
    /// The order's state forbids it; nothing changed. The order as it is, and why.
    Refused(Box<Order>, Rejected),
    /// It is granted, now or by an earlier request (idempotent); the order as it is, and its document.
    Granted(Box<Order>, Document),
}

/// How long an answer waits for the compensations that follow.
const BUDGET: Duration = Duration::from_secs(5);

/// Applies the request of somebody who may change the order, and drives the order on. Idempotent: repeating it changes nothing. `detail`
/// is for the journal. For a caller who may not change it, the order is not there.
///
/// # Errors
/// [`DbError`] when the request is not granted, as far as is known.
pub async fn handle(
    context: &Context,
    caller: &Caller,
    id: OrderId,
    request: Event,
    detail: Value,
) -> Result<RequestOutcome, DbError> {
    let Some((order, document)) = orders::load(&context.config, id).await? else {
        return Ok(RequestOutcome::OrderNotFound);
    };
    if !caller.may_change(order.owner()) {
        return Ok(RequestOutcome::OrderNotFound);
    }
    let stored = apply_event(context, &order, request, detail).await?;
    match stored.rejected {
        Some(
            rejected @ (Rejected::NotCancellable
            | Rejected::NotRefundable
            | Rejected::NotResolvable
            | Rejected::OtherPayment
            | Rejected::SecondPayment
            | Rejected::ForeignPayment),
        ) => {
            return Ok(RequestOutcome::Refused(Box::new(stored.order), rejected));
        }
        None | Some(Rejected::Stale) => {}
    }
    let document = stored.document.unwrap_or(document);
    if !stored.has_lease {
        return Ok(RequestOutcome::Granted(Box::new(stored.order), document));
    }

    let (driver, granted) = (context.clone(), stored.order.clone());
    let work = async move { drive(&driver, stored.order).await };
    match within_budget(context, BUDGET, work).await {
        Ok(Some(TransitionOutcome { order, document: Some(document), .. })) => {
            return Ok(RequestOutcome::Granted(Box::new(order), document));
        }
        Ok(_) => {}
        Err(error) => context.log_left_to_sweep(id, &error),
    }
    // The request is granted whatever follows it. The order is driven on in the background, or by a sweep: its current state, or
    // that at which it was granted.
    Ok(match orders::load(&context.config, id).await {
        Ok(Some((order, document))) => RequestOutcome::Granted(Box::new(order), document),
        Ok(None) => RequestOutcome::OrderNotFound,
        Err(error) => {
            context.log_left_to_sweep(id, &error);
            RequestOutcome::Granted(Box::new(granted), document)
        }
    })
}
