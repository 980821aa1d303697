//! What users asked and heard.

use std::sync::Mutex;

use serde_json::Value;

/// What a user can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Asked {
    Place,
    Read,
    Cancel,
    Refund,
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Milliseconds since the start, when it was sent.
    pub at_ms: u64,
    /// Milliseconds until the answer, or until there was none.
    pub took_ms: u64,
    /// The idempotency key of the order that it is about.
    pub key: String,
    /// Which copy was asked.
    pub copy: usize,
    /// What for.
    pub asked: Asked,
    /// What came back; the error when nothing did.
    pub answer: Result<Answer, String>,
}

/// What an answer says.
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
    /// Reads an answer's body.
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

    /// Whether it says that the order has this status.
    pub fn says(&self, status: &str) -> bool {
        self.order_status.as_deref() == Some(status)
    }
}

/// All exchanges, in the order in which they ended.
#[derive(Debug, Default)]
pub struct Log(Mutex<Vec<Exchange>>);

impl Log {
    /// Adds one.
    pub fn add(&self, exchange: Exchange) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(exchange);
    }

    /// What there is so far.
    pub fn all(&self) -> Vec<Exchange> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}
