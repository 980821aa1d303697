//! Work with a budget: the answer leaves in time, and what is not finished by then goes on behind it.

use super::Context;
use super::deliver::deliver_all;
use crate::db::DbError;
use crate::task;
use futures::future::{Either, select};
use serde_json::json;
use std::pin::pin;
use std::time::Duration;

/// Runs `work` for at most `budget`. `None`: it goes on in the background; should the host end meanwhile, the sweep
/// finds the order again.
///
/// # Errors
/// Those of the work, if they come in time; later ones are logged.
pub async fn within<T: 'static>(
    context: &Context,
    budget: Duration,
    work: impl Future<Output = Result<T, DbError>> + 'static,
) -> Result<Option<T>, DbError> {
    match select(Box::pin(work), pin!(spin_sdk::time::sleep(budget))).await {
        Either::Left((result, _)) => result.map(Some),
        Either::Right(((), unfinished)) => {
            let context = context.clone();
            task::spawn(async move {
                if let Err(error) = unfinished.await {
                    let cause = format!("{error:?}");
                    context.log.warn("work behind an answer is left to the sweep", json!({ "cause": cause }));
                }
                deliver_all(&context).await;
            });
            Ok(None)
        }
    }
}
