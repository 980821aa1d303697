//! The floor under the order service: what a request costs when nothing of ours is computed.
//!
//! A floor makes the calls that the service makes, with fixed contents, and throws the answers away: no routing, no
//! parsing, no deciding, no building of JSON. [`templates`] says what the calls contain, [`calls`] what a call is and
//! where fresh ids come from. On `wasm32` the crate is a component that makes them on the same host as the service
//! (`component`); natively the benchmark makes the same calls without WebAssembly.

pub mod calls;
pub mod templates;

#[cfg(target_arch = "wasm32")]
pub mod component;
// The service's own runtime: how it takes turns with the host, and starts bodies before they are handed over. What the floor does
// not use of it is no fault.
#[cfg(target_arch = "wasm32")]
#[allow(dead_code)]
#[path = "../../../src/runtime/mod.rs"]
pub mod runtime;
