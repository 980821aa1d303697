//! Builder of requests that place an order.

use reqwest::Method;
use serde_json::{Value, json};

use super::app::App;
use super::request::Request;

/// A request to place an order. Sent twice, it is a replay under the same idempotency key.
#[derive(Clone, Debug)]
pub struct OrderRequest {
    /// The idempotency key.
    pub key: String,
    /// The body.
    pub body: Value,
}

/// These seats of event 101 for user 101, under a fresh idempotency key.
pub fn order(seats: &[i64]) -> OrderRequest {
    OrderRequest { key: fresh_key(), body: json!({ "user_id": 101, "event_id": 101, "seats": seats }) }
}

/// A fresh idempotency key.
fn fresh_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

impl OrderRequest {
    /// Under this key.
    pub fn key(mut self, key: &str) -> OrderRequest {
        self.key = key.to_owned();
        self
    }

    /// For this user, in whatever spelling.
    pub fn user(self, user: impl Into<Value>) -> OrderRequest {
        self.with("user_id", user)
    }

    /// For this event, in whatever spelling.
    pub fn event(self, event: impl Into<Value>) -> OrderRequest {
        self.with("event_id", event)
    }

    /// With this member, right or wrong.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> OrderRequest {
        self.body[member] = value.into();
        self
    }

    /// The request, to be sent.
    pub fn request(&self, app: &App, replica: usize) -> Request {
        let request = app.request_to(replica, Method::POST, "/v1/orders");
        request.header("idempotency-key", &self.key).json(&self.body)
    }
}
