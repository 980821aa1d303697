//! Async runtime support for WASI and Spin: background tasks, timeouts, yields, bodies over `wasi:http`. It uses no other module
//! of the service, and no other module deals with these details.
//!
//! In reading order: [`task`] is what the executor polls as a whole, [`wakeup`] lets one task wake another, [`deadline`] has
//! timeouts, [`host_call`] is a host call with a timeout, [`yielding`] returns control to the host, [`body`] moves the bodies of
//! HTTP messages. [`heap`] is the global allocator and [`random`] the host's random number generator.

pub mod task;
pub mod wakeup;
pub mod deadline;
pub mod host_call;
pub mod yielding;
pub mod body;
pub mod heap;
pub mod random;
