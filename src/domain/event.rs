//! Events for other systems (CloudEvents 1.0), and the sinks that they are sent to.

use super::ids::OrderId;
use super::trace::StoredTrace;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where events are sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sink {
    /// An endpoint that takes each event by POST.
    Http,
    /// A Kafka REST proxy.
    Kafka,
    /// An MQTT broker.
    Mqtt,
}

impl Sink {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::Kafka, Self::Mqtt];

    /// Its name in the database, in metrics and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Kafka => "kafka",
            Self::Mqtt => "mqtt",
        }
    }
}

/// An event, as the database renders it: the same at every attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The attribute `id`, unique within the source.
    pub id: String,
    /// The attribute `source`.
    pub source: String,
    /// The attribute `type`, as `order.placed.v1`.
    pub kind: String,
    /// The attributes `subject` and `partitionkey`: the order's id.
    pub subject: String,
    /// The attribute `time`: RFC 3339, UTC.
    pub time: String,
    /// The attribute `sequence`: ten digits.
    pub sequence: String,
    /// The attribute `traceparent` (W3C Trace Context).
    pub traceparent: Option<String>,
    /// The event that the order has tickets for; an inherited order may have none.
    pub event_id: Option<i32>,
    /// The data, as JSON.
    pub data: String,
    /// The whole event in structured mode, as JSON.
    pub text: String,
}

/// The next events of an order that a sink has not taken, leased to whoever claimed them.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The order.
    pub order_id: OrderId,
    /// The order's trace, in which they are sent.
    pub trace: Option<StoredTrace>,
    /// The fencing token: what comes of it counts only under this lease.
    pub lease: i32,
    /// How often the sink did not take the first of them, while it took others.
    pub attempts: u32,
    /// In order; none after a restore that has lost some.
    pub events: Vec<Event>,
}

impl Event {
    /// Reads an event in structured mode. `None` when it is none of this service's.
    pub fn parse(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Structured<'a> {
            id: String,
            source: String,
            #[serde(rename = "type")]
            kind: String,
            subject: String,
            time: String,
            sequence: String,
            traceparent: Option<String>,
            #[serde(borrow)]
            data: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Data {
            event_id: Option<i32>,
        }
        let event: Structured = serde_json::from_str(text).ok()?;
        let data: Data = serde_json::from_str(event.data.get()).ok()?;
        Some(Self {
            id: event.id,
            source: event.source,
            kind: event.kind,
            subject: event.subject,
            time: event.time,
            sequence: event.sequence,
            traceparent: event.traceparent,
            event_id: data.event_id,
            data: event.data.get().to_owned(),
            text: text.to_owned(),
        })
    }
}

/// Milliseconds before an event is sent again that a sink did not take, while it took others: those of Standard Webhooks 1.0, with jitter.
/// `attempts`: how often it did not, this time included. `None` after the last attempt: a dead letter.
///
/// `jitter` is random, 0 to 255.
pub fn redelivery_wait_ms(attempts: u32, jitter: u8) -> Option<u64> {
    const SECOND: u64 = 1_000;
    const HOUR: u64 = 3_600 * SECOND;
    const WAITS: [u64; 9] = [
        5 * SECOND,
        300 * SECOND,
        1_800 * SECOND,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    ];
    let wait = *WAITS.get(attempts.saturating_sub(1) as usize)?;
    Some(wait + wait / 10 * u64::from(jitter) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_its_data_as_it_stands() {
        let text = r#"{"specversion":"1.0","id":"o.0000000002","source":"urn:order-service","type":"order.confirmed.v1","subject":"o","time":"2026-11-22T10:00:00.123456Z","datacontenttype":"application/json","partitionkey":"o","sequence":"0000000002","data":{"event_id": 101, "total_cents": 5}}"#;
        let event = Event::parse(text).unwrap();
        assert_eq!(
            (&*event.kind, event.event_id, event.traceparent),
            ("order.confirmed.v1", Some(101), None)
        );
        assert_eq!((&*event.data, &*event.text), (r#"{"event_id": 101, "total_cents": 5}"#, text));
        assert_eq!(Event::parse("{}"), None);
        assert_eq!(Event::parse(""), None);
    }

    #[test]
    fn an_event_is_sent_ten_times_in_three_days_and_a_few_hours_and_is_then_a_dead_letter() {
        let waits: Vec<u64> = (1..).map_while(|attempts| redelivery_wait_ms(attempts, 0)).collect();
        assert_eq!((waits.len(), waits[0], waits[8]), (9, 5_000, 86_400_000));
        assert_eq!(redelivery_wait_ms(10, 0), None);
        let hours = |jitter| (1..10).filter_map(|n| redelivery_wait_ms(n, jitter)).sum::<u64>() / 3_600_000;
        assert_eq!((hours(0), hours(255)), (75, 83));
        for attempts in 1..10 {
            let (least, most) =
                (redelivery_wait_ms(attempts, 0).unwrap(), redelivery_wait_ms(attempts, 255).unwrap());
            assert!(least < most && most <= least + least / 10);
        }
    }
}
