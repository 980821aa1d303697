//! What a peer answers.

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
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Answer { status, content_type: Some("application/json".into()), body }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, content_type: None, body: Bytes::new() }
    }

    /// Plain text.
    pub fn text(status: u16, text: &str) -> Answer {
        let content_type = Some("text/plain; charset=utf-8".into());
        Answer { status, content_type, body: Bytes::copy_from_slice(text.as_bytes()) }
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

    pub fn into_response(self) -> hyper::Response<http_body_util::Full<Bytes>> {
        let mut response = hyper::Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(value) = self.content_type.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
        }
        response
    }
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
    fn a_merge_patch_changes_members_and_elements() {
        let mut body = json!({"a": 1, "list": [{"p": 1}, {"p": 2}, {"p": 3}], "gone": true});
        merge(&mut body, &json!({"a": {"b": 2}, "list": {"0": {"p": -5}, "2": null, "9": 1}, "gone": null}));
        assert_eq!(body, json!({"a": {"b": 2}, "list": [{"p": -5}, {"p": 2}]}));
        merge(&mut body, &json!({"list": []}));
        assert_eq!(body, json!({"a": {"b": 2}, "list": []}));
    }
}
