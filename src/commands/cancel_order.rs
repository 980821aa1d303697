//! Cancels an order: `CANCELLED` at once, then the compensations (refund, release).

use super::Context;
use super::buyer_request::{self, RequestOutcome};
use crate::db::DbError;
use crate::domain::access::Caller;
use crate::domain::ids::OrderId;
use crate::domain::saga::Event;
use serde_json::json;

/// Cancels an order. Seats are released and money is refunded before the answer if the peers are fast, else in the background.
///
/// # Errors
/// [`DbError`].
pub async fn cancel(context: &Context, caller: &Caller, id: OrderId) -> Result<RequestOutcome, DbError> {
    buyer_request::handle(context, caller, id, Event::CancelRequested, json!({})).await
}
