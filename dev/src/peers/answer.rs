//! What a peer answers.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

/// An answer before it is put on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Bytes,
    /// The header of this name.
    pub retry_after: Option<String>,
    /// How much later than the head the body comes.
    pub body_delay: Option<Duration>,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Answer {
            status,
            content_type: Some("application/json".into()),
            body,
            retry_after: None,
            body_delay: None,
        }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, content_type: None, body: Bytes::new(), retry_after: None, body_delay: None }
    }

    /// Plain text.
    pub fn text(status: u16, text: &str) -> Answer {
        Answer::of_type(status, "text/plain; charset=utf-8", text)
    }

    /// An HTML page.
    pub fn html(status: u16, page: &str) -> Answer {
        Answer::of_type(status, "text/html; charset=utf-8", page)
    }

    /// A body of this media type.
    pub fn of_type(status: u16, content_type: &str, text: &str) -> Answer {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Answer { status, content_type: Some(content_type.into()), body, retry_after: None, body_delay: None }
    }

    /// How Catalog, Payment and Notification report an error; Seating has its own way.
    pub fn error(status: u16, message: &str) -> Answer {
        Answer::json(status, &json!({ "error": message }))
    }

    /// The answer with a merge patch applied to its body.
    pub fn patched(mut self, patch: &Value) -> Answer {
        let mut body = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        merge(&mut body, patch);
        self.body = body.to_string().into();
        self.content_type = Some("application/json".into());
        self
    }

    /// The answer with every member of its body in both spellings, in camel case and in snake case.
    pub fn in_both_spellings(mut self) -> Answer {
        if let Ok(mut body) = serde_json::from_slice(&self.body) {
            spell_both(&mut body);
            self.body = body.to_string().into();
        }
        self
    }

    /// The answer with a byte order mark before its body.
    pub fn with_byte_order_mark(mut self) -> Answer {
        self.body = [b"\xef\xbb\xbf", &*self.body].concat().into();
        self
    }

    pub fn into_response(self) -> hyper::Response<http_body_util::Full<Bytes>> {
        let mut response = hyper::Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(value) = self.content_type.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
        }
        if let Some(value) = self.retry_after.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(hyper::header::RETRY_AFTER, value);
        }
        response
    }
}

fn spell_both(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(spell_both),
        Value::Object(members) => {
            members.values_mut().for_each(spell_both);
            for (name, value) in members.clone() {
                members.entry(other_spelling(&name)).or_insert(value);
            }
        }
        _ => {}
    }
}

/// `merchantOrderId` of `merchant_order_id`, and the other way round.
fn other_spelling(name: &str) -> String {
    let mut other = String::new();
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '_' => other.extend(letters.next().map(|letter| letter.to_ascii_uppercase())),
            'A'..='Z' => other.extend(['_', letter.to_ascii_lowercase()]),
            _ => other.push(letter),
        }
    }
    other
}

/// JSON Merge Patch (RFC 7396) with one addition: an object whose keys are all indexes patches the elements of an
/// array, and `null` removes one. A plain merge patch could only replace the whole array.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    let indexes: Option<Vec<usize>> = members.keys().map(|key| key.parse().ok()).collect();
    if let (Value::Array(elements), Some(mut indexes)) = (&mut *target, indexes) {
        // From the end, so that a removal does not move those still to come.
        indexes.sort_unstable_by(|a, b| b.cmp(a));
        for index in indexes.into_iter().filter(|index| *index < elements.len()).collect::<Vec<_>>() {
            match &members[&index.to_string()] {
                Value::Null => drop(elements.remove(index)),
                change => merge(&mut elements[index], change),
            }
        }
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    let Some(object) = target.as_object_mut() else {
        return;
    };
    for (name, change) in members {
        if change.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_spelled_in_both_ways() {
        let answer = Answer::json(200, &json!([{"merchant_order_id": 1, "id": {"seatId": 2}}]));
        let body: Value = serde_json::from_slice(&answer.in_both_spellings().body).unwrap();
        let id = json!({"seatId": 2, "seat_id": 2});
        assert_eq!(body, json!([{"merchant_order_id": 1, "merchantOrderId": 1, "id": id}]));
    }

    #[test]
    fn a_merge_patch_changes_members_and_elements() {
        let mut body = json!({"a": 1, "list": [{"p": 1}, {"p": 2}, {"p": 3}], "gone": true});
        merge(&mut body, &json!({"a": {"b": 2}, "list": {"0": {"p": -5}, "2": null, "9": 1}, "gone": null}));
        assert_eq!(body, json!({"a": {"b": 2}, "list": [{"p": -5}, {"p": 2}]}));
        merge(&mut body, &json!({"list": []}));
        assert_eq!(body, json!({"a": {"b": 2}, "list": []}));
    }
}
