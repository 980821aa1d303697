//! Exports spans to the collector, after responses: those of all requests of the instance together, about once a second.
//!
//! It is never in the way: what the collector does not take in time is dropped, and told in the log at level debug.

use super::in_flight::is_used_up;
use crate::config::{Config, Tracing};
use crate::peers::collector::{self, Outcome};
use crate::runtime::deadline::timeout;
use crate::runtime::random::jitter;
use crate::runtime::task;
use crate::telemetry::counters;
use crate::telemetry::log::Log;
use crate::telemetry::tracing::ended;
use crate::telemetry::tracing::otlp;
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The most spans of one request to the collector.
const BATCH: usize = 512;
/// Between the first span and its export.
const INTERVAL: Duration = Duration::from_secs(1);
/// Jitter, subtracted from it at most.
const JITTER: Duration = Duration::from_millis(500);
/// The deadline of a request to the collector. A stalled one keeps an instance that is used up for so long.
const DEADLINE: Duration = Duration::from_secs(3);
/// For how long the last flush of an instance waits for the export before it.
const EXPORT_FIRST: Duration = Duration::from_millis(100);
/// For how long a batch is tried again, at most.
const RETRY_LIMIT: Duration = Duration::from_secs(30);
/// The same of an instance that is used up: it is kept for its spans alone.
const RETRY_LIMIT_USED_UP: Duration = Duration::from_secs(3);
/// While it waits it looks again after so long, whether the instance is used up now.
const LOOK_AGAIN: Duration = RETRY_LIMIT_USED_UP;
/// How long to wait before the first retry; each wait is twice as long as the one before, and has jitter on top of it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

thread_local! {
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
    static IS_SCHEDULED: Cell<bool> = const { Cell::new(false) };
    /// The collector has asked to be left alone until then.
    static NOT_BEFORE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has the spans of this instance exported, by a background task that the first span which waits begins.
pub fn begin(config: &Rc<Config>) {
    if config.tracing.is_none() || HAS_BEGUN.replace(true) {
        return;
    }
    let config = config.clone();
    ended::export_by(move || {
        if !IS_SCHEDULED.replace(true) {
            let exported = export(Scheduled, config.clone());
            task::spawn_for_instance(async move {
                exported.await;
                counters::flush_soon();
            });
        }
    });
}

/// Guard: an export is scheduled. Dropped also when the host cancels its task: the next span begins another.
struct Scheduled;

impl Drop for Scheduled {
    fn drop(&mut self) {
        IS_SCHEDULED.set(false);
    }
}

/// Exports what waits at once, for an instance that is used up, so that the flush which follows counts it. Waits for it a moment at most: a
/// slow collector must not keep the instance's connection; the rest is done in the background.
pub(super) async fn export_rest(config: &Rc<Config>) {
    if !ended::are_waiting() {
        return;
    }
    let config = config.clone();
    let mut exporting = Box::pin(async move {
        if let Some(tracing) = &config.tracing {
            export_waiting(tracing).await;
        }
    });
    if timeout(EXPORT_FIRST, exporting.as_mut()).await.is_none() {
        counters::spawn_counted(exporting);
    }
}

/// Exports the spans that wait, until there are none.
async fn export(_scheduled: Scheduled, config: Rc<Config>) {
    let Some(tracing) = &config.tracing else { return };
    while ended::are_waiting() {
        if !is_used_up() {
            spin_sdk::time::sleep(INTERVAL - jitter(JITTER)).await;
        }
        export_waiting(tracing).await;
        if is_used_up() {
            return;
        }
    }
}

async fn export_waiting(tracing: &Tracing) {
    loop {
        let batch = ended::take(BATCH);
        let count = batch.len();
        if count == 0 {
            break;
        }
        let is_answered = send(tracing, otlp::encode(&tracing.service_name, batch), count).await;
        if !is_answered && is_used_up() {
            // Each further batch would keep the instance for as long.
            ended::count_dropped(ended::take(ended::QUEUE_LIMIT).len());
        }
    }
    let dropped = ended::take_dropped();
    if dropped > 0 {
        Log::default().debug("spans were dropped", json!({ "count": dropped }));
    }
}

/// Sends a batch of so many spans, and sends it again as long as that may help. False: the collector neither takes it nor refuses it.
async fn send(tracing: &Tracing, batch: Vec<u8>, count: usize) -> bool {
    let begun = Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        let pause = NOT_BEFORE.get().map(|at| at.saturating_duration_since(Instant::now()));
        let pause = pause.unwrap_or_default();
        let limit = if is_used_up() { RETRY_LIMIT_USED_UP } else { RETRY_LIMIT };
        if begun.elapsed() + pause > limit {
            ended::count_dropped(count);
            return false;
        }
        if !pause.is_zero() {
            spin_sdk::time::sleep(pause.min(LOOK_AGAIN)).await;
            continue;
        }
        let before = NOT_BEFORE.get();
        match collector::send_spans(tracing, batch.clone(), DEADLINE).await {
            Outcome::Taken { rejected } => {
                // It may have asked for time since, when it was sent another batch.
                if NOT_BEFORE.get() == before {
                    NOT_BEFORE.set(None);
                }
                ended::count_dropped(rejected.min(count));
                return true;
            }
            lost @ (Outcome::Refused | Outcome::Unanswered) => {
                ended::count_dropped(count);
                return lost == Outcome::Refused;
            }
            Outcome::Later(asked) => {
                let next = asked.unwrap_or_default().max(wait);
                NOT_BEFORE.set(NOT_BEFORE.get().max(Some(Instant::now() + next + jitter(JITTER))));
                wait *= 2;
            }
        }
    }
}
