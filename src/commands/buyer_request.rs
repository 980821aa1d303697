//! A buyer's request about a placed order: the common part of cancelling and refunding.

use super::Context;
use super::drive::{apply_event, drive};
use super::time_budget::within_budget;
use crate::db::DbError;
use crate::db::orders::{self, Document};
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

/// Applies the request to the order and drives the order on. Idempotent: repeating it changes nothing. `detail` is for the journal.
///
/// # Errors
/// [`DbError`]; the sweep finishes what was begun.
pub async fn handle(
    context: &Context,
    id: OrderId,
    request: Event,
    detail: Value,
) -> Result<RequestOutcome, DbError> {
    let Some((order, document)) = orders::load(&context.config, id).await? else {
        return Ok(RequestOutcome::OrderNotFound);
    };
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

    let driver = context.clone();
    let work = async move { drive(&driver, stored.order).await };
    if let Some(driven) = within_budget(context, BUDGET, work).await?
        && let Some(document) = driven.document
    {
        return Ok(RequestOutcome::Granted(Box::new(driven.order), document));
    }
    // The order is still being driven in the background: its current state.
    Ok(match orders::load(&context.config, id).await? {
        Some((order, document)) => RequestOutcome::Granted(Box::new(order), document),
        None => RequestOutcome::OrderNotFound,
    })
}
