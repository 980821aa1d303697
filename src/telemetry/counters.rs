//! Counters of the instance's work, kept in memory until they are flushed to the database.
//!
//! An instance lives for 128 requests at most and a scrape reaches any one of many, so the counters are added to a small table
//! within a second, and any instance then answers `/metrics` for all. What could not be flushed is kept, and flushed again under the
//! same id, because it may have been counted. A trap or a kill loses the last second, or what was kept. So that nothing else does,
//! background work ends with [`flush_soon`]: no request may come after it. For statements alone there is no other flush: the last flush of an
//! instance is not counted itself.

use super::series::{self, BUCKETS, INFINITY, SUM, Series};
use crate::runtime::task::{self, take_busy_seconds};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use uuid::Uuid;

thread_local! {
    static COUNTED: RefCell<Counted> = const { RefCell::new(Counted { durations: Vec::new(), failures: Vec::new() }) };
    /// Batches that could not be flushed, the oldest first: one or two.
    static FAILED: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
    /// Called when something is to be flushed.
    static FLUSHER: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// What was counted since the last flush.
#[derive(Default)]
struct Counted {
    // A dozen at most, so a list is as fast as a map.
    durations: Vec<(Series, Histogram)>,
    /// Attempts of statements that failed, by class.
    failures: Vec<(&'static str, u32)>,
}

/// Durations that were observed.
#[derive(Default)]
struct Histogram {
    /// How many are in each bucket alone.
    buckets: [u32; BUCKETS],
    /// Their sum, in seconds.
    seconds: f64,
}

/// Counts that are flushed together.
#[derive(Debug)]
pub struct Batch {
    /// The idempotency key of the flush.
    pub id: Uuid,
    /// A list of objects with name, label and value.
    pub counts: Value,
    /// How many requests it counts.
    requests: u32,
    /// When its first flush failed.
    failed_at: Option<Instant>,
}

impl Batch {
    /// Whether it was flushed before, without success.
    pub fn is_repeated(&self) -> bool {
        self.failed_at.is_some()
    }
}

/// Counts something that took so long.
pub fn observe(series: Series, duration: Duration) {
    let seconds = duration.as_secs_f64();
    let bucket = series.bounds().iter().take_while(|bound| seconds > **bound).count();
    COUNTED.with_borrow_mut(|Counted { durations, .. }| {
        let known = durations.iter().position(|(other, _)| *other == series);
        let place = known.unwrap_or_else(|| {
            durations.push((series, Histogram::default()));
            durations.len() - 1
        });
        let histogram = &mut durations[place].1;
        histogram.buckets[bucket] += 1;
        histogram.seconds += seconds;
    });
}

/// Counts an attempt of a statement that failed.
pub fn count_failure(class: &'static str) {
    COUNTED.with_borrow_mut(|Counted { failures, .. }| {
        match failures.iter_mut().find(|(other, _)| *other == class) {
            Some((_, count)) => *count += 1,
            None => failures.push((class, 1)),
        }
    });
}

/// Sets what [`flush_soon`] calls, for this instance, whose first flush does so.
pub fn flush_by(flusher: impl Fn() + 'static) {
    FLUSHER.set(Some(Rc::new(flusher)));
}

/// Has flushed, soon and not at once, what was counted since the last flush. Before the first one there is nothing to do: it will come.
pub fn flush_soon() {
    if are_waiting()
        && let Some(flusher) = FLUSHER.with_borrow(Clone::clone)
    {
        flusher();
    }
}

/// Spawns background work that counts something, as [`task::spawn`] does.
pub fn spawn_counted(work: impl Future<Output = ()> + 'static) {
    task::spawn(async move {
        work.await;
        flush_soon();
    });
}

/// Whether anything was counted since the last flush but statements that succeeded: such as that flush, and claims that found nothing to
/// do. Else there would be one flush after the other for ever.
fn are_waiting() -> bool {
    let is_statement = |series: &Series| matches!(series, Series::Statement { .. });
    COUNTED.with_borrow(|Counted { durations, failures }| {
        !failures.is_empty() || durations.iter().any(|(series, _)| !is_statement(series))
    })
}

/// Takes the oldest batch that could not be flushed, else all that was counted since; none when there is nothing to flush.
pub fn take_batch() -> Option<Batch> {
    if let Some(failed) = FAILED.with_borrow_mut(|failed| (!failed.is_empty()).then(|| failed.remove(0))) {
        return Some(failed);
    }
    let counted = COUNTED.take();
    if counted.durations.is_empty() && counted.failures.is_empty() {
        return None;
    }
    let requests = counted.requests();
    Some(Batch { id: Uuid::now_v7(), counts: counted.rows(), requests, failed_at: None })
}

impl Counted {
    /// As they are flushed. A bucket that was not touched has no row.
    fn rows(self) -> Value {
        let mut rows = Vec::new();
        let mut push = |name: &str, label: String, value: f64| {
            rows.push(json!({ "name": name, "label": label, "value": value }));
        };
        for (series, histogram) in self.durations {
            for (place, count) in histogram.buckets.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                let bound = series.bounds().get(place).map_or_else(|| INFINITY.to_owned(), f64::to_string);
                push(series.name(), series.label(&bound), count.into());
            }
            push(series.name(), series.label(SUM), histogram.seconds);
        }
        for (class, count) in self.failures {
            push(series::STATEMENT_FAILURES, class.to_owned(), count.into());
        }
        push(series::BUSY_SECONDS, String::new(), take_busy_seconds());
        Value::Array(rows)
    }

    fn requests(&self) -> u32 {
        let requests = self.durations.iter().filter(|(series, _)| matches!(series, Series::Request { .. }));
        requests.map(|(_, histogram)| histogram.buckets.iter().sum::<u32>()).sum()
    }
}

/// Keeps a batch that could not be flushed, or may not have been.
pub fn keep(mut batch: Batch) {
    batch.failed_at.get_or_insert_with(task::now);
    FAILED.with_borrow_mut(|failed| {
        failed.push(batch);
        failed.sort_by_key(|batch| batch.failed_at);
    });
}

/// Since when flushes fail: the first failure of the oldest batch that is kept.
pub fn failing_since() -> Option<Instant> {
    FAILED.with_borrow(|failed| failed.first().and_then(|batch| batch.failed_at))
}

/// Drops everything that waits to be flushed, and returns how many requests it counted.
pub fn discard() -> u32 {
    let failed: u32 = FAILED.take().iter().map(|batch| batch.requests).sum();
    failed + COUNTED.take().requests()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, StatusCode};

    fn request(status: StatusCode) -> Series {
        Series::Request { method: (&Method::POST).into(), route: "/v1/orders", status }
    }

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn what_was_counted_since_the_last_flush_is_flushed_and_statements_alone_are_not() {
        let flushes = Rc::new(std::cell::Cell::new(0));
        let asked = || {
            flush_soon();
            flushes.take()
        };
        let observe_statement = |name| observe(Series::Statement { name }, milliseconds(1));
        let observe_call =
            || observe(Series::PeerCall { call: "seating.release", class: None }, milliseconds(1));
        observe_call();
        assert_eq!(asked(), 0, "nobody flushes yet");
        let counting = flushes.clone();
        flush_by(move || counting.set(counting.get() + 1));
        assert_eq!(asked(), 1);
        take_batch().expect("a call");
        observe_statement("flush_counters");
        observe_statement("claim_due_orders");
        assert_eq!(asked(), 0);
        count_failure("session_lost");
        assert_eq!(asked(), 1);
        take_batch().expect("all of it");
        assert_eq!(asked(), 0);
    }

    #[test]
    fn counts_of_the_same_are_summed_and_taken_once() {
        observe(request(StatusCode::CREATED), milliseconds(5));
        observe(request(StatusCode::CONFLICT), milliseconds(250));
        observe(request(StatusCode::CREATED), milliseconds(6));
        observe(Series::PeerCall { call: "seating.reserve", class: None }, milliseconds(10_001));
        for status in [StatusCode::OK, StatusCode::CREATED] {
            let class = Some(status.into());
            observe(Series::PeerCall { call: "seating.reserve", class }, milliseconds(1_000));
        }
        observe(Series::Statement { name: "read_order" }, milliseconds(1));
        count_failure("session_lost");
        count_failure("session_lost");
        let expected = json!([
            { "name": "http", "label": "POST /v1/orders 201 0.005", "value": 1.0 },
            { "name": "http", "label": "POST /v1/orders 201 0.01", "value": 1.0 },
            { "name": "http", "label": "POST /v1/orders 201 sum", "value": 0.011 },
            { "name": "http", "label": "POST /v1/orders 409 0.25", "value": 1.0 },
            { "name": "http", "label": "POST /v1/orders 409 sum", "value": 0.25 },
            { "name": "peer", "label": "seating.reserve none +Inf", "value": 1.0 },
            { "name": "peer", "label": "seating.reserve none sum", "value": 10.001 },
            { "name": "peer", "label": "seating.reserve 2xx 1", "value": 2.0 },
            { "name": "peer", "label": "seating.reserve 2xx sum", "value": 2.0 },
            { "name": "statement", "label": "read_order 0.001", "value": 1.0 },
            { "name": "statement", "label": "read_order sum", "value": 0.001 },
            { "name": "statement_failures", "label": "session_lost", "value": 2.0 },
            { "name": "busy_seconds", "label": "", "value": 0.0 },
        ]);
        let batch = take_batch().expect("it was counted");
        assert_eq!((&batch.counts, batch.is_repeated()), (&expected, false));
        assert!(take_batch().is_none());

        // What could not be flushed comes first and as it was, and then what was counted since.
        let id = batch.id;
        keep(batch);
        for _ in 0..2 {
            observe(request(StatusCode::SERVICE_UNAVAILABLE), milliseconds(1));
        }
        let repeated = take_batch().expect("it was kept");
        assert_eq!((repeated.id, &repeated.counts, repeated.is_repeated()), (id, &expected, true));
        assert_eq!(failing_since(), None);
        let newer = take_batch().expect("it was counted since");
        assert!(newer.id != id && !newer.is_repeated());
        keep(repeated);
        keep(newer);
        observe(request(StatusCode::OK), milliseconds(1));
        assert!(failing_since().is_some());
        assert_eq!(discard(), 6);
        assert!(take_batch().is_none() && failing_since().is_none());
    }
}
