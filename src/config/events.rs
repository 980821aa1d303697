//! Where events for other systems are sent.

/// The MQTT publisher's own, so that both say the same of a URL.
#[path = "../../mqtt-publisher/src/broker.rs"]
pub mod broker;

use super::base_url::BaseUrl;
use super::secret::{Secret, webhook_keys};
use super::variables::{Variables, wrong};
use crate::domain::event::{Event, Sink};
use anyhow::{Error, Result};
use broker::Broker;

/// The variables about events.
#[derive(Debug)]
pub struct Events {
    /// The attribute `source` of every event (CloudEvents): a URI or a reference to one.
    pub source: String,
    /// The endpoint that takes each event by POST.
    pub http: Option<HttpSink>,
    /// The Kafka REST proxy.
    pub kafka: Option<KafkaSink>,
    /// The topics at the MQTT broker; the broker's address is the publisher's.
    pub mqtt: Option<Topic>,
}

/// An endpoint that takes events.
#[derive(Debug)]
pub struct HttpSink {
    /// Its URL.
    pub url: BaseUrl,
    /// Keys of the signature (Standard Webhooks), decoded; each makes one. None: nothing is signed.
    pub keys: Vec<Secret<Vec<u8>>>,
}

/// A Kafka REST proxy.
#[derive(Debug)]
pub struct KafkaSink {
    /// Its base URL.
    pub base: BaseUrl,
    /// The topic.
    pub topic: String,
}

/// A topic, which may name the event that the order is for, the order, or the type, as `orders/{event_id}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic(String);

/// What a topic may have in place of a value.
const PLACEHOLDERS: [&str; 3] = ["{event_id}", "{order_id}", "{type}"];

impl Topic {
    /// Parses a topic. `None` when it is none that can be published to (MQTT 3.1.1, 4.7).
    pub fn parse(text: &str) -> Option<Self> {
        let bare =
            PLACEHOLDERS.iter().fold(text.to_owned(), |bare, placeholder| bare.replace(placeholder, "0"));
        let is_sound = !bare.is_empty()
            && bare.len() <= 1_000
            && !bare.starts_with('$')
            && !bare.contains(|c: char| c.is_control() || "+#{}".contains(c));
        is_sound.then(|| Self(text.to_owned()))
    }

    /// The topic of an event. What has no event has 0.
    pub fn of(&self, event: &Event) -> String {
        let event_id = event.event_id.unwrap_or_default().to_string();
        let values = [&event_id, &event.subject, &event.kind];
        PLACEHOLDERS
            .iter()
            .zip(values)
            .fold(self.0.clone(), |topic, (name, value)| topic.replace(name, value))
    }
}

impl Events {
    /// The sinks that are configured.
    pub fn sinks(&self) -> impl Iterator<Item = Sink> {
        let sinks = [
            (Sink::Http, self.http.is_some()),
            (Sink::Kafka, self.kafka.is_some()),
            (Sink::Mqtt, self.mqtt.is_some()),
        ];
        sinks.into_iter().filter_map(|(sink, is_on)| is_on.then_some(sink))
    }

    /// Whether events are sent anywhere.
    pub fn has_sinks(&self) -> bool {
        self.sinks().next().is_some()
    }
}

/// # Errors
/// One sentence that names the invalid variable.
pub fn parse(variables: &Variables) -> Result<Events> {
    let source = variables.text("events_source").trim();
    if source.is_empty()
        || source.len() > 200
        || !source.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}%".contains(&b))
    {
        return Err(wrong(
            "events_source",
            "a URI, or a reference to one, of at most 200 characters, as urn:order-service",
        ));
    }
    let keys = webhook_keys(variables.text("events_webhook_secret")).ok_or_else(|| {
        wrong(
            "events_webhook_secret",
            "whsec_ followed by the base64 of 24 to 64 bytes, or several of that with blanks between them",
        )
    })?;
    let http = variables.optional_document_url("events_url")?;
    let kafka = variables.optional_base_url("events_kafka_rest_url")?;
    let topic = variables.text("events_kafka_topic").trim();
    let is_topic = (1..=249).contains(&topic.len())
        && topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && topic != "."
        && topic != "..";
    if kafka.is_some() && !is_topic {
        return Err(wrong("events_kafka_topic", "1 to 249 letters, digits, dots, underscores and dashes"));
    }
    // The publisher reads it; here only whether it can.
    let broker = variables.optional_text("events_mqtt_url").map(Broker::parse).transpose();
    let broker = broker.map_err(|reason| Error::msg(format!("A variable is wrong: {reason}.")))?;
    let mqtt_topic = Topic::parse(variables.text("events_mqtt_topic").trim());
    let mqtt = match (broker, mqtt_topic) {
        (None, _) => None,
        (Some(_), Some(topic)) => Some(topic),
        (Some(_), None) => {
            let expected =
                "a topic without wildcards, which may have {event_id}, {order_id} and {type} in it";
            return Err(wrong("events_mqtt_topic", expected));
        }
    };
    Ok(Events {
        source: source.to_owned(),
        http: http.map(|url| HttpSink { url, keys: keys.into_iter().map(Secret::new).collect() }),
        kafka: kafka.map(|base| KafkaSink { base, topic: topic.to_owned() }),
        mqtt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(values: &[(&str, &str)]) -> Result<Events> {
        let defaults = [
            ("events_source", "urn:order-service"),
            ("events_mqtt_topic", "orders/{event_id}"),
            ("events_kafka_topic", "orders"),
        ];
        let left = defaults.into_iter().filter(|(name, _)| values.iter().all(|(other, _)| other != name));
        parse(&Variables::for_tests(&left.chain(values.iter().copied()).collect::<Vec<_>>()))
    }

    #[test]
    fn the_sinks_are_those_that_have_an_address() {
        let sinks = |values: &[(&str, &str)]| parsed(values).unwrap().sinks().collect::<Vec<_>>();
        assert_eq!(sinks(&[]), []);
        assert!(!parsed(&[]).unwrap().has_sinks());
        assert_eq!(sinks(&[("events_url", "https://shop.example/hooks?a=1")]), [Sink::Http]);
        let all = [
            ("events_url", "http://a"),
            ("events_kafka_rest_url", "http://b/"),
            ("events_mqtt_url", "mqtt://c:1883"),
        ];
        assert_eq!(sinks(&all), Sink::ALL);
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        for (name, value) in [
            ("events_source", ""),
            ("events_source", "two words"),
            ("events_webhook_secret", "secret"),
            ("events_url", "shop.example"),
            ("events_kafka_rest_url", "kafka:8082"),
            ("events_mqtt_url", "broker:1883"),
            ("events_mqtt_url", "https://broker"),
            ("events_mqtt_url", "mqtt://broker:port"),
            ("events_mqtt_url", "mqtt://user:pass%FF@broker"),
        ] {
            assert!(parsed(&[(name, value)]).unwrap_err().to_string().contains(name), "{name}={value}");
        }
        for (name, value, address) in [
            ("events_kafka_topic", "a b", ("events_kafka_rest_url", "http://b")),
            ("events_kafka_topic", "..", ("events_kafka_rest_url", "http://b")),
            ("events_mqtt_topic", "orders/#", ("events_mqtt_url", "mqtt://c")),
            ("events_mqtt_topic", "", ("events_mqtt_url", "mqtt://c")),
            ("events_mqtt_topic", "{seat_id}", ("events_mqtt_url", "mqtt://c")),
        ] {
            assert!(
                parsed(&[(name, value), address]).unwrap_err().to_string().contains(name),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn a_topic_names_what_the_event_is_about() {
        let text = r#"{"id":"o.1","source":"s","type":"order.placed.v1","subject":"o","time":"t","sequence":"1","data":{"event_id":101}}"#;
        let event = Event::parse(text).unwrap();
        let topic = Topic::parse("tickets/{event_id}/{order_id}/{type}").unwrap();
        assert_eq!(topic.of(&event), "tickets/101/o/order.placed.v1");
        let none = Event { event_id: None, ..event };
        assert_eq!(Topic::parse("orders/{event_id}").unwrap().of(&none), "orders/0");
    }
}
