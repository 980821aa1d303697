//! Error bodies: each peer's own, its framework's, and a proxy's.

use chrono::Utc;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::shapes::local_time;
use crate::peers::answer::Answer;
use crate::peers::state::now_ms;

/// Catalog's and Notification's own.
pub fn catalog(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": message }))
}

/// What Catalog's framework, Express, answers where there is no route.
pub fn express_no_route(method: &str, path: &str) -> Answer {
    let body =
        format!("<!DOCTYPE html>\n<html lang=\"en\"><body><pre>Cannot {method} {path}</pre></body></html>\n");
    Answer::html(404, &body)
}

/// Seating's own.
pub fn seating(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "status": status, "message": message, "timestamp": local_time(now_ms()) }))
}

/// How Seating reports a request that fails validation: a bare map of the request's members.
pub fn seating_invalid<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Answer {
    let members: Map<String, Value> =
        members.into_iter().map(|(name, message)| (name.to_owned(), message.into())).collect();
    Answer::json(400, &members)
}

/// What Seating's framework, Spring, answers by default: without a `message`.
pub fn spring(status: u16, path: &str) -> Answer {
    let timestamp = Utc::now().format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string();
    let body = json!({ "timestamp": timestamp, "status": status, "error": reason(status), "path": path });
    Answer::json(status, &body)
}

/// Payment's own.
pub fn payment(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "statusCode": status, "message": message }))
}

/// An exception of Payment's framework, Nest. `message`: a list when the body failed validation, a text else.
pub fn nest(status: u16, message: impl Into<Value>) -> Answer {
    let body = json!({ "message": message.into(), "error": reason(status), "statusCode": status });
    Answer::json(status, &body)
}

/// What Nest answers where there is no route.
pub fn nest_no_route(status: u16, method: &str, path: &str) -> Answer {
    nest(status, format!("Cannot {method} {path}"))
}

/// A proxy's page.
pub fn page(status: u16) -> Answer {
    let title = format!("{status} {}", reason(status));
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    Answer::html(status, &body)
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}
