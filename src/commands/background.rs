//! What an instance does behind its answers: its counts go to the database, and a little of the sweep is done, so that a
//! deployment with nothing but health probes drives itself. At most once a second, and when the instance is used up.

use super::Context;
use super::sweep::sweep_some;
use crate::db;
use crate::telemetry::work;
use serde_json::json;
use std::cell::Cell;
use std::time::Duration;

/// Spin gives an instance so many requests, unless it is told otherwise. After the last one its connection would lie idle, so
/// that it is worth a guess when that is; a wrong one costs a statement in so many requests.
const REQUESTS: u32 = 128;

thread_local! {
    static UNDER_WAY: Cell<bool> = const { Cell::new(false) };
    static BEGUN: Cell<u32> = const { Cell::new(0) };
    static BEING_SERVED: Cell<u32> = const { Cell::new(0) };
}

/// A request that is being served, until this is dropped.
pub struct InFlightRequest(());

impl InFlightRequest {
    /// Counts a request.
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

/// Whether there is something to do that no other request of this instance sees to.
pub fn is_due() -> bool {
    !UNDER_WAY.get() || is_used_up()
}

/// Whether the instance has probably served its last request.
fn is_used_up() -> bool {
    BEING_SERVED.get() == 0 && BEGUN.get().is_multiple_of(REQUESTS)
}

/// Takes the counts that have gathered to the database, and sweeps if that says that something is due: one statement does
/// both. Waits for a second before, unless the instance is used up.
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
