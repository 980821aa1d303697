//! Work with a time budget: the answer is sent in time, and unfinished work goes on in a background task.

use super::Context;
use super::deliver::deliver_all;
use crate::db::DbError;
use crate::runtime::deadline;
use crate::telemetry::counters;
use serde_json::json;
use std::time::Duration;

/// Awaits `work` for at most `budget`. `None`: it goes on in a background task; if the instance dies meanwhile, the sweep claims
/// the order.
///
/// # Errors
/// Those of the work within the budget; later ones are logged.
pub async fn within_budget<T: 'static>(
    context: &Context,
    budget: Duration,
    work: impl Future<Output = Result<T, DbError>> + 'static,
) -> Result<Option<T>, DbError> {
    let mut work = Box::pin(work);
    if let Some(result) = deadline::timeout(budget, work.as_mut()).await {
        return result.map(Some);
    }
    let context = context.clone();
    counters::spawn_counted(async move {
        if let Err(error) = work.await {
            let cause = error.to_string();
            context.log.warn("work behind an answer is left to the sweep", json!({ "cause": cause }));
        }
        deliver_all(&context).await;
    });
    Ok(None)
}
