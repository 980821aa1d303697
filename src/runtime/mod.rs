//! What is there because of how WASI and Spin run a component: background tasks, deadlines, bodies over `wasi:http`. No other
//! room knows of it, and it knows of no other room.
//!
//! In reading order: [`task`] is what is polled as a whole, [`wakeup`] is how one wakes another, [`deadline`] ends waits,
//! [`host_call`] is a call of the host with a limit, [`yielding`] is when control goes back to the host,
//! [`body`] moves the bodies of HTTP messages. [`heap`] is the allocator and [`random`] the host's generator.

pub mod task;
pub mod wakeup;
pub mod deadline;
pub mod host_call;
pub mod yielding;
pub mod body;
pub mod heap;
pub mod random;
