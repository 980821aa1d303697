//! What is there because of how WASI and Spin run a component: background tasks, deadlines, bodies over `wasi:http`. No other
//! room knows of it, and it knows of no other room.
//!
//! In reading order: [`task`] is what is polled as a whole, [`deadline`] ends waits, [`cancellation`] ends calls of the host
//! that nobody waits for any more, [`yielding`] is how the executor and the host take turns, [`body`] moves the bodies of HTTP
//! messages. [`heap`] is the allocator and [`random`] the host's generator.

pub mod body;
pub mod cancellation;
pub mod deadline;
pub mod heap;
pub mod random;
pub mod task;
pub mod yielding;
