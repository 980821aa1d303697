//! An endpoint that takes each event by POST, in the binary mode of CloudEvents' HTTP binding, signed as Standard Webhooks 1.0 has it.

use super::super::send::send as call;
use super::super::{Call, CallFailure, Extra};
use super::taken::{DEADLINE_MS, Done, Fault, NotTaken, Taken};
use crate::config::events::HttpSink;
use crate::domain::event::{Delivery, Event};
use crate::runtime::task;
use crate::telemetry::tracing::current;
use base64::prelude::*;
use futures::StreamExt;
use futures::stream;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The orders whose events are sent at the same time; after so many failures without an answer of the endpoint itself, one after the other,
/// it is left alone.
const CONCURRENCY: usize = 8;

/// Sends the events; see [`super::send`].
pub async fn send(endpoint: &HttpSink, deliveries: &[Delivery], end: Instant, done: &Done) {
    // How often the endpoint did not answer, or was busy, since it last answered.
    let failures = Cell::new(0);
    // One that wants no more is asked no more, whatever it says to what is under way.
    let is_gone = Cell::new(false);
    let orders = deliveries.iter().enumerate().map(|(at, delivery)| {
        let (failures, is_gone) = (&failures, &is_gone);
        async move {
            let mut taken = Taken::default();
            let sending = async {
                for event in &delivery.events {
                    if is_gone.get() || failures.get() >= CONCURRENCY || task::now() >= end {
                        break;
                    }
                    match post(endpoint, event).await {
                        Ok(status) => {
                            failures.set(0);
                            taken.delivered += 1;
                            taken.status = Some(status);
                        }
                        Err(failure) => {
                            taken.status = failure.status.map(|status| status.as_u16());
                            let failure = NotTaken::of(failure);
                            failures.set(match failure.fault {
                                Fault::Busy => failures.get() + 1,
                                // A proxy's, when the endpoint is not there.
                                Fault::Sink if matches!(taken.status, None | Some(502..=504)) => {
                                    failures.get() + 1
                                }
                                Fault::Sink | Fault::Event | Fault::Gone => 0,
                            });
                            is_gone.set(is_gone.get() || failure.fault == Fault::Gone);
                            taken.failure = Some(failure);
                            break;
                        }
                    }
                }
            };
            current::continuing("deliver events", delivery.order_id.0, delivery.trace.clone(), sending).await;
            // Nobody waits for it any more when this fails.
            let _ = done.unbounded_send((at, taken));
        }
    });
    // A slow one holds up none of the others.
    stream::iter(orders).buffer_unordered(CONCURRENCY).collect::<()>().await;
}

/// Sends one event; the status of the answer.
async fn post(endpoint: &HttpSink, event: &Event) -> Result<u16, CallFailure> {
    let answer = call(Call {
        name: "events.http",
        base: &endpoint.url,
        path: String::new(),
        body: Some(event.data.clone()),
        key: None,
        deadline_ms: DEADLINE_MS,
        extra: Extra { headers: headers(endpoint, event, SystemTime::now()), ..Extra::default() },
    })
    .await?;
    if answer.status.is_success() {
        return Ok(answer.status.as_u16());
    }
    Err(answer.does_not_count("which is not 2xx"))
}

/// The attributes as headers, and the signature.
fn headers(endpoint: &HttpSink, event: &Event, now: SystemTime) -> Vec<(String, String)> {
    let header = str::to_owned;
    let mut headers = vec![
        (header("ce-specversion"), "1.0".to_owned()),
        (header("ce-id"), event.id.clone()),
        (header("ce-source"), event.source.clone()),
        (header("ce-type"), event.kind.clone()),
        (header("ce-subject"), event.subject.clone()),
        (header("ce-time"), event.time.clone()),
        (header("ce-partitionkey"), event.subject.clone()),
        (header("ce-sequence"), event.sequence.clone()),
    ];
    headers.extend(event.traceparent.clone().map(|value| (header("ce-traceparent"), value)));
    if !endpoint.keys.is_empty() {
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let keys = endpoint.keys.iter().map(|key| &key.expose()[..]);
        let signatures: Vec<String> =
            keys.map(|key| signature(key, &event.id, &timestamp, &event.data)).collect();
        headers.push((header("webhook-id"), event.id.clone()));
        headers.push((header("webhook-timestamp"), timestamp));
        headers.push((header("webhook-signature"), signatures.join(" ")));
    }
    headers
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_signed_as_the_specification_shows() {
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
