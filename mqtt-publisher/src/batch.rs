//! A batch of messages, as the order service sends it.

use serde::Deserialize;

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// The most messages of a batch.
pub const MAX_MESSAGES: usize = 100;
/// The longest topic, in bytes: its length is sent in two (MQTT 3.1.1, 1.5.3).
const MAX_TOPIC_BYTES: usize = u16::MAX as usize;

/// Messages in the order in which they are to be published.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The messages; none is fine.
    pub messages: Vec<Message>,
}

/// A message for the broker.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The topic's name, such as `orders/101`.
    pub topic: String,
    /// What subscribers get, as it is.
    pub payload: String,
}

impl Batch {
    /// Reads a batch from a request body of at most [`MAX_BODY_BYTES`].
    ///
    /// # Errors
    /// A sentence that says what is wrong with it. Nothing of it is to be published then.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let batch: Self = serde_json::from_slice(body).map_err(|error| format!("the batch: {error}"))?;
        match batch.messages.len() {
            0..=MAX_MESSAGES => Ok(batch),
            n => Err(format!("the batch has {n} messages, more than {MAX_MESSAGES}")),
        }
    }
}

impl Message {
    /// Whether MQTT can carry it to this topic. Looked at when its turn comes, so that those before it are published.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the topic.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.topic.is_empty() {
            Err("its topic is empty")
        } else if self.topic.len() > MAX_TOPIC_BYTES {
            Err("its topic is longer than 65535 bytes")
        } else if self.topic.contains(['+', '#']) {
            // Wildcards are for subscribers (MQTT 3.1.1, 3.3.2.1).
            Err("its topic has a wildcard, + or #")
        } else if self.topic.contains(char::is_control) {
            // U+0000 is forbidden; for the others a broker may end the connection (MQTT 3.1.1, 1.5.3).
            Err("its topic has a control character")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(topic: &str, payload: &str) -> Message {
        Message { topic: topic.to_owned(), payload: payload.to_owned() }
    }

    #[test]
    fn a_batch_is_read_in_its_order() {
        let body =
            r#"{"messages":[{"topic":"orders/101","payload":"{\"é\":1}"},{"payload":"","topic":"b"}]}"#;
        let messages = vec![message("orders/101", "{\"é\":1}"), message("b", "")];
        assert_eq!(Batch::parse(body.as_bytes()), Ok(Batch { messages }));
        assert_eq!(Batch::parse(b"{\"messages\":[]}"), Ok(Batch { messages: vec![] }));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for body in [
            &b""[..],
            b"[]",
            b"{}",
            b"{\"messages\":{}}",
            b"{\"messages\":[{}]}",
            b"{\"messages\":[{\"topic\":\"a\"}]}",
            b"{\"messages\":[{\"topic\":\"a\",\"payload\":1}]}",
            b"{\"messages\":[{\"topic\":\"a\",\"payload\":\"\",\"qos\":0}]}",
            b"{\"messages\":[],\"retain\":true}",
            b"{\"messages\":[{\"topic\":\"\xff\",\"payload\":\"\"}]}",
            b"{\"messages\":[]} x",
        ] {
            let reason = Batch::parse(body).expect_err("refused");
            assert!(reason.starts_with("the batch: "), "{reason}");
        }
    }

    #[test]
    fn a_batch_has_a_hundred_messages_at_most() {
        let batch = |n: usize| {
            let messages = vec![r#"{"topic":"a","payload":"b"}"#; n].join(",");
            Batch::parse(format!("{{\"messages\":[{messages}]}}").as_bytes())
        };
        assert_eq!(batch(100).map(|batch| batch.messages.len()), Ok(100));
        assert_eq!(batch(101), Err("the batch has 101 messages, more than 100".to_owned()));
    }

    #[test]
    fn a_topic_is_one_that_mqtt_allows() {
        for good in ["a", "/", "orders/101", "orders/ü 1", "$share", &"t".repeat(65_535)] {
            assert_eq!(message(good, "").check(), Ok(()), "{good}");
        }
        for (bad, reason) in [
            ("", "empty"),
            ("orders/+", "wildcard"),
            ("#", "wildcard"),
            ("a\0", "control"),
            ("a\nb", "control"),
            (&"é".repeat(32_768), "longer"),
        ] {
            assert!(message(bad, "").check().expect_err(bad).contains(reason), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_batch_or_a_reason(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(reason) = Batch::parse(&body) {
                prop_assert!(!reason.is_empty());
            }
        }

        #[test]
        fn any_text_is_read_as_it_was_written(topic in ".*", payload in ".*") {
            let body = serde_json::json!({ "messages": [{ "topic": topic, "payload": payload }] }).to_string();
            let messages = vec![message(&topic, &payload)];
            prop_assert_eq!(Batch::parse(body.as_bytes()), Ok(Batch { messages }));
        }
    }
}
