//! Background tasks of an instance, after its responses: it flushes its counters to the database, at most once a second and when the
//! instance is used up, and sweeps when that statement tells that work is due, so that a deployment with nothing but health probes
//! drives itself. The database tells it to one instance a second.

use super::Context;
use super::sweep::sweep_in_background;
use crate::db;
use crate::telemetry::counters;
use serde_json::json;
use std::cell::Cell;
use std::time::Duration;

/// Spin's default for the requests that it gives to one instance. After the last one the instance's connection would be held idle,
/// so the last request is guessed; a wrong guess costs one statement in so many requests.
const REQUESTS_PER_INSTANCE: u32 = 128;

thread_local! {
    static FLUSH_SCHEDULED: Cell<bool> = const { Cell::new(false) };
    static REQUESTS_BEGUN: Cell<u32> = const { Cell::new(0) };
    static REQUESTS_IN_FLIGHT: Cell<u32> = const { Cell::new(0) };
}

/// Guard: a request is being served until this is dropped.
pub struct InFlightRequest(());

impl InFlightRequest {
    /// Counts a request in.
    pub fn begin() -> Self {
        REQUESTS_BEGUN.set(REQUESTS_BEGUN.get().wrapping_add(1));
        REQUESTS_IN_FLIGHT.set(REQUESTS_IN_FLIGHT.get() + 1);
        Self(())
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        REQUESTS_IN_FLIGHT.set(REQUESTS_IN_FLIGHT.get() - 1);
    }
}

/// Whether this request is to spawn the background task: no other request of this instance has one waiting, or the instance
/// is used up.
pub fn is_due() -> bool {
    !FLUSH_SCHEDULED.get() || is_used_up()
}

/// Whether the instance has probably served its last request.
fn is_used_up() -> bool {
    REQUESTS_IN_FLIGHT.get() == 0 && REQUESTS_BEGUN.get().is_multiple_of(REQUESTS_PER_INSTANCE)
}

/// Flushes the counters to the database, and sweeps if work is due, which the same statement tells. Waits for a
/// second before, so that many requests share one flush, unless the instance is used up.
pub async fn flush_and_sweep(context: &Context) {
    if is_used_up() {
        flush(context).await;
        db::release_connection();
    } else if !FLUSH_SCHEDULED.replace(true) {
        let scheduled = ScheduledFlush;
        spin_sdk::time::sleep(Duration::from_secs(1)).await;
        drop(scheduled);
        flush(context).await;
    }
}

/// Guard: a background task waits to flush. Dropped also when the host cancels that task: the next request spawns another.
struct ScheduledFlush;

impl Drop for ScheduledFlush {
    fn drop(&mut self) {
        FLUSH_SCHEDULED.set(false);
    }
}

async fn flush(context: &Context) {
    context.log.refusals_left_out();
    if !counters::has_unflushed() {
        return;
    }
    match db::metrics::flush_counters(&context.config, &counters::take_all()).await {
        Ok(due) => {
            let context = Context::new(context.config.clone(), context.log.clone(), "sweep");
            sweep_in_background(&context, due).await;
        }
        Err(error) => context.log.debug("counts were lost", json!({ "cause": error.to_string() })),
    }
}
