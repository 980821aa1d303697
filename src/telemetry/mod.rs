//! Telemetry: structured logs, and the counters behind `/metrics`.

pub mod log;
pub mod series;
pub mod counters;
