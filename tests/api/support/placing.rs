//! What to order.

use reqwest::Method;
use serde_json::{Value, json};

use super::app::App;
use super::request::Request;

/// A request to place an order. Sent twice it is the same request under the same key.
#[derive(Clone, Debug)]
pub struct Placing {
    /// The idempotency key.
    pub key: String,
    /// The body.
    pub body: Value,
}

/// These seats of event 101 for user 101, under a key that nobody has used.
pub fn order(seats: &[i64]) -> Placing {
    Placing { key: fresh_key(), body: json!({ "user_id": 101, "event_id": 101, "seats": seats }) }
}

/// A key that nobody has used.
fn fresh_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

impl Placing {
    /// Under this key.
    pub fn key(mut self, key: &str) -> Placing {
        self.key = key.to_owned();
        self
    }

    /// For this user, in whatever spelling.
    pub fn user(self, user: impl Into<Value>) -> Placing {
        self.with("user_id", user)
    }

    /// For this event, in whatever spelling.
    pub fn event(self, event: impl Into<Value>) -> Placing {
        self.with("event_id", event)
    }

    /// With this member, right or wrong.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Placing {
        self.body[member] = value.into();
        self
    }

    /// The request, to be sent.
    pub fn request(&self, app: &App, copy: usize) -> Request {
        let request = app.request_to(copy, Method::POST, "/v1/orders");
        request.header("idempotency-key", &self.key).json(&self.body)
    }
}
