//! What an instance does behind its answers, at most once a second: its counts go to the database, and a little of the sweep
//! is done, so that a deployment with nothing but health probes drives itself.

use super::Context;
use super::sweep::sweep_a_little;
use crate::db::work as table;
use crate::telemetry::work;
use serde_json::json;
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static UNDER_WAY: Cell<bool> = const { Cell::new(false) };
}

/// Whether some request of this instance sees to it already.
pub fn is_under_way() -> bool {
    UNDER_WAY.get()
}

/// Waits a second, takes the counts that have gathered to the database, and sweeps if that says that something is due. One
/// statement does both: an instance may live for less than a second, and makes it all the same.
pub async fn keep_house(context: &Context) {
    if UNDER_WAY.replace(true) {
        return;
    }
    spin_sdk::time::sleep(Duration::from_secs(1)).await;
    UNDER_WAY.set(false);
    match table::flush(&context.config, &work::take()).await {
        Ok(due) => {
            let context = Context::new(context.config.clone(), context.log.clone(), "sweep");
            sweep_a_little(&context, due).await;
        }
        Err(error) => context.log.debug("counts were lost", json!({ "cause": format!("{error:?}") })),
    }
}
