//! Redrive: an operator makes parked orders and dead letters due at once, and refused events that wait.

use super::Context;
use crate::db::DbError;
use crate::db::{events, operator};
use crate::domain::event::Sink;
use crate::peers::event_sink::LEASE_MS;
use crate::telemetry::log::Level;
use serde_json::json;
use uuid::Uuid;

/// The most that one redrive makes due: so many orders, so many messages, and so many deliveries of events for each sink.
pub const LIMIT: usize = 1_000;

/// Which parked orders and dead letters to redrive. `None`: all of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RedriveSelection {
    /// Ids of orders.
    pub orders: Option<Vec<Uuid>>,
    /// Ids of messages.
    pub messages: Option<Vec<Uuid>>,
}

/// How many were made due.
#[derive(Clone, Copy, Debug)]
pub struct RedriveCounts {
    /// Orders that were parked.
    pub orders: i32,
    /// Messages that were dead letters, and deliveries of events that were dead letters or waited after a refusal.
    pub messages: i32,
}

/// Makes them due, at most [`LIMIT`] of each; the sweep does the work. Orders that are not parked, and messages that are not dead
/// letters, are left alone. Of events, dead letters and refused ones that wait are made due (what may be under way, under a lease, is
/// left alone); a redrive of all also switches sinks on again.
///
/// # Errors
/// [`DbError`].
pub async fn redrive(context: &Context, chosen: &RedriveSelection) -> Result<RedriveCounts, DbError> {
    let (orders, messages) =
        operator::redrive(&context.config, chosen.orders.as_deref(), chosen.messages.as_deref(), LIMIT)
            .await?;
    let mut messages = messages;
    // Events are those of orders.
    if chosen.orders.is_some() || chosen.messages.is_none() {
        for sink in Sink::ALL {
            let orders = chosen.orders.as_deref();
            messages += events::redrive(&context.config, sink, orders, LIMIT, LEASE_MS).await?;
        }
    }
    let fields = json!({ "orders": orders, "messages": messages });
    context.log.line(Level::Info, "redriven by an operator", fields);
    Ok(RedriveCounts { orders, messages })
}
