//! Bearer tokens (RFC 6750).

use super::problem::ApiError;
use super::request::RequestHead;
use ::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// Checks that the request has this bearer token, by constant-time comparison.
///
/// # Errors
/// 401.
pub fn require(token: &str, head: &RequestHead) -> Result<(), ApiError> {
    if has(token, head) {
        return Ok(());
    }
    let was_sent = head.header(&AUTHORIZATION).is_some_and(|value| !credentials(&value).is_empty());
    Err(ApiError::unauthorized(was_sent))
}

/// Whether the request has this bearer token, by constant-time comparison.
pub fn has(token: &str, head: &RequestHead) -> bool {
    let authorization = head.header(&AUTHORIZATION).unwrap_or_default();
    is_equal(credentials(&authorization), token)
}

/// The token in the value of `Authorization`; empty when there is none.
pub fn credentials(authorization: &str) -> &str {
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

/// Constant-time comparison of secrets, against timing attacks: the time to compare their hashes says nothing about where the
/// secrets differ.
fn is_equal(a: &str, b: &str) -> bool {
    Sha256::digest(a) == Sha256::digest(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_whatever_case() {
        for (authorization, expected) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("Basic abc", ""),
            ("Bearer", ""),
            ("abc", ""),
            ("", ""),
        ] {
            assert_eq!(credentials(authorization), expected, "{authorization}");
        }
    }
}
