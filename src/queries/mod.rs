//! The use cases that only read, one per file.

pub mod get_order;
pub mod health;
pub mod list_events;
pub mod list_orders;
pub mod metrics;
pub mod order_events;
pub mod stuck;
