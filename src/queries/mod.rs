//! The use cases that read; they never write.

pub mod get_order;
pub mod health;
pub mod metrics;
pub mod order_events;
pub mod stuck;
