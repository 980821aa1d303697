//! Distributed tracing: W3C Trace Context, spans, and their encoding as OTLP.
//!
//! [`current`] is what the rest of the service uses: the trace of the work that is being polled, and spans of it. Below it:
//! [`trace_context`] has the headers, [`trace`] one trace, [`span`] one span that has begun, [`ended`] the queue of those that have
//! ended, and [`otlp`] what the collector gets.
//!
//! Without a collector there are no spans. The caller's trace context is then passed on as it came, and read from the host when it is
//! first needed, so that a request that tells nobody of it costs nothing.

pub mod trace_context;
pub mod trace;
pub mod ended;
pub mod span;
pub mod current;
pub mod otlp;
