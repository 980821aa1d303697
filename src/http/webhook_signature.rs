//! Standard Webhooks 1.0 signatures (<https://www.standardwebhooks.com>): `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`.

use super::request::RequestHead;
use ::http::HeaderName;
use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Replay protection: how many seconds the timestamp may differ from the clock, either way.
const TOLERANCE_SECONDS: u64 = 300;

/// Verifies the signature of a request with any of the keys, in constant time. There are several while a key is rotated, on
/// either side.
///
/// # Errors
/// Why it is not valid, for the log.
pub fn verify<'a>(
    keys: impl IntoIterator<Item = &'a [u8]>,
    head: &RequestHead,
    body: &[u8],
    now: SystemTime,
) -> Result<(), &'static str> {
    let (Some(id), Some(timestamp), Some(signatures)) =
        (head.header(&WEBHOOK_ID), head.header(&WEBHOOK_TIMESTAMP), head.header(&WEBHOOK_SIGNATURE))
    else {
        return Err("a webhook header is missing");
    };
    verify_parts(keys, &id, &timestamp, &signatures, body, now)
}

pub(super) fn verify_parts<'a>(
    keys: impl IntoIterator<Item = &'a [u8]>,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: SystemTime,
) -> Result<(), &'static str> {
    let sent: u64 = timestamp.parse().map_err(|_| "the webhook's timestamp is not a number")?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(sent) > TOLERANCE_SECONDS {
        return Err("the webhook's timestamp is too far off");
    }
    let signatures: Vec<Vec<u8>> = signatures
        .split(' ')
        .filter_map(|signature| BASE64_STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .collect();
    for key in keys {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "the key cannot be used")?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        // Constant-time comparison: verify_slice.
        if signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()) {
            return Ok(());
        }
    }
    Err("no signature is valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn the_published_example_verifies_and_any_change_of_it_does_not() {
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let check = |signatures: &str, body: &[u8], id: &str, now| {
            let verify = |keys: &[&[u8]]| {
                verify_parts(keys.iter().copied(), id, "1614265330", signatures, body, at(now)).is_ok()
            };
            assert!(!verify(&[]) && !verify(&[b"another key"]));
            assert_eq!(verify(&[b"another key", &key]), verify(&[&key]));
            verify(&[&key])
        };
        assert!(check(signature, body, id, 1_614_265_330));
        assert!(check(signature, body, id, 1_614_265_330 + 300));
        assert!(check(&format!("v1,AAAA v2,x {signature}"), body, id, 1_614_265_330));
        assert!(!check(signature, body, id, 1_614_265_330 + 301));
        assert!(!check(signature, body, id, 1_614_265_330 - 301));
        assert!(!check(signature, b"{}", id, 1_614_265_330));
        assert!(!check(signature, body, "msg_other", 1_614_265_330));
        assert!(!check("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", body, id, 1_614_265_330));
        assert!(!check("", body, id, 1_614_265_330));
    }
}
