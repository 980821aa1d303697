//! Refunds an order: the tickets are void at once, the payment is refunded, the seats are released.

use super::Context;
use super::buyer_request::{self, RequestOutcome};
use crate::db::DbError;
use crate::domain::access::Caller;
use crate::domain::ids::OrderId;
use crate::domain::saga::Event;
use serde_json::json;

/// Refunds a confirmed order. Until Payment has confirmed the refund, the order stays `CONFIRMED` in phase
/// `refunding`, with void tickets.
///
/// # Errors
/// [`DbError`].
pub async fn refund(context: &Context, caller: &Caller, id: OrderId) -> Result<RequestOutcome, DbError> {
    buyer_request::handle(context, caller, id, Event::RefundRequested, json!({})).await
}
