//! The order document, whose shape is checked wherever one is seen.

use std::ops::Deref;

use serde_json::{Map, Value};

/// A document of the right shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Value);

impl Deref for Document {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Document {
    /// Checks names and types of all members.
    #[track_caller]
    pub fn checked(document: Value) -> Document {
        members(&document, &["order", "items", "tickets", "payment"]);
        let order = members(&document["order"], &ORDER);
        assert!(is_uuid(&order["id"]), "{document}");
        let one_of = |member: &str, words: &[&str]| {
            assert!(words.contains(&order[member].as_str().unwrap_or_default()), "{member} in {document}");
        };
        one_of("status", &["PENDING", "CONFIRMED", "CANCELLED", "FAILED", "REFUNDED"]);
        one_of("phase", &PHASES);
        for name in ["idempotency_key", "currency"] {
            assert!(order[name].is_string() || order[name].is_null(), "{document}");
        }
        for name in ["user_id", "event_id", "subtotal_cents", "tax_cents", "total_cents"] {
            assert!(order[name].is_i64() || order[name].is_null(), "{name} in {document}");
        }
        for name in ["created_at", "updated_at", "expires_at"] {
            let may_be_null = name == "expires_at";
            assert!(is_time(&order[name]) || may_be_null && order[name].is_null(), "{name} in {document}");
        }
        if !order["failure"].is_null() {
            let failure = members(&order["failure"], &["code", "detail"]);
            assert!(failure.values().all(Value::is_string), "{document}");
        }
        for item in list(&document["items"]) {
            members(item, &["seat_id", "seat_code", "seat_price_cents"]);
            assert!(item["seat_id"].is_i64() && item["seat_price_cents"].is_i64(), "{document}");
        }
        for ticket in list(&document["tickets"]) {
            let names = ["id", "seat_id", "seat_code", "ticket_code", "status", "issued_at", "redeemed_at"];
            members(ticket, &names);
            let mut items = list(&document["items"]).iter();
            let item = items.find(|item| item["seat_id"] == ticket["seat_id"]);
            assert_eq!(
                ticket["seat_code"],
                item.map_or(Value::Null, |item| item["seat_code"].clone()),
                "{document}"
            );
            assert!(ticket["redeemed_at"].is_null(), "{document}");
            assert!(is_uuid(&ticket["id"]) && ticket["seat_id"].is_i64() && is_time(&ticket["issued_at"]));
            assert!(ticket["status"] == "VALID" || ticket["status"] == "VOID", "{document}");
        }
        if !document["payment"].is_null() {
            let payment = members(&document["payment"], &["id", "status", "amount_cents"]);
            assert!(is_uuid(&payment["id"]) && payment["amount_cents"].is_i64(), "{document}");
        }
        Document(document)
    }

    /// The order's id.
    pub fn id(&self) -> &str {
        self.0["order"]["id"].as_str().unwrap_or_default()
    }

    /// The order's status.
    pub fn status(&self) -> &str {
        self.0["order"]["status"].as_str().unwrap_or_default()
    }

    /// What the service still has to do.
    pub fn phase(&self) -> &str {
        self.0["order"]["phase"].as_str().unwrap_or_default()
    }

    /// Why it failed or was cancelled.
    pub fn failure(&self) -> Option<&str> {
        self.0["order"]["failure"]["code"].as_str()
    }

    /// The payment's id, of an order that has one.
    #[track_caller]
    pub fn payment_id(&self) -> &str {
        self.0["payment"]["id"].as_str().expect("a payment")
    }

    /// A member of every ticket.
    pub fn tickets(&self, member: &str) -> Vec<Value> {
        list(&self.0["tickets"]).iter().map(|ticket| ticket[member].clone()).collect()
    }

    /// Status and phase are these.
    #[track_caller]
    pub fn assert_is(&self, status: &str, phase: &str) {
        assert_eq!((self.status(), self.phase()), (status, phase), "{}", self.0);
    }
}

const ORDER: [&str; 14] = [
    "id",
    "idempotency_key",
    "user_id",
    "event_id",
    "status",
    "phase",
    "failure",
    "currency",
    "subtotal_cents",
    "tax_cents",
    "total_cents",
    "expires_at",
    "created_at",
    "updated_at",
];

const PHASES: [&str; 7] =
    ["reserving", "charging", "awaiting_payment", "allocating", "refunding", "releasing", "done"];

/// Exactly these, in any order.
#[track_caller]
fn members<'a>(value: &'a Value, names: &[&str]) -> &'a Map<String, Value> {
    let object = value.as_object().unwrap_or_else(|| panic!("an object: {value}"));
    let complete = object.len() == names.len() && names.iter().all(|name| object.contains_key(*name));
    assert!(complete, "exactly {names:?}: {value}");
    object
}

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

fn is_uuid(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 36 && uuid::Uuid::parse_str(text).is_ok())
}

/// RFC 3339 in UTC, as `2026-11-22T10:00:00.123456Z`.
fn is_time(value: &Value) -> bool {
    let shape: String = value.as_str().unwrap_or_default().replace(|c: char| c.is_ascii_digit(), "9");
    shape == "9999-99-99T99:99:99.999999Z"
}
