//! The order service: takes an order for seats, holds them, takes the money, issues tickets, and undoes all of it when
//! something fails. A WebAssembly component on Spin, with PostgreSQL behind it and nothing that matters in memory.
//!
//! Start at [`domain::saga`], which decides; [`commands::drive`] acts on its decisions; [`http::router`] lists the
//! endpoints. ARCHITECTURE.md shows the map and walks one request through it.

// In reading order: a module uses only the modules before it.
pub mod domain;
pub mod jose;
pub mod runtime;
pub mod telemetry;
pub mod config;
pub mod db;
pub mod peers;
pub mod commands;
pub mod queries;
pub mod auth;
pub mod http;

#[global_allocator]
static ALLOCATOR: runtime::heap::CountingAllocator = runtime::heap::CountingAllocator;

/// The component's entry point (`wasi:http/handler`), called by Spin for every request. Without the SDK's macro, which converts
/// every request to one of the `http` crate, unused headers included.
#[cfg(target_arch = "wasm32")]
mod entry {
    use crate::runtime::task::Task;
    use crate::runtime::yielding::IdleTask;
    use exports::wasi::http::handler::Guest;
    use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

    // The component's world. The interfaces that the service calls have their bindings in the crates named here; the other
    // imports are called by the standard library alone.
    wit_bindgen::generate!({
        path: "wit",
        world: "order-service",
        with: {
            "spin:postgres/postgres@4.2.0": spin_sdk::pg,
            "spin:variables/variables@3.0.0": spin_sdk::variables,
            "wasi:clocks/monotonic-clock@0.3.0": spin_sdk::wasip3::clocks::monotonic_clock,
            "wasi:clocks/types@0.3.0": spin_sdk::wasip3::clocks::types,
            "wasi:http/client@0.3.0": spin_sdk::wasip3::http::client,
            "wasi:http/types@0.3.0": spin_sdk::wasip3::http::types,
        },
        generate_all,
    });

    struct Component;

    export!(Component);

    impl Guest for Component {
        async fn handle(request: Request) -> Result<Response, ErrorCode> {
            let idle = IdleTask::spawn();
            let response = Task::new(crate::http::serve(request)).await;
            idle.end();
            Ok(response)
        }
    }
}
