//! A sink of events: an endpoint that takes each by POST (CloudEvents, binary mode), and a Kafka REST proxy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::contract::errors;
use super::state::{State, now_ms};

/// An event as it was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakenEvent {
    /// How it came: `http` or `kafka`.
    pub sink: String,
    /// When it came: milliseconds since 1970.
    pub taken_at_ms: i64,
    /// The attributes (`id`, `type`, …), and the data under `data`.
    pub event: Value,
    /// The headers of its signature (`webhook-…`), where it came by HTTP.
    pub webhook: BTreeMap<String, String>,
    /// The body as it came, where it came by HTTP.
    pub body: String,
    /// The record's key, where it came by Kafka.
    pub key: Option<String>,
    /// Its attributes as they came (`ce-…`), and `content-type`, where it came by HTTP.
    pub headers: BTreeMap<String, String>,
}

/// `POST /hook`
pub(super) fn take(state: &mut State, call: &Call) -> Answer {
    let mut event: serde_json::Map<String, Value> = call
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("ce-")?.to_owned(), json!(value))))
        .collect();
    // In binary mode it is the type of the data; that of a whole event would be structured mode.
    let is_binary = call.content_type == "application/json" && event.contains_key("id");
    let (Some(data), true) = (call.json::<Value>(), is_binary) else {
        return errors::catalog(400, "this is no event in binary mode");
    };
    event.insert("data".to_owned(), data);
    let (webhook, mut headers): (BTreeMap<String, String>, BTreeMap<String, String>) =
        call.headers.clone().into_iter().partition(|(name, _)| name.starts_with("webhook-"));
    headers.insert("content-type".to_owned(), call.content_type.clone());
    state.keep_event(TakenEvent {
        sink: "http".to_owned(),
        taken_at_ms: now_ms(),
        event: Value::Object(event),
        webhook,
        body: String::from_utf8_lossy(&call.body).into_owned(),
        key: None,
        headers,
    });
    Answer::empty(204)
}

/// `POST /topics/{topic}`
pub(super) fn produce(state: &mut State, call: &Call) -> Answer {
    #[derive(Deserialize)]
    struct Record {
        key: String,
        value: Value,
    }
    #[derive(Deserialize)]
    struct Records {
        records: Vec<Record>,
    }
    if call.content_type != "application/vnd.kafka.json.v2+json" {
        return Answer::json(
            415,
            &json!({ "error_code": 415, "message": "HTTP 415 Unsupported Media Type" }),
        );
    }
    let Ok(Records { records }) = serde_json::from_slice(&call.body) else {
        return Answer::json(422, &json!({ "error_code": 422, "message": "Unrecognized field" }));
    };
    let first = state.events_taken.len();
    let offsets: Vec<Value> = (first..first + records.len())
        .map(|offset| json!({ "partition": 0, "offset": offset, "error_code": null, "error": null }))
        .collect();
    for Record { key, value } in records {
        state.keep_event(TakenEvent {
            sink: "kafka".to_owned(),
            taken_at_ms: now_ms(),
            event: value,
            webhook: BTreeMap::new(),
            body: String::new(),
            key: Some(key),
            headers: BTreeMap::new(),
        });
    }
    Answer::json(200, &json!({ "offsets": offsets, "key_schema_id": null, "value_schema_id": null }))
}
