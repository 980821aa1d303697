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
use serde::Deserialize;
use serde_json::json;
use std::cell::Cell;
use std::time::Instant;

const CONTENT_TYPE: &str = "application/vnd.kafka.json.v2+json";

/// How many orders a call has events of at most. When the call is not taken each is sent by itself, which must not be many at once.
const ORDERS: usize = 8;

/// Sends the events; see [`super::send`].
pub async fn send(proxy: &KafkaSink, deliveries: &[Delivery], end: Instant, done: &Done) {
    let produce = async |events: &[&Event]| produce(proxy, events).await;
    send_by(&Calls { produce, end, is_gone: Cell::new(false) }, deliveries, done).await;
}

/// Sends the events of eight orders a call. Where such a call failed and one record may be the cause, each order's are then sent by themselves:
/// at first those of one call, and those of the others only when that shows that the proxy takes records. Else they are left as they are:
/// one call for each of them would be many at once, for a proxy that takes nothing.
async fn send_by<P: AsyncFn(&[&Event]) -> ProduceResult>(
    calls: &Calls<P>,
    deliveries: &[Delivery],
    done: &Done,
) {
    // Nobody waits for it any more when this fails.
    let tell = |at: usize, taken: Taken| drop(done.unbounded_send((at, taken)));
    let groups = deliveries.chunks(ORDERS).enumerate().map(async |(group, deliveries)| {
        let mut taken: Vec<Taken> = deliveries.iter().map(|_| Taken::default()).collect();
        let unclear = calls.send_in_rounds(deliveries, &mut taken).await;
        let mut left = Vec::new();
        for (place, taken) in taken.into_iter().enumerate() {
            let at = group * ORDERS + place;
            if unclear.contains(&place) { left.push((at, taken)) } else { tell(at, taken) }
        }
        left
    });
    let mut unclear = join_all(groups).await.into_iter().filter(|left| !left.is_empty());
    let send_alone = async |left: Vec<(usize, Taken)>| {
        let alone = left.into_iter().map(async |(at, taken)| {
            let before = taken.delivered;
            let mut taken = [taken];
            calls.send_in_rounds(&deliveries[at..=at], &mut taken).await;
            let [taken] = taken;
            let is_refused = taken.failure.as_ref().is_some_and(|failure| failure.fault == Fault::Event);
            let takes_records = taken.delivered > before || is_refused;
            tell(at, taken);
            takes_records
        });
        join_all(alone).await.contains(&true)
    };
    let Some(first) = unclear.next() else { return };
    if send_alone(first).await {
        join_all(unclear.map(send_alone)).await;
    } else {
        unclear.flatten().for_each(|(at, taken)| tell(at, taken));
    }
}

/// What became of the records of a call.
type ProduceResult = Result<Vec<Produced>, CallFailure>;

/// The calls that send claimed events.
struct Calls<P> {
    /// Makes a call with one record for each event.
    produce: P,
    /// No call begins after it.
    end: Instant,
    /// The proxy has said that it wants no more, whatever it says to what is under way.
    is_gone: Cell<bool>,
}

impl<P: AsyncFn(&[&Event]) -> ProduceResult> Calls<P> {
    /// Sends one event of each order a call, because a proxy may take a later record of a call whose earlier one it did not take. Stops when a
    /// call of several fails and one of them may be the cause; the places of their orders.
    async fn send_in_rounds(&self, deliveries: &[Delivery], taken: &mut [Taken]) -> Vec<usize> {
        loop {
            let round: Vec<usize> = (0..deliveries.len())
                .filter(|&at| {
                    taken[at].failure.is_none() && taken[at].delivered < deliveries[at].events.len()
                })
                .collect();
            if round.is_empty() || self.is_gone.get() || task::now() >= self.end {
                return Vec::new();
            }
            let events: Vec<&Event> =
                round.iter().map(|&at| &deliveries[at].events[taken[at].delivered]).collect();
            let produced = match (self.produce)(&events).await {
                Ok(produced) => produced,
                Err(failure) if events.len() > 1 && may_be_of_one_record(&failure) => return round,
                Err(failure) => round.iter().map(|_| failed(failure.clone())).collect(),
            };
            for (at, Produced { status, failure }) in round.into_iter().zip(produced) {
                let is_gone = failure.as_ref().is_some_and(|failure| failure.fault == Fault::Gone);
                self.is_gone.set(self.is_gone.get() || is_gone);
                taken[at].status = status;
                taken[at].delivered += usize::from(failure.is_none());
                taken[at].failure = failure;
            }
        }
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
    // A proxy that is not there, lets nobody in or is not the one that was meant.
    let is_of_all = |status: u16| matches!(status, 300..=399 | 401 | 403..=405 | 407 | 502..=504);
    match failure.status {
        Some(status) => {
            let says_so = matches!(NotTaken::of(failure.clone()).fault, Fault::Busy | Fault::Gone);
            !status.is_success() && !says_so && !is_of_all(status.as_u16())
        }
        None => failure.may_land,
    }
}

/// Sends one record of each event; what became of each.
async fn produce(proxy: &KafkaSink, events: &[&Event]) -> ProduceResult {
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
    use super::super::taken::tests::deliveries;
    use super::*;
    use crate::peers::tests::answer;
    use futures::StreamExt;
    use futures::channel::mpsc;
    use futures::executor::block_on;
    use std::future::poll_fn;
    use std::task::Poll;

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

    fn answered(status: u16) -> CallFailure {
        let status = Some(http::StatusCode::from_u16(status).unwrap());
        CallFailure { status, ..CallFailure::from(String::new()) }
    }

    #[test]
    fn a_proxy_that_takes_nothing_now_is_not_asked_for_each_record() {
        for status in [301, 401, 403, 404, 405, 407, 410, 425, 429, 502, 503, 504] {
            assert!(!may_be_of_one_record(&answered(status)), "{status}");
        }
        for status in [400, 408, 413, 422, 500] {
            assert!(may_be_of_one_record(&answered(status)), "{status}");
        }
        let no_answer = |may_land| CallFailure { may_land, ..CallFailure::from(String::new()) };
        assert!(may_be_of_one_record(&no_answer(true)));
        assert!(!may_be_of_one_record(&no_answer(false)), "it was not asked");
    }

    async fn pending_once() {
        let mut was_polled = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut was_polled, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Sends the two events of each of so many orders, to a proxy that answers what `answer` says of the orders of a call: how many events of
    /// each order were taken, which of them failed, and how many calls there were.
    fn sent(count: u128, answer: impl Fn(&[u128]) -> Option<CallFailure>) -> (Vec<usize>, Vec<usize>, usize) {
        let made = Cell::new(0);
        let produce = async |events: &[&Event]| {
            made.set(made.get() + 1);
            // Others are asked before it answers.
            pending_once().await;
            let orders: Vec<u128> = events.iter().map(|event| event.subject.parse().unwrap()).collect();
            match answer(&orders) {
                Some(failure) => Err(failure),
                None => Ok(events.iter().map(|_| Produced { status: Some(200), failure: None }).collect()),
            }
        };
        let calls = Calls { produce, end: super::super::taken::end_of_budget(), is_gone: Cell::new(false) };
        let deliveries = deliveries(count);
        let (done, results) = mpsc::unbounded();
        block_on(send_by(&calls, &deliveries, &done));
        drop(done);
        let mut told: Vec<(usize, Taken)> = block_on(results.collect());
        told.sort_by_key(|(at, _)| *at);
        assert!(told.iter().map(|(at, _)| *at).eq(0..deliveries.len()), "each is told once");
        let failed = told.iter().filter(|(_, taken)| taken.failure.is_some()).map(|(at, _)| *at).collect();
        (told.iter().map(|(_, taken)| taken.delivered).collect(), failed, made.get())
    }

    fn no_answer() -> CallFailure {
        CallFailure { may_land: true, ..CallFailure::from("no answer".to_owned()) }
    }

    #[test]
    fn records_that_are_the_cause_of_a_failure_hold_up_no_other() {
        assert_eq!(sent(20, |_| None), (vec![2; 20], vec![], 3 * 2));
        // In one call, in each of them, and where nothing but single records are taken.
        for failing in [vec![13], vec![0, 9, 17], vec![]] {
            let is_failing = |orders: &[u128]| {
                orders.iter().any(|order| failing.contains(order)) || failing.is_empty() && orders.len() > 1
            };
            for failure in [no_answer(), answered(422), answered(500)] {
                let (taken, failed, _) = sent(20, |orders| is_failing(orders).then(|| failure.clone()));
                let expected: Vec<usize> = failing.iter().map(|order| *order as usize).collect();
                assert_eq!(failed, expected);
                let is_whole =
                    |at: &usize| taken[*at] == if failing.contains(&(*at as u128)) { 0 } else { 2 };
                assert!((0..20).all(|at| is_whole(&at)), "{failing:?}: {taken:?}");
            }
        }
    }

    #[test]
    fn a_proxy_that_takes_nothing_is_asked_for_each_record_of_one_call_alone() {
        for failure in [no_answer(), answered(500)] {
            let (taken, failed, calls) = sent(64, |_| Some(failure.clone()));
            assert_eq!((taken, failed, calls), (vec![0; 64], (0..8).collect(), 8 + 8));
        }
        let refused = CallFailure::from("refused".to_owned());
        assert_eq!(sent(64, |_| Some(refused.clone())), (vec![0; 64], (0..64).collect(), 8));
    }

    #[test]
    fn a_proxy_that_has_said_410_is_asked_no_more() {
        // To a call of several, and to a single record.
        let (_, _, calls) = sent(24, |orders| orders.contains(&3).then(|| answered(410)));
        assert_eq!(calls, 3, "no second round");
        let of_one = |orders: &[u128]| match orders {
            [0] => Some(answered(410)),
            [_] => None,
            _ => Some(answered(500)),
        };
        assert_eq!(sent(16, of_one).2, 2 + 8, "neither a second round, nor another call's records");
    }
}
