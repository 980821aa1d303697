//! An HTTP response, and the assertions that hold for every one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::document::Document;
use super::openapi::Answered;

/// An answer that was received in full.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    method: Method,
    path: String,
}

impl Answer {
    pub(super) fn new(
        method: Method,
        path: String,
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Answer {
        let answer = Answer { status, headers, body, method, path };
        answer.check_framing();
        answer.check_contract();
        answer
    }

    /// A header's value; a header that comes twice is a fault.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "{name} comes once in {self:?}");
        Some(first.to_str().expect("a header in ASCII"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body in UTF-8")
    }

    /// The JSON body of an answer with this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} {}: {}", self.method, self.path, self.text());
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.text());
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The JSON body, whatever the status.
    pub fn json_body(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The order document of an answer with this status.
    #[track_caller]
    pub fn document(&self, status: u16) -> Document {
        Document::checked(self.json(status))
    }

    /// 201 Created: the order's document.
    #[track_caller]
    pub fn created(&self) -> Document {
        let document = self.document(201);
        let path = format!("/v1/orders/{}", document.id());
        assert_eq!(self.header("location"), Some(path.as_str()));
        assert_eq!(self.header("retry-after"), None);
        document
    }

    /// 202 Accepted: the order exists, but a peer is slow or down. Its document.
    #[track_caller]
    pub fn accepted(&self) -> Document {
        let document = self.document(202);
        let path = format!("/v1/orders/{}", document.id());
        assert_eq!(self.header("location"), Some(path.as_str()));
        self.retry_after();
        document
    }

    /// A placed order, whether it needs more time or not.
    #[track_caller]
    pub fn created_or_accepted(&self) -> Document {
        if self.status == 202 { self.accepted() } else { self.created() }
    }

    /// Whether this answer was given before.
    pub fn is_replayed(&self) -> bool {
        match self.header("idempotent-replayed") {
            None => false,
            Some(value) => {
                assert_eq!(value, "true");
                true
            }
        }
    }

    /// The seconds after which to ask again.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        let value = self.header("retry-after").expect("Retry-After is there");
        let seconds = value.parse().expect("Retry-After is a number of seconds");
        assert!((1..=60).contains(&seconds), "{seconds} seconds make sense");
        seconds
    }

    /// A problem that is about no order.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.any_problem(status, code);
        assert_eq!(problem.get("order_id"), None, "{problem}");
        problem
    }

    /// A problem about an order that exists: its id.
    #[track_caller]
    pub fn problem_of_order(&self, status: u16, code: &str) -> String {
        let problem = self.any_problem(status, code);
        problem["order_id"].as_str().expect("an order_id").to_owned()
    }

    #[track_caller]
    fn any_problem(&self, status: u16, code: &str) -> Value {
        let shown = format!("{} {}: {} {}", self.method, self.path, self.status, self.text());
        assert_eq!(self.status, status, "{shown}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{shown}");
        let problem: Value = serde_json::from_slice(&self.body).expect("a JSON body");
        let members = problem.as_object().expect("an object");
        let known = ["type", "title", "status", "detail", "instance", "code", "order_id", "errors"];
        assert!(members.keys().all(|name| known.contains(&name.as_str())), "{shown}");
        assert_eq!(problem["code"], code, "{shown}");
        assert_eq!(
            problem["type"],
            format!("urn:order-service:problem:{}", code.replace('_', "-")),
            "{shown}"
        );
        assert_eq!(problem["status"], status, "{shown}");
        let path = self.path.split('?').next();
        assert_eq!(problem["instance"].as_str(), path, "{shown}");
        let text = |name: &str| problem[name].as_str().filter(|text| !text.is_empty());
        assert!(text("detail").is_some(), "{shown}");
        check_title(code, text("title").expect("a title"));
        assert_eq!(members.contains_key("errors"), code == "validation_failed", "{shown}");
        for error in members.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let members = error.as_object().expect("an object");
            assert!(members.len() == 2, "{shown}");
            assert!(members["pointer"].as_str().is_some_and(|pointer| pointer.starts_with('#')), "{shown}");
            assert!(members["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{shown}");
        }
        problem
    }

    /// The answer is as the OpenAPI document says.
    #[track_caller]
    fn check_contract(&self) {
        let Answer { status, headers, body, method, path } = self;
        let answered = Answered { method, path, status: *status, headers, body };
        if let Err(what) = answered.check() {
            panic!("{what}\nin {method} {path}: {status} {headers:?} {}", String::from_utf8_lossy(body));
        }
    }

    /// The length is stated, the request has an id, browsers are told to be careful, and JSON is compact, whatever the answer is.
    #[track_caller]
    fn check_framing(&self) {
        let shown = format!("{} {}: {} {:?}", self.method, self.path, self.status, self.headers);
        assert_eq!(self.header("transfer-encoding"), None, "{shown}");
        if self.status != 304 {
            let length =
                self.header("content-length").unwrap_or_else(|| panic!("a Content-Length in {shown}"));
            let length: usize = length.parse().expect("a number");
            assert!(length == self.body.len() || self.method == Method::HEAD, "{shown}");
        }
        let id = self.header("x-request-id").unwrap_or_else(|| panic!("an X-Request-Id in {shown}"));
        assert!(!id.is_empty() && id.len() <= 200, "{shown}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{shown}");
        let policy = self.header("content-security-policy").unwrap_or_default();
        for rule in ["default-src 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{rule} in {shown}");
        }
        assert!(!policy.contains("unsafe"), "{shown}");
        assert!(
            ["no-referrer", "same-origin"].contains(&self.header("referrer-policy").unwrap_or_default()),
            "{shown}"
        );
        if !["/docs", "/openapi.json", "/"]
            .iter()
            .any(|public| self.path == *public || self.path.starts_with("/docs/"))
        {
            assert_eq!(self.header("cache-control"), Some("no-store"), "{shown}");
        }
        if self.header("content-type").is_some_and(|content_type| content_type.ends_with("json")) {
            assert!(is_compact(&self.body), "{shown}: {}", self.text());
        }
    }
}

/// Whether a JSON text has no whitespace between its tokens.
fn is_compact(json: &[u8]) -> bool {
    // What is left of a text when its escapes and then its strings are taken out.
    let text = String::from_utf8_lossy(json).replace("\\\\", "").replace("\\\"", "");
    !text.split('"').step_by(2).any(|between_strings| between_strings.contains(char::is_whitespace))
}

/// A code's title never varies.
#[track_caller]
fn check_title(code: &str, title: &str) {
    static TITLES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut titles = TITLES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let first = titles.entry(code.to_owned()).or_insert_with(|| title.to_owned()).clone();
    drop(titles);
    assert_eq!(title, first, "the title of {code}");
}
