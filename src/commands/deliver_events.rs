//! Sends events to their sinks, at least once each, and those of an order in its order: the next one only when the one before was taken. An
//! order whose event is not taken holds up its own alone.

use super::Context;
use crate::db::DbError;
use crate::db::events::{self, DeliveryOutcome};
use crate::domain::event::{Delivery, Sink, redelivery_wait_ms};
use crate::peers::event_sink::{self, Kind, LEASE_MS, NotTaken, Taken};
use crate::runtime::random::random;
use serde_json::json;
use std::time::Duration;

/// After so many orders whose events were not taken, and none that was, it is the sink that fails and not the events.
const MANY: usize = 8;

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
    let mut taken = event_sink::send(&context.config, sink, deliveries).await;
    for (delivery, taken) in
        deliveries.iter().zip(&mut taken).filter(|(delivery, _)| delivery.events.is_empty())
    {
        let reason = format!("the journal of {} has no such event", delivery.order_id.0);
        taken.failure = Some(NotTaken { reason, kind: Kind::Event, retry_after: None });
    }
    let verdict = verdict(&taken);
    let counts = verdict == Verdict::Takes;
    let outcomes: Vec<DeliveryOutcome> = deliveries
        .iter()
        .zip(&taken)
        .map(|(delivery, taken)| outcome(context, sink, delivery, taken, counts))
        .collect();
    let stored = events::store_outcomes(&context.config, sink, &outcomes, counts).await;
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

/// Judges a sink by what it took.
fn verdict(taken: &[Taken]) -> Verdict {
    let failures = || taken.iter().filter_map(|taken| taken.failure.as_ref());
    if let Some(gone) = failures().find(|failure| failure.kind == Kind::Gone) {
        return Verdict::Gone(gone.reason.clone());
    }
    let takes_some = taken.iter().any(|taken| taken.delivered > 0);
    let of_sink = failures().find(|failure| failure.kind == Kind::Sink);
    let asked = failures().filter_map(|failure| failure.retry_after).max().unwrap_or_default();
    match of_sink.or_else(|| failures().next().filter(|_| failures().count() >= MANY)) {
        Some(failure) if !takes_some => Verdict::Fails(failure.reason.clone(), asked),
        _ => Verdict::Takes,
    }
}

/// What is stored of an order's delivery.
fn outcome(
    context: &Context,
    sink: Sink,
    delivery: &Delivery,
    taken: &Taken,
    counts: bool,
) -> DeliveryOutcome {
    let delay_ms = match &taken.failure {
        Some(failure) if counts => wait(context, sink, delivery, taken, failure),
        // When the sink takes events again.
        _ => Some(0),
    };
    DeliveryOutcome {
        order_id: delivery.order_id,
        lease: delivery.lease,
        delivered: taken.delivered,
        status: taken.status,
        error: taken.failure.as_ref().map(|failure| failure.reason.clone()),
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
    let asked = failure.retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let delay = redelivery_wait_ms(before + 1, random::<1>()[0]).map(|wait| wait.max(asked));
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

    fn not_taken(kind: Kind) -> Taken {
        let failure = NotTaken { reason: "why".to_owned(), kind, retry_after: Some(Duration::from_secs(3)) };
        Taken { failure: Some(failure), ..Taken::default() }
    }

    fn some() -> Taken {
        Taken { delivered: 1, ..Taken::default() }
    }

    #[test]
    fn a_sink_fails_when_it_takes_nothing_and_not_when_it_refuses_an_event() {
        let fails = || Verdict::Fails("why".to_owned(), Duration::from_secs(3));
        let many = || (0..MANY).map(|_| not_taken(Kind::Event)).collect::<Vec<_>>();
        assert_eq!(verdict(&[]), Verdict::Takes);
        assert_eq!(verdict(&[some(), Taken::default()]), Verdict::Takes);
        assert_eq!(verdict(&[not_taken(Kind::Event)]), Verdict::Takes);
        assert_eq!(verdict(&many()), fails());
        assert_eq!(verdict(&many()[1..]), Verdict::Takes);
        assert_eq!(verdict(&many().into_iter().chain([some()]).collect::<Vec<_>>()), Verdict::Takes);
        assert_eq!(verdict(&[not_taken(Kind::Sink)]), fails());
        assert_eq!(verdict(&[not_taken(Kind::Sink), some()]), Verdict::Takes);
        assert_eq!(verdict(&[some(), not_taken(Kind::Gone)]), Verdict::Gone("why".to_owned()));
    }
}
