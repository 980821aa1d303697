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
    /// Whether it is the first about its order, so that no other can be waiting: whoever stores it also delivers it. Messages of
    /// one order are delivered in its order, so all others are delivered by whoever claims them.
    pub is_first: bool,
}
