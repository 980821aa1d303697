//! Reading requests: headers, bodies, and the fields of bodies, with every wrong field told.

use super::problem::{ApiError, FieldError};
use crate::commands::payment_callback::Callback;
use crate::commands::redrive::{self, Chosen};
use crate::db::orders::Request as PlacingRequest;
use crate::domain::ids::{OrderId, PaymentId, parse_positive_int, parse_uuid};
use crate::domain::key::IdempotencyKey;
use crate::domain::order::PaymentStatus;
use crate::domain::seats::{SeatSet, request_hash};
use crate::runtime::body::{self, Body, ReadError};
use crate::runtime::random::random;
use serde_json::{Map, Value};
use spin_sdk::wasip3::http::types;
use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

/// The longest body that is taken.
pub const BODY_LIMIT: usize = 64 * 1024;
/// How much of a longer one is read on before it is refused, so that the client gets to read the refusal.
const DRAIN: usize = 16 * 1024 * 1024;

/// The longest time that a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A request's head. Headers are fetched from the host when somebody asks for them.
pub struct Head {
    /// Its method, as written.
    pub method: Cow<'static, str>,
    /// Its path, without the query.
    pub path: String,
    headers: types::Headers,
}

/// A request's body, not read yet.
pub struct Content(types::Request);

impl Head {
    /// Takes a request apart.
    pub fn of(request: types::Request) -> (Self, Content) {
        let method = match request.get_method() {
            types::Method::Get => "GET".into(),
            types::Method::Head => "HEAD".into(),
            types::Method::Post => "POST".into(),
            types::Method::Put => "PUT".into(),
            types::Method::Delete => "DELETE".into(),
            types::Method::Connect => "CONNECT".into(),
            types::Method::Options => "OPTIONS".into(),
            types::Method::Trace => "TRACE".into(),
            types::Method::Patch => "PATCH".into(),
            types::Method::Other(method) => method.into(),
        };
        let mut path = request.get_path_with_query().unwrap_or_default();
        path.truncate(path.find('?').unwrap_or(path.len()));
        (Self { method, path, headers: request.get_headers() }, Content(request))
    }

    /// The header's values, in the order in which they came.
    pub fn all(&self, name: &str) -> Vec<Vec<u8>> {
        self.headers.get(name)
    }

    /// The header's value when it came exactly once and is text.
    pub fn one(&self, name: &str) -> Option<String> {
        let mut values = self.all(name).into_iter();
        match (values.next(), values.next()) {
            (Some(value), None) => String::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// The caller's request id if it is sane (1 to 128 letters, digits, `-`, `_`, `.`, `:`), else a new one.
    pub fn request_id(&self) -> String {
        let sane = |id: &String| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        };
        self.one("x-request-id").filter(sane).unwrap_or_else(new_request_id)
    }

    /// The idempotency key.
    ///
    /// # Errors
    /// 400 when it is missing or cannot be used.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, ApiError> {
        match self.all("idempotency-key").as_slice() {
            [] => Err(ApiError::key_required()),
            [value] => IdempotencyKey::parse(value).ok_or_else(ApiError::key_invalid),
            _ => Err(ApiError::key_invalid()),
        }
    }

    /// Checks that the body claims to be JSON.
    ///
    /// # Errors
    /// 415.
    pub fn require_json(&self) -> Result<(), ApiError> {
        let content_type = self.one("content-type").unwrap_or_default().to_ascii_lowercase();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let json = essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"));
        if json { Ok(()) } else { Err(ApiError::unsupported_media_type()) }
    }

    /// Checks the bearer token.
    ///
    /// # Errors
    /// 401.
    pub fn require_bearer(&self, token: &str) -> Result<(), ApiError> {
        let given = self.one("authorization").unwrap_or_default();
        let given = match given.split_once(' ') {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => given.trim(),
            _ => "",
        };
        if same(given.as_bytes(), token.as_bytes()) { Ok(()) } else { Err(ApiError::unauthorized()) }
    }
}

thread_local! {
    static LAST_REQUEST_ID: Cell<Option<u128>> = const { Cell::new(None) };
}

/// A UUID that nobody else makes: random for the instance, and counted on from there, which needs no call of the host.
fn new_request_id() -> String {
    let id = LAST_REQUEST_ID.get().unwrap_or_else(|| u128::from_be_bytes(random())).wrapping_add(1);
    LAST_REQUEST_ID.set(Some(id));
    uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid().to_string()
}

/// Compares secrets by their hashes, so that the time taken tells nothing of where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    Sha256::digest(a) == Sha256::digest(b)
}

/// Reads the body.
///
/// # Errors
/// 413 beyond [`BODY_LIMIT`], 400 when it breaks off.
pub async fn body(Content(request): Content) -> Result<Vec<u8>, ApiError> {
    let consume = |result| types::Request::consume_body(request, result);
    match body::receive_within(BODY_TIME, consume, BODY_LIMIT, DRAIN).await {
        Ok(Body::Whole(body)) => Ok(body),
        Ok(Body::TooLarge) => Err(ApiError::body_too_large(BODY_LIMIT)),
        Err(ReadError::Broken) => Err(ApiError::malformed_json("The body breaks off.")),
        Err(ReadError::TimedOut) => Err(ApiError::request_timeout(BODY_TIME.as_secs())),
    }
}

/// Parses a JSON object.
///
/// # Errors
/// 400 when it is no JSON, 422 when it is no object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| ApiError::malformed_json("The body is not UTF-8."))?;
    let value = serde_json::from_str(text).map_err(|error| {
        ApiError::malformed_json(format!(
            "It stops being JSON at line {}, column {}.",
            error.line(),
            error.column()
        ))
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::validation_failed(vec![wrong("#", "must be an object")])),
    }
}

/// Makes sure that a request that takes no body has none; an empty object, with which many clients fill the place, is as good.
///
/// # Errors
/// 400, 413 and 415 as for any body; 422 with every member, so that nobody believes that it was heeded.
pub async fn nothing(head: &Head, content: Content) -> Result<(), ApiError> {
    let content = body(content).await?;
    if content.is_empty() {
        return Ok(());
    }
    head.require_json()?;
    valid((), unknown_members(&object(&content)?, &[]))
}

/// The members that are not known, as errors.
fn unknown_members(fields: &Map<String, Value>, known: &[&str]) -> Vec<FieldError> {
    let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
    let pointers = unknown.map(|name| name.replace('~', "~0").replace('/', "~1"));
    pointers.map(|name| wrong(format!("#/{name}"), "is not known here")).collect()
}

fn valid<T>(value: T, errors: Vec<FieldError>) -> Result<T, ApiError> {
    if errors.is_empty() { Ok(value) } else { Err(ApiError::validation_failed(errors)) }
}

/// Which parked orders and dead letters an operator means: no body, or an empty object, means all.
///
/// # Errors
/// 400, 413, 415, or 422 with every wrong field.
pub async fn chosen(head: &Head, content: Content) -> Result<Chosen, ApiError> {
    let content = body(content).await?;
    if content.is_empty() {
        return Ok(Chosen::default());
    }
    head.require_json()?;
    chosen_in(&object(&content)?)
}

fn chosen_in(fields: &Map<String, Value>) -> Result<Chosen, ApiError> {
    if fields.is_empty() {
        return Ok(Chosen::default());
    }
    let mut errors = unknown_members(fields, &["orders", "messages"]);
    let mut ids = |name: &str| {
        let Some(value) = fields.get(name) else {
            return Vec::new();
        };
        let Some(list) = value.as_array().filter(|list| list.len() <= redrive::LIMIT) else {
            errors.push(wrong(
                format!("#/{name}"),
                format!("must be a list of at most {} ids", redrive::LIMIT),
            ));
            return Vec::new();
        };
        let mut ids = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match value.as_str().and_then(parse_uuid) {
                Some(id) => ids.push(id),
                None => errors.push(wrong(format!("#/{name}/{index}"), "must be a UUID")),
            }
        }
        ids
    };
    let (orders, messages) = (Some(ids("orders")), Some(ids("messages")));
    valid(Chosen { orders, messages }, errors)
}

fn wrong(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

const POSITIVE: &str = "must be a positive integer up to 2147483647";

/// A placing request from its body.
///
/// # Errors
/// 422 with every wrong field.
pub fn placing_request(
    key: IdempotencyKey,
    fields: &Map<String, Value>,
    max_seats: usize,
) -> Result<PlacingRequest, ApiError> {
    let mut errors = Vec::new();
    let mut number = |name: &str| {
        let value = fields.get(name);
        let parsed = value.and_then(parse_positive_int);
        if parsed.is_none() {
            let detail = if value.is_none() { "is required" } else { POSITIVE };
            errors.push(wrong(format!("#/{name}"), detail));
        }
        parsed
    };
    let (user_id, event_id) = (number("user_id"), number("event_id"));
    let seats = seats(fields.get("seats"), max_seats, &mut errors);
    match (user_id, event_id, seats) {
        (Some(user_id), Some(event_id), Some(seats)) if errors.is_empty() => Ok(PlacingRequest {
            key,
            hash: request_hash(user_id, event_id, &seats),
            user_id,
            event_id,
            seats,
        }),
        _ => Err(ApiError::validation_failed(errors)),
    }
}

fn seats(value: Option<&Value>, max_seats: usize, errors: &mut Vec<FieldError>) -> Option<SeatSet> {
    let Some(value) = value else {
        errors.push(wrong("#/seats", "is required"));
        return None;
    };
    let Some(list) = value.as_array().filter(|list| (1..=max_seats).contains(&list.len())) else {
        errors.push(wrong("#/seats", format!("must be a list of 1 to {max_seats} seats")));
        return None;
    };
    let mut ids = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        match parse_positive_int(value) {
            None => errors.push(wrong(format!("#/seats/{index}"), POSITIVE)),
            Some(id) if ids.contains(&id) => {
                errors.push(wrong(format!("#/seats/{index}"), "must not occur twice"))
            }
            Some(id) => ids.push(id),
        }
    }
    SeatSet::new(ids)
}

/// A callback from its body.
///
/// # Errors
/// 422 with every wrong field.
pub fn callback(fields: &Map<String, Value>) -> Result<Callback, ApiError> {
    let mut errors = Vec::new();
    let mut id = |name: &str| {
        let value = fields.get(name);
        let parsed = value.and_then(Value::as_str).and_then(parse_uuid);
        if parsed.is_none() {
            errors.push(wrong(
                format!("#/{name}"),
                if value.is_none() { "is required" } else { "must be a UUID" },
            ));
        }
        parsed
    };
    let (order_id, payment_id) = (id("order_id"), id("payment_id"));
    let status = match fields.get("status").and_then(Value::as_str) {
        Some("SUCCESS") => Some(PaymentStatus::Success),
        Some("FAILED" | "CANCELLED") => Some(PaymentStatus::Failed),
        Some("REFUNDED") => Some(PaymentStatus::Refunded),
        _ => None,
    };
    if status.is_none() {
        let detail = if fields.contains_key("status") {
            "must be SUCCESS, FAILED, CANCELLED or REFUNDED"
        } else {
            "is required"
        };
        errors.push(wrong("#/status", detail));
    }
    match (order_id, payment_id, status) {
        (Some(order_id), Some(payment_id), Some(status)) => {
            Ok(Callback { order_id: OrderId(order_id), payment_id: PaymentId(payment_id), status })
        }
        _ => Err(ApiError::validation_failed(errors)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(result: Result<impl Sized, ApiError>) -> Vec<String> {
        result.err().expect("an error").pointers()
    }

    #[test]
    fn every_wrong_field_of_a_placing_request_is_told() {
        let place = |body: Value| {
            let key = IdempotencyKey::parse(b"k").unwrap();
            placing_request(key, body.as_object().unwrap(), 10)
        };
        assert!(
            place(json!({"user_id": "101", "event_id": 101, "seats": [3, "1", 2], "else": null})).is_ok()
        );
        for (body, expected) in [
            (json!({}), vec!["#/user_id", "#/event_id", "#/seats"]),
            (json!({"user_id": 0, "event_id": -1, "seats": []}), vec!["#/user_id", "#/event_id", "#/seats"]),
            (json!({"user_id": 1, "event_id": 1, "seats": [1, 1]}), vec!["#/seats/1"]),
            (json!({"user_id": 1, "event_id": 1, "seats": [1, "x", 0]}), vec!["#/seats/1", "#/seats/2"]),
            (json!({"user_id": 1, "event_id": 1, "seats": (1..=11).collect::<Vec<_>>()}), vec!["#/seats"]),
            (
                json!({"user_id": [], "event_id": {}, "seats": "1"}),
                vec!["#/user_id", "#/event_id", "#/seats"],
            ),
        ] {
            assert_eq!(pointers(place(body.clone())), expected, "{body}");
        }
    }

    #[test]
    fn members_that_mean_nothing_are_told() {
        let read = |body: Value| valid((), unknown_members(body.as_object().unwrap(), &["a"]));
        assert!(read(json!({})).is_ok() && read(json!({"a": 1})).is_ok());
        assert_eq!(
            pointers(read(json!({"amount_cents": 1, "x/y~": 2, "a": 3}))),
            ["#/amount_cents", "#/x~1y~0"]
        );
    }

    #[test]
    fn a_redrive_means_all_or_what_it_names() {
        let id = "01980000-0000-7000-8000-000000000000";
        let read = |body: Value| chosen_in(body.as_object().unwrap());
        assert_eq!(read(json!({})).unwrap(), Chosen::default());
        let chosen = read(json!({"orders": [id]})).unwrap();
        assert_eq!((chosen.orders.unwrap().len(), chosen.messages), (1, Some(vec![])));
        assert_eq!(pointers(read(json!({"orders": [id, 1], "messages": {}}))), ["#/orders/1", "#/messages"]);
        assert_eq!(pointers(read(json!({"order": [id]}))), ["#/order"]);
    }

    #[test]
    fn every_wrong_field_of_a_callback_is_told() {
        let id = "01980000-0000-7000-8000-000000000000";
        let read = |body: Value| callback(body.as_object().unwrap());
        assert!(read(json!({"order_id": id, "payment_id": id, "status": "CANCELLED"})).is_ok());
        assert_eq!(pointers(read(json!({}))), ["#/order_id", "#/payment_id", "#/status"]);
        assert_eq!(
            pointers(read(json!({"order_id": 1, "payment_id": "x", "status": "PAID"}))),
            ["#/order_id", "#/payment_id", "#/status"]
        );
        assert_eq!(pointers(read(json!({"order_id": id, "payment_id": id, "status": 1}))), ["#/status"]);
    }
}
