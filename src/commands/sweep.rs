//! The sweep: claims what is due, and moves it on by the same code as the requests.
//!
//! It takes no input: whatever a crash, a lost answer or a silent peer has left behind is due, and its phase says what
//! to do.

use super::Context;
use super::deliver::{deliver, deliver_all};
use super::drive::drive;
use crate::db::{DbError, orders, outbox};
use futures::future::{join, join_all};
use serde_json::json;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// What a sweep did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Swept {
    /// Orders that were due and were moved on.
    pub orders: usize,
    /// Messages that were due and were sent.
    pub messages: usize,
}

/// Orders, and messages, claimed at once. The whole batch must be dealt with within its lease.
const BATCH: i32 = 16;
/// No new batch is begun after this.
const BUDGET: Duration = Duration::from_secs(10);

/// Does the work that is due now, until there is none or the time is over.
///
/// # Errors
/// [`DbError`] when due work cannot be claimed.
pub async fn sweep(context: &Context) -> Result<Swept, DbError> {
    let begun = Instant::now();
    let mut total = Swept::default();
    loop {
        let batch = sweep_batch(context, BATCH).await?;
        total.orders += batch.orders;
        total.messages += batch.messages;
        if batch.orders + batch.messages == 0 || begun.elapsed() > BUDGET {
            return Ok(total);
        }
    }
}

async fn sweep_batch(context: &Context, limit: i32) -> Result<Swept, DbError> {
    let config = &context.config;
    let (orders, messages) = join(orders::claim_due(config, limit), outbox::claim_due(config, limit)).await;
    let (orders, messages) = (orders?, messages?);
    let swept = Swept {
        orders: orders.len(),
        messages: messages.len(),
    };
    let drives = orders.into_iter().map(|order| async move {
        let log = context.log.order(order.id);
        if let Err(error) = drive(context, order).await {
            log.warn(
                "an order is left for the next sweep",
                json!({ "cause": format!("{error:?}") }),
            );
        }
    });
    join(
        join_all(drives),
        join_all(messages.iter().map(|message| deliver(context, message))),
    )
    .await;
    deliver_all(context).await;
    Ok(swept)
}

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A little of the sweep, after a response: at most once a second per instance, so that a deployment with nothing but
/// health probes drives itself.
pub async fn sweep_a_little(context: &Context) {
    let due = LAST
        .get()
        .is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
    if !due {
        return;
    }
    LAST.set(Some(Instant::now()));
    if let Err(error) = sweep_batch(context, 4).await {
        context.log.debug(
            "the sweep after a response could not claim work",
            json!({ "cause": format!("{error:?}") }),
        );
    }
}
