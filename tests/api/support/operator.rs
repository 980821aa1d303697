//! The operator's requests: stuck work and redrive.

use reqwest::Method;
use serde_json::Value;

use super::app::App;
use super::request::Request;

/// The token of the tests that need one.
pub const TOKEN: &str = "correct-horse-battery-staple";

/// What `GET /internal/stuck` lists.
#[derive(Debug)]
pub struct Stuck {
    /// Orders, one object each.
    pub orders: Vec<Value>,
    /// Messages, one object each.
    pub messages: Vec<Value>,
}

impl App {
    /// A request with the operator's token.
    pub fn operator(&self, method: Method, path: &str) -> Request {
        let request = self.request(method, path);
        let token = self.token.as_ref().expect("the test has set a token");
        request.header("authorization", format!("Bearer {token}"))
    }

    /// What needs a person; the shape of the list is checked.
    pub async fn stuck(&self) -> Stuck {
        let list = self.operator(Method::GET, "/internal/stuck").send().await.json(200);
        assert_eq!(list["truncated"], false, "{list}");
        check(&list["orders"], &["attempts", "order_id", "phase", "reason", "since", "status", "why"]);
        check(&list["messages"], &["attempts", "dead_since", "message_id", "order_id", "reason", "type"]);
        let all = |name: &str| list[name].as_array().cloned().unwrap_or_default();
        Stuck { orders: all("orders"), messages: all("messages") }
    }

    /// Redrives what this body says: how many orders and messages.
    pub async fn redrive(&self, body: &Value) -> (u64, u64) {
        let done = self.operator(Method::POST, "/internal/redrive").json(body).send().await.json(200);
        let count = |name: &str| done[name].as_u64().unwrap_or_else(|| panic!("a number: {done}"));
        (count("orders"), count("messages"))
    }
}

fn check(list: &Value, names: &[&str]) {
    for row in list.as_array().unwrap_or_else(|| panic!("a list: {list}")) {
        let members: Vec<&String> = row.as_object().expect("an object").keys().collect();
        assert_eq!(members, names, "{row}");
        assert!(row["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{row}");
        let time = row.get("since").or(row.get("dead_since")).and_then(Value::as_str).unwrap_or_default();
        let shape: String = time.replace(|c: char| c.is_ascii_digit(), "9");
        assert_eq!(shape, "9999-99-99T99:99:99.999999Z", "{row}");
    }
}
