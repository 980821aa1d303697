//! `POST /v1/payments/callback`.

use super::body;
use super::problem::ApiError;
use super::request::{RequestBody, RequestHead};
use super::response::Reply;
use super::validation::FieldErrors;
use super::webhook_signature;
use crate::commands::Context;
use crate::commands::payment_callback::{self, Callback, CallbackOutcome};
use crate::domain::ids::{OrderId, PaymentId, parse_uuid};
use crate::domain::order::PaymentStatus;
use ::http::StatusCode;
use serde_json::{Map, Value};
use std::time::SystemTime;

/// Handles a callback (webhook) of Payment.
///
/// # Errors
/// 403 when the signature is invalid, where a secret is configured, or the callback does not match what Payment
/// reports; 404 for an unknown order; 503
/// when Payment or PostgreSQL does not answer; those of an invalid body.
pub async fn handle(context: &Context, head: &RequestHead, body: RequestBody) -> Result<Reply, ApiError> {
    body::require_json_content_type(head)?;
    let body = body::read(body).await?;
    let keys = &context.config.webhook_keys;
    let is_verified = !keys.is_empty();
    if is_verified {
        let keys = keys.iter().map(|key| &key.expose()[..]);
        webhook_signature::verify(keys, head, &body, SystemTime::now())
            .map_err(ApiError::callback_rejected)?;
    }
    let callback = parse(&body::parse_object(&body)?)?;
    let about = |error: ApiError| error.about(callback.order_id);
    match payment_callback::handle(context, callback, is_verified)
        .await
        .map_err(|error| about(error.into()))?
    {
        CallbackOutcome::Applied(document) => Ok(ok(&document, None)),
        CallbackOutcome::AlreadyProcessed(document) => Ok(ok(&document, Some("already processed"))),
        CallbackOutcome::StillPending(document) => Ok(ok(&document, Some("payment still pending"))),
        CallbackOutcome::SecondPayment(document) => Ok(ok(&document, Some("second payment refunded"))),
        CallbackOutcome::OrderNotFound => Err(ApiError::order_not_found()),
        CallbackOutcome::Rejected(why) => Err(about(ApiError::callback_rejected(why))),
        CallbackOutcome::PaymentUnavailable(reason) => {
            Err(about(ApiError::peer_unavailable("Payment", reason, None)))
        }
    }
}

/// `{"ok":true,…the document's members…}`. The document is not parsed: its members are appended as they are.
fn ok(document: &str, note: Option<&str>) -> Reply {
    let members = document.strip_prefix('{').unwrap_or("}");
    let note = note.map(|note| format!("\"note\":\"{note}\",")).unwrap_or_default();
    Reply::document(StatusCode::OK, format!("{{\"ok\":true,{note}{members}"))
}

/// A callback from its body.
///
/// # Errors
/// 422 with every invalid field.
pub(super) fn parse(fields: &Map<String, Value>) -> Result<Callback, ApiError> {
    let mut errors = FieldErrors::default();
    let mut id = |name: &str| {
        let value = fields.get(name);
        let id = value.and_then(Value::as_str).and_then(parse_uuid);
        if id.is_none() {
            errors.add(format!("#/{name}"), if value.is_none() { "is required" } else { "must be a UUID" });
        }
        id
    };
    let (order_id, payment_id) = (id("order_id"), id("payment_id"));
    let status = match fields.get("status").and_then(Value::as_str) {
        Some("SUCCESS") => Some(PaymentStatus::Success),
        Some("FAILED" | "CANCELLED") => Some(PaymentStatus::Failed),
        Some("REFUNDED") => Some(PaymentStatus::Refunded),
        _ => None,
    };
    if status.is_none() {
        let detail = if fields.contains_key("status") {
            "must be SUCCESS, FAILED, CANCELLED or REFUNDED"
        } else {
            "is required"
        };
        errors.add("#/status", detail);
    }
    match (order_id, payment_id, status) {
        (Some(order_id), Some(payment_id), Some(status)) => {
            Ok(Callback { order_id: OrderId(order_id), payment_id: PaymentId(payment_id), status })
        }
        _ => Err(errors.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_answer_has_the_members_of_the_document() {
        let document = "{\"order\":1}";
        assert_eq!(ok(document, None).text(), "{\"ok\":true,\"order\":1}");
        let noted = ok(document, Some("already processed"));
        assert_eq!(noted.text(), "{\"ok\":true,\"note\":\"already processed\",\"order\":1}");
    }

    #[test]
    fn every_invalid_field_of_a_callback_is_told() {
        let id = "01980000-0000-7000-8000-000000000000";
        let check = |body: Value| parse(body.as_object().unwrap()).map_err(|error| error.pointers());
        assert!(check(json!({"order_id": id, "payment_id": id, "status": "CANCELLED"})).is_ok());
        for (body, expected) in [
            (json!({}), vec!["#/order_id", "#/payment_id", "#/status"]),
            (
                json!({"order_id": 1, "payment_id": "x", "status": "PAID"}),
                vec!["#/order_id", "#/payment_id", "#/status"],
            ),
            (json!({"order_id": id, "payment_id": id, "status": 1}), vec!["#/status"]),
        ] {
            assert_eq!(check(body.clone()).unwrap_err(), expected, "{body}");
        }
    }
}
