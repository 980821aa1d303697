//! The buyer gives an order up: `CANCELLED` at once, and what was taken is given back.

use super::Context;
use super::buyer_request::{self, RequestOutcome};
use crate::db::DbError;
use crate::domain::ids::OrderId;
use crate::domain::saga::Event;

/// Cancels an order. Seats and money that it has go back within the answer if the peers are quick, else behind it.
///
/// # Errors
/// [`DbError`].
pub async fn cancel(context: &Context, id: OrderId) -> Result<RequestOutcome, DbError> {
    buyer_request::handle(context, id, Event::CancelRequested).await
}
