//! The documentation of the HTTP contract, as machines read it.

use super::compact_json::compact;
use super::entity_tag;
use super::request::RequestHead;
use super::response::Reply;
use ::http::StatusCode;
use std::sync::LazyLock;

/// The OpenAPI 3.1 document. Written by hand, and held to the service by the tests.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Caches ask whether the document has changed, which it does with the service's version.
const CACHE_CONTROL: &str = "public, max-age=300";

/// The document as it is served, and its tag. Made once an instance, at the first request for it.
static SERVED: LazyLock<(Vec<u8>, String)> =
    LazyLock::new(|| (compact(OPENAPI.to_owned()), entity_tag::of_text(OPENAPI)));

/// `GET /openapi.json`: the document; 304 when `If-None-Match` has its `ETag`.
pub fn openapi(head: &RequestHead) -> Reply {
    let (document, etag) = &*SERVED;
    let reply = Reply::new(StatusCode::OK, "application/json", document.clone());
    entity_tag::conditional(head, reply.with_cache_control(CACHE_CONTROL), etag.clone())
}
