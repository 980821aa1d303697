//! The order service: takes an order for seats, holds them, takes the money, issues tickets, and undoes all of it when
//! something fails. A WebAssembly component on Spin, with PostgreSQL behind it and nothing that matters in memory.
//!
//! Start at [`domain::saga`], which decides; [`commands::drive`] acts on its decisions; [`http::router`] lists the
//! endpoints. ARCHITECTURE.md shows the map and walks one request through it.

pub mod commands;
pub mod config;
pub mod db;
pub mod deadline;
pub mod domain;
pub mod http;
pub mod peers;
pub mod queries;
pub mod task;
pub mod telemetry;
pub mod turns;
pub mod wire;

#[global_allocator]
static ALLOCATOR: telemetry::heap::Counting = telemetry::heap::Counting;

/// The component's entry, called by Spin for every request. Without the SDK's macro, which makes a request of the `http`
/// crate's of everything that came, headers that nobody asks for included.
#[cfg(target_arch = "wasm32")]
mod entry {
    use spin_sdk::wasip3::exports::http::handler::Guest;
    use spin_sdk::wasip3::http::service;
    use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

    struct Component;

    service::export!(Component);

    impl Guest for Component {
        async fn handle(request: Request) -> Result<Response, ErrorCode> {
            let company = crate::turns::keep_company();
            let response = crate::task::Task::new(crate::http::serve(request)).await;
            company.end();
            Ok(response)
        }
    }
}
