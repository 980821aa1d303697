//! The order service: takes an order for seats, holds them, takes the money, issues tickets, and undoes all of it when
//! something fails. A WebAssembly component on Spin, with PostgreSQL behind it and nothing that matters in memory.
//!
//! Start at [`domain::saga`], which decides; [`commands::drive`] acts on its decisions; [`http::router`] lists the
//! endpoints. ARCHITECTURE.md shows the map and walks one request through it.

pub mod commands;
pub mod config;
pub mod db;
pub mod domain;
pub mod http;
pub mod peers;
pub mod queries;
pub mod telemetry;
pub mod wire;

#[global_allocator]
static ALLOCATOR: telemetry::heap::Counting = telemetry::heap::Counting;

/// The component's entry, called by Spin for every request.
#[cfg(target_arch = "wasm32")]
#[spin_sdk::http_service]
async fn handle(request: spin_sdk::http::Request) -> spin_sdk::wasip3::http::types::Response {
    telemetry::work::Busy::new(http::serve(request)).await
}
