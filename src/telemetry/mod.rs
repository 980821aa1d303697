//! Telemetry: distributed tracing, structured logs, and the counters behind `/metrics`.

pub mod tracing;
pub mod log;
pub mod series;
pub mod counters;
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
