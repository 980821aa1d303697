//! What the buyer is told, through the outbox.

use super::ids::OrderId;
use uuid::Uuid;

/// A message that must go out at least once.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id, the same at every attempt.
    pub id: Uuid,
    /// The order that it tells of.
    pub order_id: OrderId,
    /// Its type, as `ORDER_CONFIRMED`.
    pub kind: String,
    /// Its JSON body.
    pub payload: String,
    /// Attempts begun so far.
    pub attempts: u32,
}
