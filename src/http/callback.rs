//! `POST /v1/payments/callback`.

use super::extract::{self, Content, Head};
use super::problem::ApiError;
use super::respond::Reply;
use crate::commands::Context;
use crate::commands::payment_callback::{self, Heard};
use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds that a signature's time may be off, either way.
const TOLERANCE_SECONDS: u64 = 300;

/// Hears a callback.
///
/// # Errors
/// See the table of the HTTP contract.
pub async fn hear(context: &Context, head: &Head, body: Content) -> Result<Reply, ApiError> {
    head.require_json()?;
    let body = extract::body(body).await?;
    let believed = match &context.config.webhook_key {
        None => false,
        Some(key) => {
            verify(key.expose(), head, &body, SystemTime::now()).map_err(ApiError::callback_rejected)?;
            true
        }
    };
    let callback = extract::callback(&extract::object(&body)?)?;
    let about = |error: ApiError| error.about(callback.order_id);
    match payment_callback::hear(context, callback, believed).await.map_err(|error| about(error.into()))? {
        Heard::Applied(document) => Ok(ok(&document, None)),
        Heard::AlreadyProcessed(document) => Ok(ok(&document, Some("already processed"))),
        Heard::StillPending(document) => Ok(ok(&document, Some("payment still pending"))),
        Heard::OrderNotFound => Err(ApiError::order_not_found()),
        Heard::Rejected(why) => Err(about(ApiError::callback_rejected(why))),
        Heard::PaymentSilent(reason) => Err(about(ApiError::peer_unavailable("Payment", reason))),
    }
}

/// `{"ok":true,…the document's members…}`: the document is JSON text and is passed through.
fn ok(document: &str, note: Option<&str>) -> Reply {
    let members = document.trim_start().strip_prefix('{').unwrap_or("}");
    let note = note.map(|note| format!("\"note\":\"{note}\",")).unwrap_or_default();
    Reply::json(200, format!("{{\"ok\":true,{note}{members}"))
}

/// Checks a Standard Webhooks 1.0 signature: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn verify(key: &[u8], head: &Head, body: &[u8], now: SystemTime) -> Result<(), &'static str> {
    let (Some(id), Some(timestamp), Some(signatures)) =
        (head.one("webhook-id"), head.one("webhook-timestamp"), head.one("webhook-signature"))
    else {
        return Err("a webhook header is missing");
    };
    verify_parts(key, &id, &timestamp, &signatures, body, now)
}

fn verify_parts(
    key: &[u8],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: SystemTime,
) -> Result<(), &'static str> {
    let sent: u64 = timestamp.parse().map_err(|_| "the webhook's time is no number")?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now.abs_diff(sent) > TOLERANCE_SECONDS {
        return Err("the webhook's time is too far off");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "the key cannot be used")?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    // verify_slice compares in constant time.
    let fits = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| mac.clone().verify_slice(&signature).is_ok())
    });
    if fits { Ok(()) } else { Err("no signature fits") }
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
            verify_parts(&key, id, "1614265330", signatures, body, at(now)).is_ok()
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

    #[test]
    fn the_answer_keeps_the_documents_members() {
        let document = "{\"order\" : 1}";
        assert_eq!(ok(document, None).text(), "{\"ok\":true,\"order\" : 1}");
        let noted = ok(document, Some("already processed"));
        assert_eq!(noted.text(), "{\"ok\":true,\"note\":\"already processed\",\"order\" : 1}");
    }
}
