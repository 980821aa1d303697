//! Background tasks of an instance, after its responses: it flushes its counters to the database and sweeps a small batch, so that
//! a deployment with nothing but health probes drives itself. At most once a second, and when the instance is used up.

use super::Context;
use super::sweep::sweep_some;
use crate::db;
use crate::telemetry::work;
use serde_json::json;
use std::cell::Cell;
use std::time::Duration;

/// Spin's default for the requests that it gives to one instance. After the last one the instance's connection would be held idle,
/// so the last request is guessed; a wrong guess costs one statement in so many requests.
const REQUESTS: u32 = 128;

thread_local! {
    static UNDER_WAY: Cell<bool> = const { Cell::new(false) };
    static BEGUN: Cell<u32> = const { Cell::new(0) };
    static BEING_SERVED: Cell<u32> = const { Cell::new(0) };
}

/// Guard: a request is being served until this is dropped.
pub struct InFlightRequest(());

impl InFlightRequest {
    /// Counts a request in.
    pub fn begin() -> Self {
        BEGUN.set(BEGUN.get().wrapping_add(1));
        BEING_SERVED.set(BEING_SERVED.get() + 1);
        Self(())
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        BEING_SERVED.set(BEING_SERVED.get() - 1);
    }
}

/// Whether this request is to spawn the background task: no other request of this instance has one waiting, or the instance
/// is used up.
pub fn is_due() -> bool {
    !UNDER_WAY.get() || is_used_up()
}

/// Whether the instance has probably served its last request.
fn is_used_up() -> bool {
    BEING_SERVED.get() == 0 && BEGUN.get().is_multiple_of(REQUESTS)
}

/// Flushes the counters to the database, and sweeps a small batch if work is due, which the same statement tells. Waits for a
/// second before, so that many requests share one flush, unless the instance is used up.
pub async fn flush_and_sweep(context: &Context) {
    if is_used_up() {
        flush(context).await;
        db::give_connection_back();
    } else if !UNDER_WAY.replace(true) {
        spin_sdk::time::sleep(Duration::from_secs(1)).await;
        UNDER_WAY.set(false);
        flush(context).await;
    }
}

async fn flush(context: &Context) {
    if !work::has_counted() {
        return;
    }
    match db::work::flush(&context.config, &work::take()).await {
        Ok(due) => {
            let context = Context::new(context.config.clone(), context.log.clone(), "sweep");
            sweep_some(&context, due).await;
        }
        Err(error) => context.log.debug("counts were lost", json!({ "cause": error.to_string() })),
    }
}
