//! What a buyer asks for after the order was placed: the part that cancelling and refunding have in common.

use super::Context;
use super::drive::{drive, store};
use super::in_time::within;
use crate::db::DbError;
use crate::db::orders::{self, Document};
use crate::domain::ids::OrderId;
use crate::domain::order::Order;
use crate::domain::saga::{Event, Rejected};
use serde_json::json;
use std::time::Duration;

/// What became of a wish.
#[derive(Debug)]
pub enum Heard {
    /// No such order.
    OrderNotFound,
    /// The order's state forbids it; nothing changed. The order as it is.
    Refused(Box<Order>),
    /// It is granted, now or before; the order as it is, and its document.
    Granted(Box<Order>, Document),
}

/// How long an answer waits for the undoing that follows from a wish.
const BUDGET: Duration = Duration::from_secs(5);

/// Puts a wish to an order, and does what follows from it. Repeating it changes nothing.
///
/// # Errors
/// [`DbError`]; what was begun is finished by the sweep.
pub async fn put(context: &Context, id: OrderId, wish: Event) -> Result<Heard, DbError> {
    let Some((order, document)) = orders::load(&context.config, id).await? else {
        return Ok(Heard::OrderNotFound);
    };
    let stored = store(context, &order, wish, json!({})).await?;
    match stored.rejected {
        Some(Rejected::NotCancellable | Rejected::NotRefundable | Rejected::OtherPayment) => {
            return Ok(Heard::Refused(Box::new(stored.order)));
        }
        None | Some(Rejected::Stale) => {}
    }
    let document = stored.document.unwrap_or(document);
    if !stored.held {
        return Ok(Heard::Granted(Box::new(stored.order), document));
    }

    let driver = context.clone();
    let work = async move { drive(&driver, stored.order).await };
    if let Some(driven) = within(context, BUDGET, work).await?
        && let Some(document) = driven.document
    {
        return Ok(Heard::Granted(Box::new(driven.order), document));
    }
    // Somebody drives it still: what it has come to.
    Ok(match orders::load(&context.config, id).await? {
        Some((order, document)) => Heard::Granted(Box::new(order), document),
        None => Heard::OrderNotFound,
    })
}
