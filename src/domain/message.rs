//! Notifications to the buyer, which go through the outbox.

use super::ids::OrderId;
use uuid::Uuid;

/// An outbox message: delivered at least once.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, the same at every attempt: the idempotency key of the delivery.
    pub id: Uuid,
    /// The order that it is about.
    pub order_id: OrderId,
    /// Its type, as `ORDER_CONFIRMED`.
    pub kind: String,
    /// Its JSON body.
    pub payload: String,
    /// Delivery attempts begun so far.
    pub attempts: u32,
}
