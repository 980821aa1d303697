//! Entity tags, and conditional requests for what has one (RFC 9110, 8.8.3 and 13.1.2).

use super::request::RequestHead;
use super::response::Reply;
use ::http::header::{ETAG, IF_NONE_MATCH};
use base64::prelude::*;
use sha2::{Digest, Sha256};

/// The answer with its tag; 304 when `If-None-Match` has the tag.
pub fn conditional(head: &RequestHead, reply: Reply, etag: String) -> Reply {
    let is_known = if_none_match_has(&head.header_values(&IF_NONE_MATCH), &etag);
    let reply = if is_known { reply.not_modified() } else { reply };
    reply.with_header(ETAG, etag)
}

/// A strong tag of a text: its hash.
pub fn of_text(text: &str) -> String {
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..12]))
}

/// Whether the values of `If-None-Match` have the entity tag (RFC 9110, 13.1.2: weak comparison).
pub(super) fn if_none_match_has(values: &[Vec<u8>], etag: &str) -> bool {
    let values = values.iter().filter_map(|value| std::str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_found_in_lists_and_by_weak_comparison() {
        let has = |value: &str| if_none_match_has(&[value.as_bytes().to_vec()], "\"a.1\"");
        for value in ["\"a.1\"", "W/\"a.1\"", "*", "\"b\", \"a.1\"", " \"a.1\" "] {
            assert!(has(value), "{value}");
        }
        for value in ["", "\"a.2\"", "a.1", "\"a.1"] {
            assert!(!has(value), "{value}");
        }
    }
}
