//! A Kafka REST proxy (API version 2): many records a call, each keyed by its order, so that an order's events are in one partition.

use super::super::lenient::Object;
use super::super::send::send as call;
use super::super::{Answer, Call, CallFailure, Extra};
use super::taken::{DEADLINE_MS, Done, Fault, NotTaken, Taken};
use crate::config::events::KafkaSink;
use crate::domain::event::{Delivery, Event};
use crate::runtime::task;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;

const CONTENT_TYPE: &str = "application/vnd.kafka.json.v2+json";

/// How many orders a call has events of at most. A record that the proxy cannot write (a partition without a leader) may keep it from
/// answering the whole call, and is not to hold up all that were claimed.
const ORDERS: usize = 8;

/// Sends the events; see [`super::send`].
pub async fn send(proxy: &KafkaSink, deliveries: &[Delivery], end: Instant, done: &Done) {
    let groups = deliveries.chunks(ORDERS).enumerate().map(|(group, deliveries)| async move {
        for (at, taken) in send_group(proxy, deliveries, end).await.into_iter().enumerate() {
            // Nobody waits for it any more when this fails.
            let _ = done.unbounded_send((group * ORDERS + at, taken));
        }
    });
    join_all(groups).await;
}

/// Sends them in rounds: one event of each order a call, because a proxy may take a later record of a call whose earlier one it did not
/// take.
async fn send_group(proxy: &KafkaSink, deliveries: &[Delivery], end: Instant) -> Vec<Taken> {
    let mut taken: Vec<Taken> = deliveries.iter().map(|_| Taken::default()).collect();
    loop {
        let round: Vec<usize> = (0..deliveries.len())
            .filter(|&at| taken[at].failure.is_none() && taken[at].delivered < deliveries[at].events.len())
            .collect();
        if round.is_empty() || task::now() >= end {
            return taken;
        }
        let mut calls = vec![&round[..]];
        while let Some(call) = calls.pop()
            && task::now() < end
        {
            let events: Vec<&Event> =
                call.iter().map(|&at| &deliveries[at].events[taken[at].delivered]).collect();
            match produce(proxy, &events).await {
                Ok((status, errors)) => {
                    for (&at, error) in call.iter().zip(errors) {
                        taken[at].status = Some(status);
                        match error {
                            None => taken[at].delivered += 1,
                            Some((reason, fault)) => {
                                taken[at].failure = Some(NotTaken { reason, fault, retry_after_ms: 0 });
                            }
                        }
                    }
                }
                // It may be about one of the records: each half by itself.
                Err(failure) if call.len() > 1 && may_be_of_one_record(&failure) => {
                    let (first, second) = call.split_at(call.len() / 2);
                    calls.extend([second, first]);
                }
                Err(failure) => {
                    let is_of_all = !may_be_of_one_record(&failure);
                    for &at in call {
                        taken[at].status = failure.status.map(|status| status.as_u16());
                        taken[at].failure = Some(NotTaken::of(failure.clone()));
                    }
                    if is_of_all {
                        return taken;
                    }
                }
            }
        }
    }
}

/// Whether a call without success may be due to one of its records: the proxy has answered, and not that it takes nothing now.
fn may_be_of_one_record(failure: &CallFailure) -> bool {
    let is_of_all = |status: u16| matches!(status, 300..=399 | 401 | 403..=405 | 407 | 410 | 429 | 502..=504);
    failure.status.is_some_and(|status| !status.is_success() && !is_of_all(status.as_u16()))
}

/// Sends one record of each event; the status, and for each whether the proxy refused it.
async fn produce(
    proxy: &KafkaSink,
    events: &[&Event],
) -> Result<(u16, Vec<Option<(String, Fault)>>), CallFailure> {
    let records: Vec<String> = events
        .iter()
        .map(|event| format!(r#"{{"key":{},"value":{}}}"#, json!(event.subject), event.text))
        .collect();
    let answer = call(Call {
        name: "events.kafka",
        base: &proxy.base,
        path: format!("/topics/{}", proxy.topic),
        body: Some(format!(r#"{{"records":[{}]}}"#, records.join(","))),
        key: None,
        deadline_ms: DEADLINE_MS,
        extra: Extra {
            content_type: CONTENT_TYPE,
            accept: "application/vnd.kafka.v2+json",
            ..Extra::default()
        },
    })
    .await?;
    if !answer.status.is_success() {
        return Err(answer.does_not_count("which is not 2xx"));
    }
    Ok((answer.status.as_u16(), refusals(&answer, events.len())?))
}

/// Why each record was refused, if it was: one answer for each of the `count` records that were sent.
///
/// # Errors
/// The answer does not count.
pub fn refusals(answer: &Answer, count: usize) -> Result<Vec<Option<(String, Fault)>>, CallFailure> {
    #[derive(Deserialize)]
    struct Offset {
        #[serde(default)]
        offset: Option<i64>,
        #[serde(default)]
        error_code: Option<i64>,
    }
    #[derive(Deserialize)]
    struct Offsets {
        offsets: Vec<Offset>,
    }
    let _: Object = answer.object()?;
    let offsets: Offsets =
        serde_json::from_str(&answer.body).map_err(|_| answer.does_not_count("without offsets"))?;
    let is_told = |one: &Offset| one.offset.is_some() || one.error_code.is_some();
    if offsets.offsets.len() != count || !offsets.offsets.iter().all(is_told) {
        return Err(answer.does_not_count("without an offset for each record"));
    }
    let told = |offset: Offset| {
        offset.error_code.map(|code| (format!("events.kafka: error_code {code}"), fault(code)))
    };
    Ok(offsets.offsets.into_iter().map(told).collect())
}

/// What the proxy's code for a record says. It begins with an HTTP status; 2 and 50003 are errors of Kafka's that pass.
fn fault(code: i64) -> Fault {
    match code {
        2 | 50_003 | 40_100..=40_499 => Fault::Sink,
        _ => Fault::Event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::answer;

    #[test]
    fn each_record_is_taken_or_refused() {
        let body = r#"{"offsets":[{"partition":0,"offset":1,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":50003,"error":"x"},{"partition":0,"offset":2}],"key_schema_id":null}"#;
        let refused = refusals(&answer(200, body), 3).unwrap();
        assert_eq!(refused, [None, Some(("events.kafka: error_code 50003".to_owned(), Fault::Sink)), None]);
        assert_eq!([40_301, 42_201, 50_002].map(fault), [Fault::Sink, Fault::Event, Fault::Event]);
        for (body, count) in
            [(body, 2), ("{}", 0), ("[]", 0), ("", 0), ("<html>", 1), (r#"{"offsets":[{}]}"#, 1)]
        {
            assert!(refusals(&answer(200, body), count).is_err(), "{body}");
        }
    }
}
