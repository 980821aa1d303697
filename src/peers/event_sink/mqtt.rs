//! An MQTT broker, behind a component of its own, which is called over Spin's service chaining: this one imports no `spin:mqtt`, and loads
//! where there is none.

use super::super::send::send as call;
use super::super::{Answer, Call, CallFailure, Extra};
use super::taken::{Fault, NotTaken, PUBLISHER_DEADLINE_MS, Taken};
use crate::config::BaseUrl;
use crate::config::events::Topic;
use crate::domain::event::{Delivery, Event};
use crate::runtime::task;
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;

/// The publisher takes so many messages, and a megabyte; quoting may double what they have.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 256 * 1024;

/// After so many failures one after the other the broker is left alone: a message that it does not take ends the connection, as the end of the
/// broker does.
const FAILURES: usize = 2;

/// Sends the events; see [`super::send`]. One after the other: what follows one that was not taken is sent by another call, without that order's.
pub async fn send(topic: &Topic, deliveries: &[Delivery], end: Instant) -> Vec<Taken> {
    send_by(deliveries, end, async |batch| publish(topic, batch).await).await
}

async fn send_by(
    deliveries: &[Delivery],
    end: Instant,
    publish: impl AsyncFn(&[(usize, &Event)]) -> Result<Published, CallFailure>,
) -> Vec<Taken> {
    let mut taken: Vec<Taken> = deliveries.iter().map(|_| Taken::default()).collect();
    let events: Vec<(usize, &Event)> = deliveries
        .iter()
        .enumerate()
        .flat_map(|(at, delivery)| delivery.events.iter().map(move |event| (at, event)))
        .collect();
    let (mut waiting, mut failures) = (events, 0);
    while !waiting.is_empty() && failures < FAILURES && task::now() < end {
        let batch = &waiting[..batch_length(&waiting)];
        let (published, failure) = match publish(batch).await {
            // There was no time for more: the broker is slow.
            Ok(Published { published, error: None }) if (1..=batch.len()).contains(&published) => {
                (published, None)
            }
            Ok(Published { published, error }) => {
                let reason = error.unwrap_or_else(|| "the publisher does not say why".to_owned());
                let reason = format!("events.mqtt: {reason}");
                (
                    published.min(batch.len() - 1),
                    Some(NotTaken { reason, fault: Fault::Sink, retry_after_ms: 0 }),
                )
            }
            Err(failure) => (0, Some(NotTaken::of(failure))),
        };
        for (at, _) in &batch[..published] {
            taken[*at].delivered += 1;
        }
        failures = if published > 0 { 0 } else { failures };
        waiting.drain(..published);
        if failure.is_some() {
            failures += 1;
            let failed = waiting[0].0;
            taken[failed].failure = failure;
            waiting.retain(|(at, _)| *at != failed);
        }
    }
    taken
}

/// How many of these go into one call: at least one.
fn batch_length(events: &[(usize, &Event)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, event): &&(usize, &Event)| {
        bytes += event.text.len();
        bytes <= BATCH_BYTES
    };
    events.iter().take(BATCH).take_while(fits).count().max(1)
}

/// What the publisher answers.
#[derive(Deserialize, Debug)]
pub struct Published {
    /// How many messages the broker has acknowledged, from the first one on.
    pub published: usize,
    /// Why the next one was not; none when all were, or when there was no time for it.
    pub error: Option<String>,
}

async fn publish(topic: &Topic, batch: &[(usize, &Event)]) -> Result<Published, CallFailure> {
    let messages: Vec<_> =
        batch.iter().map(|(_, event)| json!({ "topic": topic.of(event), "payload": event.text })).collect();
    let publisher = BaseUrl {
        is_https: false,
        authority: "mqtt-publisher.spin.internal".to_owned(),
        path: String::new(),
    };
    let answer = call(Call {
        name: "events.mqtt",
        base: &publisher,
        path: "/publish".to_owned(),
        body: Some(json!({ "messages": messages }).to_string()),
        key: None,
        deadline_ms: PUBLISHER_DEADLINE_MS,
        extra: Extra::default(),
    })
    .await?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    published(&answer)
}

/// The failure of a call that the publisher has refused, with its own reason, which shows no secret.
pub fn refusal(answer: &Answer) -> CallFailure {
    let reason = published(answer).ok().and_then(|Published { error, .. }| error);
    answer.does_not_count(reason.as_deref().unwrap_or("which is not 2xx"))
}

/// What was published.
///
/// # Errors
/// The answer does not count.
pub fn published(answer: &Answer) -> Result<Published, CallFailure> {
    serde_json::from_str(&answer.body)
        .map_err(|_| answer.does_not_count("which does not say what was published"))
}

#[cfg(test)]
mod tests {
    use super::super::taken::tests::deliveries;
    use super::*;
    use futures::executor::block_on;
    use std::cell::Cell;

    /// Sends them to a broker that takes what `takes` says: how many of each were taken, and the number of calls.
    fn sent(deliveries: &[Delivery], takes: impl Fn(&Event) -> bool) -> (Vec<usize>, usize) {
        let calls = Cell::new(0);
        let taken = block_on(send_by(deliveries, super::super::taken::end_of_budget(), async |batch| {
            calls.set(calls.get() + 1);
            let published = batch.iter().take_while(|(_, event)| takes(event)).count();
            let error = (published < batch.len()).then(|| "the connection ended".to_owned());
            Ok(Published { published, error })
        }));
        for (delivery, taken) in deliveries.iter().zip(&taken) {
            assert_eq!(taken.failure.is_none(), taken.delivered == delivery.events.len());
        }
        (taken.iter().map(|taken| taken.delivered).collect(), calls.get())
    }

    #[test]
    fn an_order_whose_message_is_not_taken_holds_up_no_other() {
        let orders = deliveries(4);
        assert_eq!(sent(&orders, |_| true), (vec![2, 2, 2, 2], 1));
        assert_eq!(sent(&orders, |event| event.subject != "0"), (vec![0, 2, 2, 2], 2));
        assert_eq!(sent(&orders, |event| event.id != "1.2"), (vec![2, 1, 2, 2], 2));
        assert_eq!(sent(&orders, |event| !["0", "2"].contains(&&*event.subject)), (vec![0, 2, 0, 2], 3));
        assert_eq!(sent(&orders[..1], |_| false), (vec![0], 1));
    }

    #[test]
    fn a_broker_that_takes_nothing_is_asked_twice() {
        let orders = deliveries(40);
        let calls = Cell::new(0);
        let taken = block_on(send_by(&orders, super::super::taken::end_of_budget(), async |_| {
            calls.set(calls.get() + 1);
            Ok(Published { published: 0, error: Some("refused".to_owned()) })
        }));
        assert_eq!(calls.get(), FAILURES);
        assert_eq!(taken.iter().filter(|taken| taken.failure.is_some()).count(), FAILURES);
    }

    #[test]
    fn a_slow_broker_fails_no_order() {
        let orders = deliveries(4);
        let calls = Cell::new(0);
        let taken = block_on(send_by(&orders, super::super::taken::end_of_budget(), async |batch| {
            calls.set(calls.get() + 1);
            Ok(Published { published: batch.len().min(3), error: None })
        }));
        assert_eq!(calls.get(), 3);
        assert!(taken.iter().all(|taken| taken.delivered == 2 && taken.failure.is_none()), "{taken:?}");
    }

    #[test]
    fn an_answer_without_a_message_and_without_a_reason_is_a_failure() {
        let orders = deliveries(1);
        for published in [0, 3] {
            let taken = block_on(send_by(&orders, super::super::taken::end_of_budget(), async |_| {
                Ok(Published { published, error: None })
            }));
            assert!(taken[0].failure.is_some(), "{published}: {taken:?}");
        }
    }

    #[test]
    fn a_refusal_has_the_publishers_reason() {
        let reason = |body: &str| {
            let status = http::StatusCode::SERVICE_UNAVAILABLE;
            let body = body.to_owned();
            let answer = Answer { name: "events.mqtt", is_change: true, status, retry_after: None, body };
            refusal(&answer).reason
        };
        let told = r#"{"published":0,"error":"events_mqtt_url has no host"}"#;
        assert_eq!(reason(told), "events.mqtt: status 503, events_mqtt_url has no host");
        assert_eq!(reason("<html>secret</html>"), "events.mqtt: status 503, which is not 2xx");
    }

    #[test]
    fn a_call_has_a_hundred_messages_and_a_quarter_of_a_megabyte_at_most() {
        let event = |bytes: usize| Event {
            id: String::new(),
            source: String::new(),
            kind: String::new(),
            subject: String::new(),
            time: String::new(),
            sequence: String::new(),
            traceparent: None,
            event_id: None,
            data: String::new(),
            text: " ".repeat(bytes),
        };
        let length = |count: usize, bytes: usize| {
            let event = event(bytes);
            batch_length(&vec![(0, &event); count])
        };
        assert_eq!((length(3, 100), length(150, 100)), (3, 100));
        assert_eq!((length(10, 100 * 1024), length(10, 1024 * 1024)), (2, 1));
    }
}
