//! The sweep, which recovers and retries: claims due orders and messages, and drives them by the same code as the requests.
//!
//! It takes no input: what a crash, a lost answer or a silent peer has left behind is due, and its phase says what to do.
//! It is background work: none of its statements runs on the requests' connection.

use super::Context;
use super::deliver::{deliver, deliver_all};
use super::deliver_events::deliver_due;
use super::drive::drive;
use super::{payment_check, second_payment};
use crate::db::metrics::Due;
use crate::db::payment_refunds::Claim;
use crate::db::{DbError, operator, orders, outbox, payment_refunds};
use crate::domain::ids::OrderId;
use crate::domain::order::Order;
use crate::domain::trace::StoredTrace;
use crate::runtime::task::in_background;
use crate::telemetry::counters;
use crate::telemetry::log::Log;
use crate::telemetry::tracing::current::{self, Scope};
use crate::telemetry::tracing::ended::Kind;
use futures::future::{join, join_all, join3};
use serde_json::json;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How much a sweep did.
#[derive(Clone, Copy, Default, Debug)]
pub struct SweepCounts {
    /// Due orders that were driven.
    pub orders: usize,
    /// Due messages that were sent, and orders whose events were, for each sink.
    pub messages: usize,
}

/// Batch size: orders, or messages, claimed at once. The whole batch must be processed within its lease.
const BATCH: i32 = 16;
/// Time budget: no new batch is begun after it.
const BUDGET: Duration = Duration::from_secs(10);
/// Batch size and time budget in the background of other requests. One instance at a time finds out that work is due, so it goes on
/// while there are orders or messages; when more is due after a second, another one joins it.
const BACKGROUND_BATCH: i32 = 4;
const BACKGROUND_BUDGET: Duration = Duration::from_secs(5);
/// Batch size: orders whose events are claimed at once for a sink.
const EVENTS_BATCH: i32 = 64;

/// Processes due work until there is none or the time budget is used. Orders do not wait for messages. Somebody asks for it, so that
/// what was written by hand with a due time in the past is looked for, too.
///
/// # Errors
/// [`DbError`] when due work cannot be claimed.
pub async fn sweep(context: &Context) -> Result<SweepCounts, DbError> {
    operator::request_full_scan(&context.config).await?;
    let (orders, messages, events) = in_background(spanned(join3(
        until_none_is_due(BUDGET, async || sweep_orders(context, BATCH).await),
        until_none_is_due(BUDGET, async || sweep_messages(context, BATCH).await),
        sweep_events(context, BUDGET, 1),
    )))
    .await;
    Ok(SweepCounts { orders: orders?, messages: messages? + events? })
}

/// How much of a kind was swept.
type Swept = Result<usize, DbError>;

/// Does a sweep's work in a span of its own, which tells how much it was.
async fn spanned(work: impl Future<Output = (Swept, Swept, Swept)>) -> (Swept, Swept, Swept) {
    let mut span = current::begin(Kind::Internal, || "sweep".into());
    let (orders, messages, events) = current::within(span.as_ref(), work).await;
    if let Some(span) = &mut span {
        for (name, result) in [
            ("order_service.sweep.orders", &orders),
            ("order_service.sweep.messages", &messages),
            ("order_service.sweep.events", &events),
        ] {
            match result {
                Ok(count) => span.set(name, *count as i64),
                Err(error) => span.fail(error.error_type()),
            }
        }
    }
    if let Some(span) = span {
        span.end();
    }
    (orders, messages, events)
}

/// Repeats a batch until it finds nothing or the time budget is used; returns how much it processed.
async fn until_none_is_due(
    budget: Duration,
    batch: impl AsyncFn() -> Result<usize, DbError>,
) -> Result<usize, DbError> {
    until_fewer_are_due(1, budget, batch).await
}

/// Repeats a batch until it finds fewer than `least` or the time budget is used; returns how much it processed.
async fn until_fewer_are_due(
    least: usize,
    budget: Duration,
    batch: impl AsyncFn() -> Result<usize, DbError>,
) -> Result<usize, DbError> {
    let begun = Instant::now();
    let mut total = 0;
    loop {
        let count = batch().await?;
        total += count;
        if count < least || begun.elapsed() > budget {
            return Ok(total);
        }
    }
}

/// Does work for a claimed order in its trace.
fn for_order<F: Future>(id: OrderId, trace: Option<StoredTrace>, work: F) -> impl Future<Output = F::Output> {
    current::continuing("sweep order", id.0, trace, work)
}

/// Drives a batch of due orders, and spawns the delivery of their messages as background tasks.
async fn sweep_orders(context: &Context, limit: i32) -> Result<usize, DbError> {
    let claimed = orders::claim_due(&context.config, limit).await?;
    let count = claimed.len();
    let drives = claimed.into_iter().map(|order| async move {
        match order {
            Ok(order) => for_order(order.id, order.trace.clone(), sweep_order(context, order)).await,
            Err(unreadable) => log_left(&context.log, &unreadable),
        }
    });
    let (_, refunded) = join(join_all(drives), sweep_second_payments(context, limit)).await;
    Ok(count + refunded?)
}

async fn sweep_order(context: &Context, order: Order) {
    let id = order.id;
    if let Err(error) = drive(context, order).await {
        log_left(&context.log.order(id), &error);
    }
    deliver_in_background(context);
}

fn log_left(log: &Log, error: &DbError) {
    log.warn("an order is left for a later sweep", json!({ "cause": error.to_string() }));
}

/// Notification may be slow, and the next batch must not wait for it.
fn deliver_in_background(context: &Context) {
    let messages = Context { messages: Rc::new(context.messages.take().into()), ..context.clone() };
    counters::spawn_counted(async move { deliver_all(&messages).await });
}

/// Refunds a batch of second payments that are due, and checks those that are to be checked. They count as orders.
async fn sweep_second_payments(context: &Context, limit: i32) -> Result<usize, DbError> {
    let claimed = payment_refunds::claim_due(&context.config, limit).await?;
    let count = claimed.len();
    let refunds = claimed.into_iter().map(|claimed| async move {
        let result = match claimed {
            Ok((Claim::Refund(claimed), order)) => {
                let refund = second_payment::refund(context, &order, &claimed);
                for_order(order.id, order.trace.clone(), refund).await
            }
            Ok((Claim::Check(claimed), order)) => {
                let (id, trace) = (order.id, order.trace.clone());
                for_order(id, trace, payment_check::check(context, order, &claimed)).await
            }
            Err(unreadable) => Err(unreadable),
        };
        if let Err(error) = result {
            let fields = json!({ "cause": error.to_string() });
            context.log.warn("a second payment is left for a later sweep", fields);
        }
        deliver_in_background(context);
    });
    join_all(refunds).await;
    Ok(count)
}

async fn sweep_messages(context: &Context, limit: i32) -> Result<usize, DbError> {
    let messages = outbox::claim_due(&context.config, limit).await?;
    let count = messages.len();
    let deliveries = messages.into_iter().map(|(message, trace)| async move {
        for_order(message.order_id, trace, deliver(context, &message)).await;
    });
    join_all(deliveries).await;
    Ok(count)
}

/// Sends events until a batch has fewer than `least` or the time budget is used, for each sink by itself: one that is slow holds up no other.
async fn sweep_events(context: &Context, budget: Duration, least: usize) -> Swept {
    let sinks = context.config.events.sinks();
    let sweeps = sinks.map(|sink| {
        until_fewer_are_due(least, budget, async move || deliver_due(context, sink, EVENTS_BATCH).await)
    });
    join_all(sweeps).await.into_iter().sum()
}

/// Sweeps in the background of other requests: small batches of orders and messages, and of events as long as batches are full. Errors are
/// logged.
pub async fn sweep_in_background(context: &Context, due: Due) {
    let orders = async {
        if due.orders {
            let batch = async || sweep_orders(context, BACKGROUND_BATCH).await;
            until_none_is_due(BACKGROUND_BUDGET, batch).await
        } else {
            Ok(0)
        }
    };
    let messages = async {
        if due.messages {
            let batch = async || sweep_messages(context, BACKGROUND_BATCH).await;
            until_none_is_due(BACKGROUND_BUDGET, batch).await
        } else {
            Ok(0)
        }
    };
    // While many orders are placed, a few more are due whenever a batch is done. They wait for the next scan, within a second: to claim them
    // one by one would cost more than to place them.
    let full = EVENTS_BATCH as usize;
    let events =
        async { if due.events { sweep_events(context, BACKGROUND_BUDGET, full).await } else { Ok(0) } };
    let is_due = due.orders || due.messages || due.events && context.config.events.has_sinks();
    let work = in_background(spanned(join3(orders, messages, events)));
    let (orders, messages, events) = match Scope::of_root().filter(|_| is_due) {
        Some(scope) => scope.run(work).await,
        None => work.await,
    };
    if let Err(error) = orders.and(messages).and(events) {
        context
            .log
            .debug("the sweep after a response could not claim work", json!({ "cause": error.to_string() }));
    }
}
