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
    let content_type = head.header(&CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json { Ok(()) } else { Err(ApiError::unsupported_media_type()) }
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
