//! Rust types and host traits for what Spin offers a component beside WASI: the world `spin-imports` of the repository's `wit/`.
//! The WASI interfaces of the components' worlds come from wasmtime's own crates.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "spin-imports",
    imports: { default: async | trappable },
    with: {
        "spin:mqtt/mqtt.connection": crate::mqtt::Connection,
        "spin:postgres/postgres.connection": crate::postgres::Connection,
        "spin:postgres/postgres.connection-builder": crate::postgres::ConnectionBuilder,
    },
    require_store_data_send: true,
});

pub use spin::mqtt::mqtt;
pub use spin::postgres::postgres;
pub use spin::variables::variables;
