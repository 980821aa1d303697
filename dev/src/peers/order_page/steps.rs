//! The life of an order as a list of steps: who has asked whom for what, what came of it, and how the order changed by it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::records::{Records, attempt_of};
use crate::peers::contract::Peer;
use crate::peers::record::RecordedCall;
use crate::peers::spans::Span;

/// Who takes part, in the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Participant {
    Shop,
    Service,
    Database,
    Catalog,
    Seating,
    Payment,
    Notification,
    User,
    Events,
}

impl Participant {
    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Participant::Shop => "Shop (buyer)",
            Participant::Service => "Order Service",
            Participant::Database => "PostgreSQL",
            Participant::Catalog => "Catalog",
            Participant::Seating => "Seating",
            Participant::Payment => "Payment",
            Participant::Notification => "Notification",
            Participant::User => "User",
            Participant::Events => "Events (sink)",
        }
    }

    fn of_peer(peer: Peer) -> Participant {
        match peer {
            Peer::Catalog => Participant::Catalog,
            Peer::Seating => Participant::Seating,
            Peer::Payment => Participant::Payment,
            Peer::Notification => Participant::Notification,
            Peer::User => Participant::User,
            Peer::Events => Participant::Events,
        }
    }

    /// Of the name of a call in a span, as `payment.charge`.
    fn of_peer_call(name: &str) -> Option<Participant> {
        let (peer, _) = name.split_once('.')?;
        serde_json::from_value(json!(peer)).ok().map(Participant::of_peer)
    }
}

/// An exchange of a request and an answer; or, when `from` is `to`, something that happens there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub from: Participant,
    pub to: Participant,
    pub what: String,
    /// The status, or why there is none.
    pub outcome: Option<String>,
    pub has_failed: bool,
    /// Counts from 1; each further one follows one of the same kind that had no answer, or one that asks to try again.
    pub attempt: usize,
    /// In microseconds since 1970.
    pub begun_us: i64,
    /// `None`: it is under way.
    pub ended_us: Option<i64>,
    /// What else is known.
    pub details: Vec<(&'static str, String)>,
}

impl Step {
    /// Whether it is no exchange.
    pub fn is_note(&self) -> bool {
        self.from == self.to
    }

    /// How long it took, in microseconds.
    pub fn took_us(&self) -> Option<i64> {
        self.ended_us.filter(|_| !self.is_note()).map(|ended| ended - self.begun_us)
    }

    /// Between two at a time.
    fn between(from: Participant, to: Participant, what: String, times: (i64, Option<i64>)) -> Step {
        let (begun_us, ended_us) = times;
        let ended_us = ended_us.map(|ended| ended.max(begun_us));
        Step {
            from,
            to,
            what,
            outcome: None,
            has_failed: false,
            attempt: 1,
            begun_us,
            ended_us,
            details: Vec::new(),
        }
    }

    fn with_span(mut self, span: &Span) -> Step {
        let shown = [
            ("path", "url.path"),
            ("URL", "url.full"),
            ("user agent", "user_agent.original"),
            ("event", "order_service.event"),
            ("error", "error.type"),
        ];
        let texts = shown.into_iter().map(|(name, attribute)| (name, span.text(attribute).to_owned()));
        self.details.extend(texts.filter(|(_, text)| !text.is_empty()));
        self.details.push(("trace", span.trace_id.clone()));
        self.details.push(("span", span.span_id.clone()));
        self
    }

    /// With the status of a span's answer, or with its error.
    fn with_outcome_of(mut self, span: &Span) -> Step {
        let status = span.attributes.get("http.response.status_code").and_then(Value::as_i64);
        self.outcome = match (status, span.text("error.type")) {
            (Some(status), _) => Some(status.to_string()),
            (None, "") => None,
            (None, error) => Some(error.to_owned()),
        };
        self.has_failed = span.has_failed || status.is_some_and(|status| status >= 400);
        self
    }
}

/// All steps, by their begin.
pub(super) fn steps(records: &Records) -> Vec<Step> {
    let attempts: HashMap<(&str, &str), &Arc<Span>> =
        records.spans.iter().map(|span| (span.key(), span)).collect();
    let mut used: HashSet<(&str, &str)> = HashSet::new();
    let mut steps = Vec::new();
    for call in &records.calls {
        let key = attempt_of(call);
        let span = key.as_ref().and_then(|(trace, span)| attempts.get(&(&**trace, &**span)));
        used.extend(span.map(|span| span.key()));
        steps.push(of_call(call, span.map(|span| &***span)));
    }
    for callback in &records.callbacks {
        let times = (
            callback.started_at_ms * 1_000,
            callback.started_at_ms * 1_000 + callback.took_ms as i64 * 1_000,
        );
        let is_its = |span: &&Arc<Span>| {
            is_callback(span)
                && !used.contains(&span.key())
                && (times.0..=times.1 + 1_000).contains(&span.begun_us)
        };
        let span = records.spans.iter().find(is_its);
        let what = format!("callback {}", callback.sent["status"].as_str().unwrap_or_default());
        let times = span.map_or(times, |span| (span.begun_us, span.ended_us));
        let mut step =
            Step::between(Participant::Payment, Participant::Service, what, (times.0, Some(times.1)));
        step.outcome = Some(match callback.status {
            Some(status) => status.to_string(),
            None => callback.answer.as_str().unwrap_or("no answer").to_owned(),
        });
        step.has_failed = callback.status.is_none_or(|status| status >= 400);
        step.details.push(("sent", callback.sent.to_string()));
        step.details.push(("answer", callback.answer.to_string()));
        if let Some(span) = span {
            used.insert(span.key());
            step = step.with_span(span);
        }
        steps.push(step);
    }
    // A request in another trace is not about the order: it has swept what was due of many.
    let is_others = |span: &Span| span.kind == "SPAN_KIND_SERVER" && !records.traces.contains(&span.trace_id);
    let rest = records.spans.iter().filter(|span| !used.contains(&span.key()) && !is_others(span));
    // The span of a transition ends a little later than its statement, after which others begin.
    let statements = records.spans.iter().filter(|span| !span.text("db.system.name").is_empty());
    let stored: HashMap<(&str, &str), i64> =
        statements.map(|span| ((&*span.trace_id, &*span.parent_span_id), span.ended_us)).collect();
    let stored = |span: &Span| stored.get(&span.key()).copied().unwrap_or(span.ended_us);
    steps.extend(rest.filter_map(|span| of_span(span, stored(span))));
    steps.extend(records.events.iter().filter(|taken| taken.sink != "http").map(|taken| {
        let at = taken.taken_at_ms * 1_000;
        let text = |name: &str| taken.event[name].as_str().unwrap_or_default().to_owned();
        let what = format!("{} #{}", text("type"), text("sequence").trim_start_matches('0'));
        let mut step = Step::between(Participant::Service, Participant::Events, what, (at, Some(at)));
        step.outcome = Some(taken.sink.clone());
        step
    }));
    steps.sort_by_key(|step| step.begun_us);
    count_attempts(&mut steps);
    steps
}

/// A peer's call, by the caller's clock where its span is known.
fn of_call(call: &RecordedCall, span: Option<&Span>) -> Step {
    let name = json!(call.call);
    let name = name.as_str().unwrap_or_default();
    let what = match (&call.detail, call.peer) {
        (Some(detail), Peer::Events) => detail.clone(),
        (Some(detail), _) => format!("{name} {detail}"),
        (None, _) => name.to_owned(),
    };
    let begun = call.started_at_ms * 1_000;
    let times = (begun, call.took_ms.map(|took| begun + took * 1_000));
    let times = span.map_or(times, |span| (span.begun_us, Some(span.ended_us)));
    let mut step = Step::between(Participant::Service, Participant::of_peer(call.peer), what, times);
    let answered = match call.status {
        Some(status) => status.to_string(),
        None if call.closed => "closed without an answer".to_owned(),
        None => "under way".to_owned(),
    };
    if let Some(took) = call.took_ms {
        step.details.push(("the peer says", format!("{answered} after {took} ms")));
    }
    step.outcome = Some(answered);
    step.has_failed = call.closed || call.status.is_some_and(|status| status >= 400);
    if let Some(key) = &call.idempotency_key {
        step.details.push(("key", key.clone()));
    }
    match span {
        Some(span) => step.with_outcome_of(span).with_span(span),
        None => step,
    }
}

fn is_callback(span: &Span) -> bool {
    span.kind == "SPAN_KIND_SERVER" && span.text("http.route") == "/v1/payments/callback"
}

/// What a span tells alone; `None`: it is a part of something else. `stored_us`: when the last statement in it had ended.
fn of_span(span: &Span, stored_us: i64) -> Option<Step> {
    let times = (span.begun_us, Some(span.ended_us));
    let at_service =
        |what: String, at| Step::between(Participant::Service, Participant::Service, what, (at, Some(at)));
    let step = if span.kind == "SPAN_KIND_SERVER" {
        let from = if is_callback(span) { Participant::Payment } else { Participant::Shop };
        Step::between(from, Participant::Service, span.name.clone(), times).with_outcome_of(span)
    } else if !span.text("db.system.name").is_empty() {
        let mut step = Step::between(Participant::Service, Participant::Database, span.name.clone(), times);
        step.outcome = Some(span.text("db.response.status_code").to_owned()).filter(|code| !code.is_empty());
        step.has_failed = span.has_failed;
        step
    } else if let Some(peer) = Participant::of_peer_call(span.text("order_service.peer_call")) {
        let what = span.text("order_service.peer_call").split('.').next_back().unwrap_or_default();
        Step::between(Participant::Service, peer, what.to_owned(), times).with_outcome_of(span)
    } else if span.name == "order transition" {
        let mut step = at_service(transition(span), stored_us);
        step.outcome =
            Some(span.text("order_service.outcome").to_owned()).filter(|outcome| outcome != "stored");
        step.has_failed = span.has_failed;
        step
    } else if span.name == "sweep order" {
        at_service("a sweep takes it up".to_owned(), span.begun_us)
    } else {
        return None;
    };
    Some(step.with_span(span))
}

/// `charging → allocating`, with the status where that changes.
fn transition(span: &Span) -> String {
    let change = |of: &str| {
        let (from, to) =
            (span.text(&format!("order_service.{of}.from")), span.text(&format!("order_service.{of}.to")));
        (from.to_owned(), to.to_owned())
    };
    let ((from, to), (before, after)) = (change("phase"), change("status"));
    let phases = if from == to { format!("{to} (again)") } else { format!("{from} \u{2192} {to}") };
    if before == after { phases } else { format!("{phases}: {after}") }
}

fn count_attempts(steps: &mut [Step]) {
    let mut failed: HashMap<(Participant, String), usize> = HashMap::new();
    for step in steps.iter_mut().filter(|step| step.from == Participant::Service && !step.is_note()) {
        let before = failed.entry((step.to, step.what.clone())).or_default();
        step.attempt = *before + 1;
        let status = step.outcome.as_ref().and_then(|outcome| outcome.parse::<u16>().ok());
        let is_tried_again = step.has_failed && status.is_none_or(|status| status >= 500 || status == 429);
        *before = if is_tried_again { step.attempt } else { 0 };
    }
}

/// The status that the order has by the last transition that was stored.
pub(super) fn status(records: &Records) -> Option<&str> {
    let stored =
        |span: &&Arc<Span>| span.name == "order transition" && span.text("order_service.outcome") == "stored";
    let last = records.spans.iter().filter(stored).max_by_key(|span| span.ended_us)?;
    Some(last.text("order_service.status.to"))
}
