//! Sends events to their sinks, at least once each, and those of an order in its order: the next one only when the one before was taken. An
//! order whose event is not taken holds up its own alone.

use super::Context;
use crate::db::DbError;
use crate::db::events::{self, DeliveryOutcome, Failing, Paused};
use crate::domain::event::{Delivery, Sink, redelivery_wait_ms};
use crate::peers::event_sink::{self, Fault, LEASE_MS, NotTaken, Taken};
use crate::runtime::deadline::timeout;
use crate::runtime::random::random;
use crate::runtime::task;
use crate::telemetry::tracing::current;
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::join;
use serde_json::json;
use std::collections::VecDeque;
use std::pin::pin;
use std::time::{Duration, Instant};

/// How long an order waits at least, in milliseconds, whose attempt does not count: those that were not tried come before it.
const UNCOUNTED_WAIT_MS: u64 = 1_000;

/// What has come of orders' deliveries is stored so long after the first of them, although others are still to be answered.
const STORED_AFTER: Duration = Duration::from_secs(1);

/// Claims and sends the events of at most `limit` orders for a sink. Returns how many orders that were.
///
/// # Errors
/// [`DbError`] when nothing could be claimed. What could not be stored afterwards is logged, and sent again.
pub async fn deliver_due(context: &Context, sink: Sink, limit: i32) -> Result<usize, DbError> {
    let end = event_sink::end_of_budget();
    let claimed = from_both_ends(events::claim_due(&context.config, sink, limit, LEASE_MS).await?);
    if !claimed.is_empty() {
        let (done, results) = mpsc::unbounded();
        let span = begin_span(sink, &claimed);
        let sending = event_sink::send(&context.config, sink, &claimed, end, done);
        let sending = async {
            current::within(span.as_ref(), sending).await;
            if let Some(span) = span {
                span.end();
            }
        };
        join(sending, store(context, sink, &claimed, results)).await;
    }
    Ok(claimed.len())
}

/// Puts the latest first, then the first, and so on: a sink that seems to take nothing is asked for few orders, and neither old nor new ones may
/// hide the others.
fn from_both_ends<T>(claimed: Vec<T>) -> Vec<T> {
    let mut claimed = VecDeque::from(claimed);
    let mut ordered = Vec::with_capacity(claimed.len());
    while let Some(last) = claimed.pop_back() {
        ordered.push(last);
        ordered.extend(claimed.pop_front());
    }
    ordered
}

/// What the answers of a sink say of it as a whole.
#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    /// It takes events; what it did not take it did not want.
    Takes,
    /// It takes nothing now.
    Fails(Failing),
    /// It wants no more events.
    Gone(String),
}

/// Stores what came of deliveries as it comes: what the sink took after a moment, and that it wants no more at once. What it did not take is
/// judged when it has taken some, or when all is known.
async fn store(
    context: &Context,
    sink: Sink,
    deliveries: &[Delivery],
    mut results: mpsc::UnboundedReceiver<(usize, Taken)>,
) {
    let (mut told, mut takes_some, mut is_off) = (Vec::new(), false, false);
    let mut due = None;
    loop {
        let next = match due {
            None => Some(results.next().await),
            Some(due) => {
                timeout(Instant::saturating_duration_since(&due, task::now()), pin!(results.next())).await
            }
        };
        match next {
            Some(Some((at, mut taken))) => {
                let delivery = &deliveries[at];
                if delivery.events.is_empty() {
                    let reason = format!("the journal of {} has no such event", delivery.order_id.0);
                    taken.failure = Some(NotTaken { reason, fault: Fault::Event, retry_after_ms: 0 });
                }
                takes_some |= taken.delivered > 0;
                told.push((delivery, taken));
                if let Verdict::Gone(reason) = verdict(&told)
                    && !is_off
                {
                    is_off = true;
                    switch_off(context, sink, &reason).await;
                }
                due = due.or_else(|| takes_some.then(|| task::now() + STORED_AFTER));
            }
            // A moment is over; what comes later is stored later.
            None => {
                store_told(context, sink, &told, takes_some).await;
                told.clear();
                due = None;
            }
            Some(None) => {
                if !told.is_empty() {
                    store_told(context, sink, &told, takes_some).await;
                }
                return;
            }
        }
    }
}

async fn switch_off(context: &Context, sink: Sink, reason: &str) {
    let fields = json!({ "sink": sink.as_str(), "cause": reason });
    context.log.error("a sink wants no more events, and is switched off", fields);
    log_unstored(context, sink, events::switch_off(&context.config, sink, reason).await);
}

/// Stores some of what came of deliveries. `takes_some`: whether the sink took any of those that were claimed together.
async fn store_told(context: &Context, sink: Sink, told: &[(&Delivery, Taken)], takes_some: bool) {
    let verdict = if takes_some { Verdict::Takes } else { verdict(told) };
    let (takes, wait_ms) = match verdict {
        Verdict::Takes => (true, 0),
        Verdict::Gone(_) => (false, 0),
        Verdict::Fails(failing) => match events::pause(&context.config, sink, &failing).await {
            // It may be due to this order alone, since the sink took others before.
            Ok(Paused { is_of_order: true, .. }) => (true, 0),
            Ok(Paused { wait_ms, has_begun, .. }) => {
                if has_begun {
                    let fields = json!({ "sink": sink.as_str(), "cause": failing.reason });
                    context.log.warn("a sink takes no events", fields);
                }
                (false, wait_ms)
            }
            Err(error) => return log_unstored(context, sink, Err(error)),
        },
    };
    let mut outcomes = Vec::with_capacity(told.len());
    for (delivery, taken) in told {
        // What is logged of an order is a part of its trace.
        let judging = async { outcome(context, sink, delivery, taken, takes, wait_ms) };
        outcomes.push(current::in_stored(delivery.trace.as_ref(), judging).await);
    }
    // What it took earlier says nothing of now; nor does an order that may be to blame, or one whose events were not sent.
    let has_taken = told.iter().any(|(_, taken)| taken.delivered > 0);
    let has_refused = told.iter().any(|(_, taken)| taken.status.is_some())
        && !told.iter().any(|(_, taken)| is_of_sink(taken));
    let resets = takes && (has_taken || has_refused);
    log_unstored(context, sink, events::store_outcomes(&context.config, sink, &outcomes, resets).await);
}

fn is_of_sink(taken: &Taken) -> bool {
    taken.failure.as_ref().is_some_and(is_fault_of_sink)
}

fn is_fault_of_sink(failure: &NotTaken) -> bool {
    matches!(failure.fault, Fault::Sink | Fault::Busy)
}

fn log_unstored(context: &Context, sink: Sink, stored: Result<(), DbError>) {
    if let Err(error) = stored {
        let fields = json!({ "sink": sink.as_str(), "cause": error.to_string() });
        context.log.warn("what came of events was not stored; they will be sent again", fields);
    }
}

/// The span in which events are sent to a sink, linked to the traces of their orders: of one call to many.
fn begin_span(sink: Sink, deliveries: &[Delivery]) -> Option<Span> {
    let mut span = current::begin(Kind::Internal, || "deliver events to sink".into())?;
    span.set("order_service.sink", sink.as_str());
    let traces = deliveries.iter().filter_map(|delivery| delivery.trace.as_ref());
    traces.filter_map(current::context_of).for_each(|context| span.link(context));
    Some(span)
}

/// Judges a sink by what it took.
fn verdict(told: &[(&Delivery, Taken)]) -> Verdict {
    let failures = || told.iter().filter_map(|(_, taken)| taken.failure.as_ref());
    if let Some(gone) = failures().find(|failure| failure.fault == Fault::Gone) {
        return Verdict::Gone(gone.reason.clone());
    }
    let mut failed = told.iter().filter(|(_, taken)| is_of_sink(taken));
    let takes_some = told.iter().any(|(_, taken)| taken.delivered > 0);
    let Some((first, Taken { failure: Some(failure), .. })) = failed.next().filter(|_| !takes_some) else {
        return Verdict::Takes;
    };
    let is_certain = failures().any(|failure| failure.fault == Fault::Busy) || failed.next().is_some();
    Verdict::Fails(Failing {
        reason: failure.reason.clone(),
        // How long a refused event is to wait says nothing of the others.
        wait_ms: failures()
            .filter(|failure| is_fault_of_sink(failure))
            .map(|failure| failure.retry_after_ms)
            .max()
            .unwrap_or_default(),
        order: (!is_certain).then_some(first.order_id),
    })
}

/// What is stored of an order's delivery. `takes`: whether the sink takes others' events. A failure of its own counts only then, for the order
/// may be to blame; a refusal always does. `wait_ms`: how long an order waits whose failure does not count.
fn outcome(
    context: &Context,
    sink: Sink,
    delivery: &Delivery,
    taken: &Taken,
    takes: bool,
    wait_ms: u64,
) -> DeliveryOutcome {
    let counts = taken.failure.as_ref().is_some_and(|failure| match failure.fault {
        Fault::Event => true,
        Fault::Sink => takes,
        Fault::Busy | Fault::Gone => false,
    });
    let delay_ms = match &taken.failure {
        Some(failure) if counts => wait(context, sink, delivery, taken, failure),
        // When the sink takes events again.
        Some(failure) => Some(failure.retry_after_ms.max(wait_ms).max(UNCOUNTED_WAIT_MS)),
        None => Some(0),
    };
    DeliveryOutcome {
        order_id: delivery.order_id,
        lease: delivery.lease,
        delivered: taken.delivered,
        status: taken.status,
        error: taken.failure.as_ref().map(|failure| failure.reason.clone()),
        counts,
        delay_ms,
    }
}

/// How long to wait after an attempt that counts; `None`: it was the last one. Logs it.
fn wait(
    context: &Context,
    sink: Sink,
    delivery: &Delivery,
    taken: &Taken,
    failure: &NotTaken,
) -> Option<u64> {
    let before = if taken.delivered > 0 { 0 } else { delivery.attempts };
    let delay = redelivery_wait_ms(before + 1, random::<1>()[0]).map(|wait| wait.max(failure.retry_after_ms));
    let event = delivery.events.get(taken.delivered).map(|event| &event.id);
    let fields = json!({ "sink": sink.as_str(), "event": event, "attempts": before + 1, "cause": failure.reason, "delay_ms": delay });
    let log = context.log.order(delivery.order_id);
    match delay {
        Some(_) => log.warn("an event was not taken", fields),
        None => log.error("an event is a dead letter", fields),
    }
    delay
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrderId;
    use uuid::Uuid;

    fn not_taken(fault: Fault) -> Taken {
        let failure = NotTaken { reason: "why".to_owned(), fault, retry_after_ms: 3_000 };
        Taken { failure: Some(failure), ..Taken::default() }
    }

    fn some() -> Taken {
        Taken { delivered: 1, ..Taken::default() }
    }

    fn order(number: usize) -> OrderId {
        OrderId(Uuid::from_u128(number as u128))
    }

    fn judged(taken: impl IntoIterator<Item = Taken>) -> Verdict {
        let taken: Vec<Taken> = taken.into_iter().collect();
        let delivery =
            |at| Delivery { order_id: order(at), trace: None, lease: 1, attempts: 0, events: Vec::new() };
        let deliveries: Vec<Delivery> = (0..taken.len()).map(delivery).collect();
        verdict(&deliveries.iter().zip(taken).collect::<Vec<_>>())
    }

    #[test]
    fn a_sink_fails_when_it_takes_nothing_and_not_when_it_refuses_an_event() {
        let fails = |order| Verdict::Fails(Failing { reason: "why".to_owned(), wait_ms: 3_000, order });
        assert_eq!(judged([]), Verdict::Takes);
        assert_eq!(judged([some(), Taken::default()]), Verdict::Takes);
        assert_eq!(judged([not_taken(Fault::Event)]), Verdict::Takes);
        assert_eq!(judged((0..100).map(|_| not_taken(Fault::Event))), Verdict::Takes);
        assert_eq!(judged([not_taken(Fault::Event), not_taken(Fault::Sink)]), fails(Some(order(1))));
        assert_eq!(judged([not_taken(Fault::Sink)]), fails(Some(order(0))));
        assert_eq!(judged([not_taken(Fault::Sink), not_taken(Fault::Sink)]), fails(None));
        assert_eq!(judged([not_taken(Fault::Busy)]), fails(None));
        assert_eq!(judged([not_taken(Fault::Sink), some()]), Verdict::Takes);
        assert_eq!(judged([some(), not_taken(Fault::Gone)]), Verdict::Gone("why".to_owned()));
    }

    #[test]
    fn the_newest_and_the_oldest_are_asked_in_turn() {
        assert_eq!(from_both_ends(vec![1, 2, 3, 4, 5]), [5, 1, 4, 2, 3]);
        assert!(from_both_ends(Vec::<i32>::new()).is_empty());
    }
}
