//! Structured logs (JSON lines on stdout): time in UTC, level, message, request id, order id, and the ids of trace and
//! span where there are any.
//!
//! No secrets and no personal data: ids, codes and technical reasons only.

use crate::domain::ids::OrderId;
use crate::runtime::task::now;
use crate::telemetry::tracing::current;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The level of a log line, ascending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Details for debugging.
    Debug,
    /// What changed in orders.
    Info,
    /// Something was refused or postponed; the service recovers by itself.
    Warn,
    /// An operator should look at it.
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(())
    }
}

/// How many refused requests an instance writes to the log in a second.
const REFUSALS_A_SECOND: u32 = 5;

/// Rate limit of log lines: a number in each second, and a count of those beyond it.
#[derive(Default)]
struct Sampler {
    /// When the present second began.
    since: Option<Instant>,
    /// Lines written since then.
    written: u32,
    left_out: u64,
}

impl Sampler {
    /// Whether one more line may be written; else it is counted.
    fn admits(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (self.since, self.written) = (Some(now), 0);
        }
        if self.written < REFUSALS_A_SECOND {
            self.written += 1;
            return true;
        }
        self.left_out += 1;
        false
    }
}

thread_local! {
    static REFUSALS: Cell<Sampler> = Cell::default();
    static MIN_LEVEL: Cell<Level> = const { Cell::new(Level::Info) };
}

/// Sets the lowest level that is written, for this instance.
pub fn set_level(level: Level) {
    MIN_LEVEL.set(level);
}

/// A logger with the correlation ids of one request or background task. Cheap to clone.
#[derive(Clone, Default)]
pub struct Log {
    request_id: Rc<str>,
    order_id: Option<OrderId>,
}

impl Log {
    /// The logger of one request, or of a background task.
    pub fn new(request_id: &str) -> Self {
        Self { request_id: request_id.into(), order_id: None }
    }

    /// The same logger with an order id.
    pub fn order(&self, id: OrderId) -> Self {
        Self { request_id: self.request_id.clone(), order_id: Some(id) }
    }

    /// Whether lines of this level are written.
    pub fn writes(level: Level) -> bool {
        level >= MIN_LEVEL.get()
    }

    /// Writes a line; `fields` is a JSON object whose members are added to it.
    pub fn line(&self, level: Level, message: &str, fields: Value) {
        if !Self::writes(level) {
            return;
        }
        let mut line = Map::new();
        line.insert("time".into(), json!(rfc3339(SystemTime::now())));
        line.insert("level".into(), json!(level.as_str()));
        line.insert("message".into(), json!(message));
        line.insert("request_id".into(), json!(&*self.request_id));
        line.insert("order_id".into(), json!(self.order_id));
        if let Some((trace_id, span_id)) = current::ids() {
            line.insert("trace_id".into(), json!(trace_id.to_string()));
            line.insert("span_id".into(), json!(span_id.to_string()));
        }
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        // println! would panic when the host cannot write, and take every request of the instance with it.
        let _ = writeln!(std::io::stdout(), "{}", Value::Object(line));
    }

    /// Writes a line at level debug.
    pub fn debug(&self, message: &str, fields: Value) {
        self.line(Level::Debug, message, fields);
    }

    /// Writes a line at level warn.
    pub fn warn(&self, message: &str, fields: Value) {
        self.line(Level::Warn, message, fields);
    }

    /// Writes a line at level warn about a refused request, or counts it: at most `REFUSALS_A_SECOND` are written, so that
    /// nobody can fill the logs by being refused. See [`Self::refusals_left_out`].
    pub fn refusal(&self, message: &str, fields: Value) {
        if !Self::writes(Level::Warn) {
            return;
        }
        let mut sampler = REFUSALS.take();
        if sampler.admits(now()) {
            self.warn(message, fields);
        }
        REFUSALS.set(sampler);
    }

    /// Writes how many lines about refusals were left out since it was last told, if any were. For the background task that runs
    /// within a second of every request.
    pub fn refusals_left_out(&self) {
        let mut sampler = REFUSALS.take();
        let left_out = std::mem::take(&mut sampler.left_out);
        REFUSALS.set(sampler);
        if left_out > 0 {
            self.warn("refusals were left out of the log", json!({ "count": left_out }));
        }
    }

    /// Writes a line at level error.
    pub fn error(&self, message: &str, fields: Value) {
        self.line(Level::Error, message, fields);
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = DateTime::from_timestamp(since.as_secs() as i64, since.subsec_nanos()).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second_are_written_and_the_others_are_counted() {
        let begun = Instant::now();
        let mut sampler = Sampler::default();
        let written = |sampler: &mut Sampler, ms: u64| {
            (0..100).filter(|_| sampler.admits(begun + Duration::from_millis(ms))).count() as u32
        };
        assert_eq!(written(&mut sampler, 0), REFUSALS_A_SECOND);
        assert_eq!(written(&mut sampler, 999), 0);
        assert_eq!(written(&mut sampler, 1_000), REFUSALS_A_SECOND);
        assert_eq!(sampler.left_out, 300 - 2 * u64::from(REFUSALS_A_SECOND));
    }
}
