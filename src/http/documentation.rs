//! The documentation of the HTTP contract, as machines read it.

use super::orders::if_none_match_has;
use super::request::RequestHead;
use super::response::Reply;
use ::http::StatusCode;
use ::http::header::{ETAG, IF_NONE_MATCH};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::OnceLock;

/// The OpenAPI 3.1 document. Written by hand, and held to the service by the tests.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Caches ask whether the document has changed, which it does with the service's version.
const CACHE_CONTROL: &str = "public, max-age=300";

/// `GET /openapi.json`: the document; 304 when `If-None-Match` has its `ETag`.
pub fn openapi(head: &RequestHead) -> Reply {
    let etag = etag();
    let reply = Reply::json_text(StatusCode::OK, OPENAPI.to_owned()).with_cache_control(CACHE_CONTROL);
    let is_known = if_none_match_has(&head.header_values(&IF_NONE_MATCH), etag);
    let reply = if is_known { reply.not_modified() } else { reply };
    reply.with_header(ETAG, etag)
}

/// A strong entity tag: a hash of the document.
fn etag() -> &'static str {
    static ETAG: OnceLock<String> = OnceLock::new();
    ETAG.get_or_init(|| {
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(OPENAPI)[..16] {
            let _ = write!(etag, "{byte:02x}");
        }
        etag + "\""
    })
}
