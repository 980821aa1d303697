//! `spin:postgres@4.2.0`: a pool per address, statements prepared on every call, and Spin's strict types.
//!
//! The functions that WIT calls `async` give the instance back while they wait; the others keep all its requests
//! waiting, as in Spin.

#![expect(clippy::result_large_err, reason = "the interface's error carries all that the server said")]

mod errors;
mod host;
mod interval;
mod null;
mod params;
mod pool;
mod ranges;
mod rows;
mod values;

pub use host::{Connection, ConnectionBuilder, Connections};
pub use pool::Pools;

/// The most that the host keeps of a result at a time: a row of a stream, or all rows of a synchronous query.
const MAX_BUFFERED_BYTES: usize = 128 << 20;
