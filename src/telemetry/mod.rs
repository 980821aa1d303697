//! What the service tells of itself: structured logs, and counts of its work.

pub mod log;
pub mod work;
