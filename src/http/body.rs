//! Reading the body of a request and parsing it as JSON, within limits of size and time.

use super::json_object::{self, NoObject};
use super::problem::ApiError;
use super::request::{RequestBody, RequestHead};
use super::validation::FieldErrors;
use crate::runtime::body::{self, Body, ReadError};
use ::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use spin_sdk::wasip3::http::types;
use std::time::Duration;

/// The longest body that is accepted, in bytes.
const SIZE_LIMIT: usize = 64 * 1024;
/// Drain: how many bytes beyond the limit are read and discarded before the refusal, so that a client which is still sending gets
/// to read it.
const DRAIN_LIMIT: usize = 16 * 1024 * 1024;
/// Read timeout of a body.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Reads the body.
///
/// # Errors
/// 413 beyond 64 KiB, 408 after ten seconds, 400 when the connection breaks.
pub async fn read(RequestBody(request): RequestBody) -> Result<Vec<u8>, ApiError> {
    let consume = |result| types::Request::consume_body(request, result);
    match body::receive_within(TIME_LIMIT, consume, SIZE_LIMIT, DRAIN_LIMIT).await {
        Ok(Body::Whole(body)) => Ok(body),
        Ok(Body::TooLarge) => Err(ApiError::body_too_large(SIZE_LIMIT)),
        Err(ReadError::Broken) => Err(ApiError::malformed_json("The body breaks off.")),
        Err(ReadError::TimedOut) => Err(ApiError::request_timeout(TIME_LIMIT.as_secs())),
    }
}

/// Checks that the content type is JSON.
///
/// # Errors
/// 415.
pub fn require_json_content_type(head: &RequestHead) -> Result<(), ApiError> {
    let content_type = head.header(&CONTENT_TYPE).unwrap_or_default();
    if is_json(&content_type) { Ok(()) } else { Err(ApiError::unsupported_media_type()) }
}

/// Whether the value of `Content-Type` (RFC 9110, section 8.3) is `application/json` or `application/` with anything that ends with
/// `+json`, in whatever case; its parameters say nothing of JSON (RFC 8259, section 11).
pub(super) fn is_json(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
    // RFC 9110, section 5.6.2.
    let is_token = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| is_token(subtype) && (subtype == "json" || subtype.ends_with("+json")))
}

/// Parses a JSON object: see [`json_object::parse`].
///
/// # Errors
/// 400 when it is not JSON or a member occurs twice, 422 when it is not an object.
pub fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| ApiError::malformed_json("The body is not UTF-8."))?;
    json_object::parse(text).map_err(|error| match error {
        NoObject::Malformed(error) => ApiError::malformed_json(format!(
            "It stops being JSON at line {}, column {}.",
            error.line(),
            error.column()
        )),
        NoObject::TooDeep => ApiError::malformed_json("It is nested too deeply."),
        NoObject::Repeated(name) => ApiError::malformed_json(format!("The member {name} occurs twice.")),
        NoObject::OtherValue => FieldErrors::of("#", "must be an object").into(),
    })
}

/// Reads a JSON object, or no body, which counts as an empty object: many clients send one or the other.
///
/// # Errors
/// 400, 408, 413 and 415 as for any body, 422 when it is not an object.
pub async fn read_optional_object(
    head: &RequestHead,
    body: RequestBody,
) -> Result<Map<String, Value>, ApiError> {
    let body = read(body).await?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    require_json_content_type(head)?;
    parse_object(&body)
}

/// Makes sure that a request which takes no body has none, or an empty object.
///
/// # Errors
/// 400, 408, 413 and 415 as for any body; 422 with every member, so that no client believes that a member had an effect.
pub async fn require_no_members(head: &RequestHead, body: RequestBody) -> Result<(), ApiError> {
    let members = read_optional_object(head, body).await?;
    let mut errors = FieldErrors::default();
    errors.reject_unknown_members(&members, &[]);
    errors.into_result()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_json_by_its_subtype_alone() {
        for good in [
            "application/json",
            "Application/JSON",
            " application/json\t",
            "application/json; charset=utf-8",
            "application/json;charset=\"x;y\"",
            "application/merge-patch+json ; q=1",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "json",
            "text/json",
            "text/plain; application/json",
            "application/jsonp",
            "application/json5",
            "application/x/y+json",
            "application/json, application/json",
            "text/plain, application/json",
            "application/x, text/y+json",
            "application/x y+json",
            "\u{a0}application/json",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
