//! A Kafka REST proxy (API version 2): one record of each of several orders a call, each keyed by its order, so that an order's events are
//! in one partition.

use super::super::lenient::Object;
use super::super::send::send as call;
use super::super::{Answer, Call, CallFailure, Extra};
use super::taken::{DEADLINE_MS, Done, Fault, NotTaken, Taken};
use crate::config::events::KafkaSink;
use crate::domain::event::{Delivery, Event};
use crate::runtime::task;
use futures::future::join_all;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::cell::Cell;
use std::time::Instant;

const CONTENT_TYPE: &str = "application/vnd.kafka.json.v2+json";

/// How many orders a call has events of at most. When the call is not taken each is sent by itself, which must not be many at once.
const ORDERS: usize = 8;

/// What the calls of all groups have told of the proxy.
#[derive(Default)]
struct Proxy {
    /// It has answered.
    answers: Cell<bool>,
    /// It wants no more, whatever it says to what is under way.
    is_gone: Cell<bool>,
}

/// Sends the events; see [`super::send`].
pub async fn send(proxy: &KafkaSink, deliveries: &[Delivery], end: Instant, done: &Done) {
    let known = &Proxy::default();
    let groups = deliveries.chunks(ORDERS).enumerate().map(|(group, deliveries)| async move {
        let sent = send_group(proxy, known, group == 0, deliveries, end).await;
        for (at, taken) in sent.into_iter().enumerate() {
            // Nobody waits for it any more when this fails.
            let _ = done.unbounded_send((group * ORDERS + at, taken));
        }
    });
    join_all(groups).await;
}

/// Sends them in rounds: one event of each order a call, because a proxy may take a later record of a call whose earlier one it did not
/// take.
///
/// Of a proxy that has answered nobody the first group finds out whether it is one of its records. The others are left as they are, for
/// another claim: one call for each of their records would be too many at once.
async fn send_group(
    proxy: &KafkaSink,
    known: &Proxy,
    is_first: bool,
    deliveries: &[Delivery],
    end: Instant,
) -> Vec<Taken> {
    let mut taken: Vec<Taken> = deliveries.iter().map(|_| Taken::default()).collect();
    loop {
        let round: Vec<usize> = (0..deliveries.len())
            .filter(|&at| taken[at].failure.is_none() && taken[at].delivered < deliveries[at].events.len())
            .collect();
        if round.is_empty() || known.is_gone.get() || task::now() >= end {
            return taken;
        }
        let events: Vec<&Event> =
            round.iter().map(|&at| &deliveries[at].events[taken[at].delivered]).collect();
        let result = produce(proxy, &events).await;
        known.note(result.as_ref().map(drop));
        let produced = match result {
            Err(failure) if failure.may_land && !is_first && !known.answers.get() => return taken,
            // It may be about one of the records: each by itself, so that it holds up no other.
            Err(failure) if events.len() > 1 && may_be_of_one_record(&failure) && task::now() < end => {
                let alone = events.iter().map(async |event| {
                    let produced = produce(proxy, &[event]).await;
                    produced.map_or_else(failed, |mut records| records.remove(0))
                });
                join_all(alone).await
            }
            Err(failure) => round.iter().map(|_| failed(failure.clone())).collect(),
            Ok(produced) => produced,
        };
        for (at, Produced { status, failure }) in round.into_iter().zip(produced) {
            taken[at].status = status;
            taken[at].delivered += usize::from(failure.is_none());
            taken[at].failure = failure;
        }
    }
}

impl Proxy {
    fn note(&self, result: Result<(), &CallFailure>) {
        let status = result.map_or_else(|failure| failure.status, |()| Some(StatusCode::OK));
        self.answers.set(self.answers.get() || status.is_some());
        self.is_gone.set(self.is_gone.get() || status == Some(StatusCode::GONE));
    }
}

/// What became of a record.
struct Produced {
    status: Option<u16>,
    /// Why the proxy did not take it; `None`: it did.
    failure: Option<NotTaken>,
}

/// What became of each record of a call that failed.
fn failed(failure: CallFailure) -> Produced {
    let status = failure.status.map(|status| status.as_u16());
    Produced { status, failure: Some(NotTaken::of(failure)) }
}

/// Whether a call without success may be due to one of its records: the proxy was asked and has not answered, as when it cannot write that
/// one (a partition without a leader), or it has answered, and not that it takes nothing now.
fn may_be_of_one_record(failure: &CallFailure) -> bool {
    let is_of_all =
        |status: u16| matches!(status, 300..=399 | 401 | 403..=405 | 407 | 410 | 425 | 429 | 502..=504);
    match failure.status {
        Some(status) => !status.is_success() && !is_of_all(status.as_u16()),
        None => failure.may_land,
    }
}

/// Sends one record of each event; what became of each.
async fn produce(proxy: &KafkaSink, events: &[&Event]) -> Result<Vec<Produced>, CallFailure> {
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
    let status = Some(answer.status.as_u16());
    let not_taken = |(reason, fault)| NotTaken { reason, fault, retry_after_ms: 0 };
    let records = refusals(&answer, events.len())?.into_iter();
    Ok(records.map(|refusal| Produced { status, failure: refusal.map(not_taken) }).collect())
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

    #[test]
    fn a_proxy_that_takes_nothing_now_is_not_asked_for_each_record() {
        let failure = |status| CallFailure {
            status: Some(StatusCode::from_u16(status).unwrap()),
            ..CallFailure::from(String::new())
        };
        for status in 300..600 {
            if matches!(NotTaken::of(failure(status)).fault, Fault::Busy | Fault::Gone) {
                assert!(!may_be_of_one_record(&failure(status)), "{status}");
            }
        }
        for status in [400, 408, 413, 422, 500] {
            assert!(may_be_of_one_record(&failure(status)), "{status}");
        }
    }
}
