//! Background tasks of an instance, after its responses: it flushes its counters to the database, at most once a second and when the
//! instance is used up, and sweeps when that statement tells that work is due, so that a deployment with nothing but health probes
//! drives itself. The database tells it to one instance a second. What background work counts after that is flushed when it has ended.

use super::Context;
use super::export_spans;
use super::in_flight::is_used_up;
use super::sweep::sweep_in_background;
use crate::config::Config;
use crate::db::{self, DbError};
use crate::runtime::random::jitter;
use crate::runtime::task::{self, in_background};
use crate::telemetry::counters;
use crate::telemetry::log::Log;
use crate::telemetry::tracing::current;
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Between two flushes of an instance, at most.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// The same at most while they fail; each interval is twice as long as the one before.
const RETRY_INTERVAL: Duration = Duration::from_secs(4);
/// Jitter, subtracted from the first at most: instances that began together would open a connection each for their flushes at the
/// same time.
const FLUSH_JITTER: Duration = Duration::from_millis(500);
/// For how long counts that cannot be flushed are kept at most. Meanwhile the instance goes on serving requests.
const KEEP_LIMIT: Duration = Duration::from_secs(30);
/// The same of an instance that is used up: it is kept for its counts alone, and while every request is answered with 503 there may
/// be many of those.
const KEEP_LIMIT_USED_UP: Duration = Duration::from_secs(5);

thread_local! {
    static FLUSH_SCHEDULED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this request is to spawn the background task: no other request of this instance has one waiting, or the instance
/// is used up.
pub fn is_due() -> bool {
    !FLUSH_SCHEDULED.get() || is_used_up()
}

/// Flushes the counters to the database, and sweeps if work is due, and once more what that and other background work has counted.
/// It is no part of the request's trace.
pub async fn flush_and_sweep(context: &Context) {
    let config = context.config.clone();
    counters::flush_by(move || {
        // Another task that waits to flush does so within a second. A used-up instance does not flush beside it: while the database fails,
        // that would be one attempt after the other, because each counts a failure.
        if !FLUSH_SCHEDULED.get() {
            task::spawn_for_instance(flush_for_instance(config.clone()));
        }
    });
    current::outside(flush_until_done(context)).await;
    counters::flush_soon();
}

async fn flush_for_instance(config: Rc<Config>) {
    flush_and_sweep(&Context::new(config, Log::default(), "sweep")).await;
}

/// Flushes the counters to the database, and sweeps if work is due, which the same statement tells. Waits for a
/// second at most before, so that many requests share one flush, unless the instance is used up. A flush that fails is repeated, as long as
/// the counts are kept.
async fn flush_until_done(context: &Context) {
    if is_used_up() {
        export_spans::export_rest(&context.config).await;
        let flushed = flush(context).await;
        db::release_connection();
        if flushed.is_ok() {
            return;
        }
    }
    let mut interval = FLUSH_INTERVAL - jitter(FLUSH_JITTER);
    // While another task waits, that one flushes what there is.
    while !FLUSH_SCHEDULED.replace(true) {
        let scheduled = ScheduledFlush;
        spin_sdk::time::sleep(interval).await;
        drop(scheduled);
        let Err(error) = flush(context).await else { return };
        let failing_for = counters::failing_since().map(|since| since.elapsed()).unwrap_or_default();
        let Some(next) = next_interval(interval, failing_for, is_used_up()) else {
            let fields = json!({ "requests": counters::discard(), "cause": error.to_string() });
            context.log.warn("counts were lost", fields);
            return;
        };
        interval = next;
    }
}

/// How long to wait before the next flush, when flushes have failed for so long; none when the counts are given up. The last
/// attempt begins when the time for which they are kept is over.
fn next_interval(last: Duration, failing_for: Duration, is_used_up: bool) -> Option<Duration> {
    let limit = if is_used_up { KEEP_LIMIT_USED_UP } else { KEEP_LIMIT };
    let left = limit.checked_sub(failing_for).filter(|left| !left.is_zero())?;
    Some(RETRY_INTERVAL.min(2 * last).min(left))
}

/// Guard: a background task waits to flush. Dropped also when the host cancels that task: the next request spawns another.
struct ScheduledFlush;

impl Drop for ScheduledFlush {
    fn drop(&mut self) {
        FLUSH_SCHEDULED.set(false);
    }
}

async fn flush(context: &Context) -> Result<(), DbError> {
    context.log.refusals_left_out();
    let mut due = None;
    // What failed before, and then what was counted since, once.
    while let Some(batch) = counters::take_batch() {
        match in_background(db::metrics::flush_counters(&context.config, &batch)).await {
            // The last scan knows best.
            Ok(found) => due = found.or(due),
            Err(error) => {
                counters::keep(batch);
                context.log.debug("counts could not be flushed", json!({ "cause": error.to_string() }));
                return Err(error);
            }
        }
        if !batch.is_repeated() {
            break;
        }
        context.log.debug("kept counts were flushed", json!({}));
    }
    if let Some(due) = due {
        let context = Context::new(context.config.clone(), context.log.clone(), "sweep");
        sweep_in_background(&context, due).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the flushes begin that all fail, each after so long, in seconds since the first failure.
    fn attempts(flush_takes: Duration, is_used_up: bool) -> Vec<f64> {
        let (mut now, mut interval, mut begun) = (Duration::ZERO, FLUSH_INTERVAL, Vec::new());
        while let Some(next) = next_interval(interval, now, is_used_up) {
            now += next;
            begun.push(now.as_secs_f64());
            (interval, now) = (next, now + flush_takes);
        }
        begun
    }

    #[test]
    fn counts_that_cannot_be_flushed_are_kept_for_thirty_seconds_at_most() {
        let refused = attempts(Duration::ZERO, false);
        assert_eq!(refused, [2.0, 6.0, 10.0, 14.0, 18.0, 22.0, 26.0, 30.0]);
        // Each waits for an answer in vain.
        for flush_takes in (0..=4_000).step_by(100).map(Duration::from_millis) {
            let begun = attempts(flush_takes, false);
            let last = begun.last().copied().unwrap_or_default();
            assert!(last <= 30.0 && last + flush_takes.as_secs_f64() >= 30.0, "{flush_takes:?}: {begun:?}");
        }
    }

    #[test]
    fn an_instance_that_is_used_up_is_kept_for_five_seconds_at_most() {
        assert_eq!(attempts(Duration::ZERO, true), [2.0, 5.0]);
        assert!(next_interval(FLUSH_INTERVAL, KEEP_LIMIT_USED_UP, true).is_none());
        assert!(next_interval(FLUSH_INTERVAL, KEEP_LIMIT_USED_UP, false).is_some());
    }
}
