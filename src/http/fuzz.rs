//! Entry points for fuzzing: what reads bytes that clients choose. Each takes any bytes, and panics when what must hold does not.

use super::{
    bearer_token, body, entity_tag, internal, list_orders, payment_callback, place_order, request, router,
    webhook_signature,
};
use crate::domain::access::Caller;
use crate::domain::ids::parse_uuid;
use crate::domain::key::IdempotencyKey;
use crate::domain::page_token::Cursor;
use ::http::{HeaderValue, Method};
use std::time::{Duration, UNIX_EPOCH};

/// The most seats of an order in these runs.
const MAX_SEATS: usize = 10;

/// The body of a placing request: what is accepted has a user, an event and seats within limits, and reads the same when it is written
/// strictly.
pub fn place_order(data: &[u8]) {
    let key = IdempotencyKey::parse(b"k").expect("a key");
    let parse = |body: &[u8]| {
        place_order::parse(key.clone(), &Caller::Anyone, &body::parse_object(body).ok()?, MAX_SEATS).ok()
    };
    if let Some(request) = parse(data) {
        let seats = request.seats.ids();
        assert!((1..=MAX_SEATS).contains(&seats.len()) && seats.iter().all(|seat| *seat >= 1));
        assert!(request.user_id >= 1 && request.event_id >= 1);
        let strict =
            serde_json::json!({ "user_id": request.user_id, "event_id": request.event_id, "seats": seats });
        let again = parse(strict.to_string().as_bytes()).expect("it is written as documented");
        assert_eq!(again.hash, request.hash);
    }
}

/// The bodies of all other requests.
pub fn other_bodies(data: &[u8]) {
    let Ok(members) = body::parse_object(data) else { return };
    let _ = payment_callback::parse(&members);
    let _ = internal::parse_redrive(&members);
    if let Ok(resolution) = internal::parse_resolution(&members) {
        assert!(resolution.reason.is_none_or(|reason| !reason.contains('\0')));
    }
}

/// An idempotency key: what is accepted is visible ASCII, and is the same when it is sent quoted.
pub fn idempotency_key(data: &[u8]) {
    if let Some(key) = IdempotencyKey::parse(data) {
        assert!((1..=255).contains(&key.as_str().len()));
        assert!(key.as_str().bytes().all(|b| b.is_ascii_graphic()));
        let quoted = format!("\"{}\"", key.as_str().replace('\\', "\\\\").replace('"', "\\\""));
        assert_eq!(IdempotencyKey::parse(quoted.as_bytes()), Some(key));
    }
}

/// The headers and the body of a signed callback, separated by line breaks: nothing verifies, because nobody has the key.
pub fn webhook_signature(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(4, '\n');
    let mut next = || parts.next().unwrap_or_default();
    let (id, timestamp, signatures, body) = (next(), next(), next(), next());
    let now = UNIX_EPOCH + Duration::from_secs(1_614_265_330);
    let keys: [&[u8]; 2] = [&[0x5a; 32], &[0xa5; 32]];
    assert!(webhook_signature::verify_parts(keys, id, timestamp, signatures, body.as_bytes(), now).is_err());
}

/// Single values of headers, and ids.
pub fn header_values(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let token = bearer_token::credentials(&text);
    assert!(text.contains(token));
    let etag = "\"01980000-0000-7000-8000-000000000000.3.1.1\"";
    let lines: Vec<Vec<u8>> = data.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    if entity_tag::if_none_match_has(&lines, etag) {
        assert!(text.contains('*') || text.contains(etag));
    }
    if let Some(id) = parse_uuid(&text) {
        assert_eq!(parse_uuid(&id.to_string()), Some(id));
    }
}

/// A content type: one that is JSON's stays so in capitals and with other parameters, and no list of several is one.
pub fn content_type(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if body::is_json(&text) {
        let essence = text.split(';').next().unwrap_or_default();
        assert!(essence.trim().to_ascii_lowercase().starts_with("application/") && !essence.contains(','));
        assert!(body::is_json(&text.to_ascii_uppercase()) && body::is_json(&format!("{essence};q=1")));
    }
}

/// A request id: one that is taken over can stand in a header, and in a log line as it is.
pub fn request_id(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if request::is_request_id(&text) {
        assert!((1..=128).contains(&text.len()));
        assert!(HeaderValue::from_str(&text).is_ok() && !text.contains(['"', '\\', ' ', '<', '%']));
    }
}

/// A path: it is routed, or it is not found.
pub fn path(data: &[u8]) {
    let path = String::from_utf8_lossy(data);
    for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS] {
        let label = router::find(&method, &path).label();
        assert!(label == "none" || path.starts_with(label.split('{').next().unwrap_or_default()));
    }
}

/// The query of a list: what is read is within limits, and its page token is of no list.
pub fn list_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok((_, page)) = list_orders::parse(Some(&text)) {
        assert!((1..=200).contains(&page.size));
        if let Some(token) = page.token {
            page_token(token.as_bytes());
        }
    }
}

/// A page token: what is one for a list that nobody has described is written the same again.
pub fn page_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(cursor) = Cursor::of_token(&text, "a list") {
        assert_eq!(cursor.token("a list"), text);
        assert_eq!(Cursor::of_token(&text, "another list"), None);
    }
}
