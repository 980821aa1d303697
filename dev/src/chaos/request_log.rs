//! The request log: every request of a client with its response.

use std::sync::Mutex;

use serde_json::Value;

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Operation {
    Place,
    /// Placing with a body that comes in pieces.
    PlaceSlowly,
    /// Placing with a half of a body.
    PlaceHalf,
    Read,
    Cancel,
    Refund,
}

impl Operation {
    /// Whether it places an order.
    pub fn places(self) -> bool {
        matches!(self, Operation::Place | Operation::PlaceSlowly | Operation::PlaceHalf)
    }
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Milliseconds since the start, when it was sent.
    pub at_ms: u64,
    /// Milliseconds until the response or the error.
    pub took_ms: u64,
    /// The idempotency key of the order that it is about.
    pub key: String,
    /// Index of the replica that got it.
    pub replica: usize,
    /// What was requested.
    pub operation: Operation,
    /// The response, or the error when there was none.
    pub answer: Result<Answer, String>,
}

/// The parts of a response that the checker needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The problem's code, if it is one.
    pub code: Option<String>,
    /// The order that it names.
    pub order_id: Option<String>,
    /// The order's status, when the answer is an order document.
    pub order_status: Option<String>,
}

impl Answer {
    /// Parses a response's body.
    pub fn read(status: u16, body: &Value) -> Answer {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let order = &body["order"];
        Answer {
            status,
            code: text(&body["code"]),
            order_id: text(&order["id"]).or_else(|| text(&body["order_id"])),
            order_status: text(&order["status"]),
        }
    }

    /// Whether it shows the order with this status.
    pub fn says(&self, status: &str) -> bool {
        self.order_status.as_deref() == Some(status)
    }
}

/// All exchanges, in the order of their ends.
#[derive(Debug, Default)]
pub struct RequestLog(Mutex<Vec<Exchange>>);

impl RequestLog {
    /// Adds one.
    pub fn add(&self, exchange: Exchange) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(exchange);
    }

    /// A copy of all exchanges so far.
    pub fn all(&self) -> Vec<Exchange> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}
