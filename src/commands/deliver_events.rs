//! Sends events to their sinks, at least once each, and those of an order in its order: the next one only when the one before was taken. An
//! order whose event is not taken holds up its own alone.

use super::Context;
use crate::db::DbError;
use crate::db::events::{self, DeliveryOutcome};
use crate::domain::event::{Delivery, Sink, redelivery_wait_ms};
use crate::peers::event_sink::{self, Fault, LEASE_MS, NotTaken, Taken};
use crate::runtime::random::random;
use crate::telemetry::tracing::current;
use crate::telemetry::tracing::ended::Kind;
use crate::telemetry::tracing::span::Span;
use serde_json::json;
use std::time::Duration;

/// How long an order waits at least, in milliseconds, whose attempt does not count: those that were not tried come before it.
const UNCOUNTED_WAIT_MS: u64 = 1_000;

/// Claims and sends the events of at most `limit` orders for a sink. Returns how many orders that were.
///
/// # Errors
/// [`DbError`] when nothing could be claimed. What could not be stored afterwards is logged, and sent again.
pub async fn deliver_due(context: &Context, sink: Sink, limit: i32) -> Result<usize, DbError> {
    let claimed = events::claim_due(&context.config, sink, limit, LEASE_MS).await?;
    if !claimed.is_empty() {
        deliver(context, sink, &claimed).await;
    }
    Ok(claimed.len())
}

/// What the answers of a sink say of it as a whole.
#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    /// It takes events; what it did not take it did not want.
    Takes,
    /// It takes nothing now; how long it asks to be left alone.
    Fails(String, Duration),
    /// It wants no more events.
    Gone(String),
}

async fn deliver(context: &Context, sink: Sink, deliveries: &[Delivery]) {
    let span = begin_span(sink, deliveries);
    let sending = event_sink::send(&context.config, sink, deliveries);
    let mut taken = current::within(span.as_ref(), sending).await;
    if let Some(span) = span {
        span.end();
    }
    for (delivery, taken) in
        deliveries.iter().zip(&mut taken).filter(|(delivery, _)| delivery.events.is_empty())
    {
        let reason = format!("the journal of {} has no such event", delivery.order_id.0);
        taken.failure = Some(NotTaken { reason, fault: Fault::Event, retry_after: None });
    }
    let verdict = verdict(&taken);
    let takes = verdict == Verdict::Takes;
    let mut outcomes = Vec::with_capacity(deliveries.len());
    for (delivery, taken) in deliveries.iter().zip(&taken) {
        // What is logged of an order is a part of its trace.
        let judging = async { outcome(context, sink, delivery, taken, takes) };
        outcomes.push(current::in_stored(delivery.trace.as_ref(), judging).await);
    }
    let stored = events::store_outcomes(&context.config, sink, &outcomes, takes).await;
    let paused = match &verdict {
        Verdict::Takes => Ok(()),
        Verdict::Fails(reason, wait) => {
            let fields = json!({ "sink": sink.as_str(), "cause": reason });
            context.log.warn("a sink takes no events", fields);
            events::pause(&context.config, sink, reason, Some(*wait)).await
        }
        Verdict::Gone(reason) => {
            let fields = json!({ "sink": sink.as_str(), "cause": reason });
            context.log.error("a sink wants no more events, and is switched off", fields);
            events::pause(&context.config, sink, reason, None).await
        }
    };
    if let Err(error) = stored.and(paused) {
        let fields = json!({ "sink": sink.as_str(), "cause": error.to_string() });
        context.log.warn("what came of events was not stored; they will be sent again", fields);
    }
}

/// The span in which events are sent to a sink, linked to the traces of their orders: of one call to many.
fn begin_span(sink: Sink, deliveries: &[Delivery]) -> Option<Span> {
    let mut span = current::begin(Kind::Internal, "deliver events")?;
    span.set("order_service.sink", sink.as_str());
    let traces = deliveries.iter().filter_map(|delivery| delivery.trace.as_ref());
    traces.filter_map(current::context_of).for_each(|context| span.link(context));
    Some(span)
}

/// Judges a sink by what it took.
fn verdict(taken: &[Taken]) -> Verdict {
    let failures = || taken.iter().filter_map(|taken| taken.failure.as_ref());
    if let Some(gone) = failures().find(|failure| failure.fault == Fault::Gone) {
        return Verdict::Gone(gone.reason.clone());
    }
    let takes_some = taken.iter().any(|taken| taken.delivered > 0);
    let asked = failures().filter_map(|failure| failure.retry_after).max().unwrap_or_default();
    match failures().find(|failure| matches!(failure.fault, Fault::Sink | Fault::Busy)) {
        Some(failure) if !takes_some => Verdict::Fails(failure.reason.clone(), asked),
        _ => Verdict::Takes,
    }
}

/// What is stored of an order's delivery. `takes`: whether the sink takes events. A failure of its own counts only then, for the order may be to
/// blame; a refusal always does.
fn outcome(
    context: &Context,
    sink: Sink,
    delivery: &Delivery,
    taken: &Taken,
    takes: bool,
) -> DeliveryOutcome {
    let counts = taken.failure.as_ref().is_some_and(|failure| match failure.fault {
        Fault::Event => true,
        Fault::Sink => takes,
        Fault::Busy | Fault::Gone => false,
    });
    let delay_ms = match &taken.failure {
        Some(failure) if counts => wait(context, sink, delivery, taken, failure),
        // When the sink takes events again.
        Some(failure) => Some(asked_ms(failure).max(UNCOUNTED_WAIT_MS)),
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
    let delay = redelivery_wait_ms(before + 1, random::<1>()[0]).map(|wait| wait.max(asked_ms(failure)));
    let event = delivery.events.get(taken.delivered).map(|event| &event.id);
    let fields = json!({ "sink": sink.as_str(), "event": event, "attempts": before + 1, "cause": failure.reason, "delay_ms": delay });
    let log = context.log.order(delivery.order_id);
    match delay {
        Some(_) => log.warn("an event was not taken", fields),
        None => log.error("an event is a dead letter", fields),
    }
    delay
}

/// For how long the sink asks to be left alone, in milliseconds.
fn asked_ms(failure: &NotTaken) -> u64 {
    failure.retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_taken(fault: Fault) -> Taken {
        let failure = NotTaken { reason: "why".to_owned(), fault, retry_after: Some(Duration::from_secs(3)) };
        Taken { failure: Some(failure), ..Taken::default() }
    }

    fn some() -> Taken {
        Taken { delivered: 1, ..Taken::default() }
    }

    #[test]
    fn a_sink_fails_when_it_takes_nothing_and_not_when_it_refuses_an_event() {
        let fails = || Verdict::Fails("why".to_owned(), Duration::from_secs(3));
        let many = (0..100).map(|_| not_taken(Fault::Event)).collect::<Vec<_>>();
        assert_eq!(verdict(&[]), Verdict::Takes);
        assert_eq!(verdict(&[some(), Taken::default()]), Verdict::Takes);
        assert_eq!(verdict(&[not_taken(Fault::Event)]), Verdict::Takes);
        assert_eq!(verdict(&many), Verdict::Takes);
        assert_eq!(verdict(&[not_taken(Fault::Event), not_taken(Fault::Sink)]), fails());
        assert_eq!(verdict(&[not_taken(Fault::Sink)]), fails());
        assert_eq!(verdict(&[not_taken(Fault::Busy)]), fails());
        assert_eq!(verdict(&[not_taken(Fault::Sink), some()]), Verdict::Takes);
        assert_eq!(verdict(&[some(), not_taken(Fault::Gone)]), Verdict::Gone("why".to_owned()));
    }
}
