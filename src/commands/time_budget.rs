//! Work with a budget: the answer leaves in time, and what is not finished by then goes on behind it.

use super::Context;
use super::deliver::deliver_all;
use crate::db::DbError;
use crate::runtime::{deadline, task};
use serde_json::json;
use std::time::Duration;

/// Runs `work` for at most `budget`. `None`: it goes on in the background; should the host end meanwhile, the sweep
/// finds the order again.
///
/// # Errors
/// Those of the work, if they come in time; later ones are logged.
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
    task::spawn(async move {
        if let Err(error) = work.await {
            let cause = error.to_string();
            context.log.warn("work behind an answer is left to the sweep", json!({ "cause": cause }));
        }
        deliver_all(&context).await;
    });
    Ok(None)
}
