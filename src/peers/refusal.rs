//! The shapes in which peers report errors. An error in another shape comes from something in front of the peer, or from its
//! framework when the path is wrong, and says nothing about what was asked.

use super::Answer;
use super::lenient::{elements, raw, text, whole};

/// Seating's own error: `{"status":409,"message":"…","timestamp":"…"}` with the response's status. Returns the message. The default
/// error of its framework (Spring) has no message, or a `path` and an `error` beside it.
pub fn of_seating(answer: &Answer) -> Option<String> {
    let object = answer.object().ok()?;
    let message = object.needed("message", text).ok().filter(|message| !message.trim().is_empty())?;
    let is_default = object.is_set("path") && object.is_set("error");
    let status = object.needed("status", whole).ok()?;
    let is_own = status == i64::from(answer.status.as_u16()) && object.is_set("timestamp") && !is_default;
    is_own.then(|| message.into_owned())
}

/// Seating's validation error (400): a bare map from members of the request to messages, as
/// `{"seatIds":"At least one seat ID is required"}`. `members`: those that were sent.
pub fn is_validation_of_seating(answer: &Answer, members: &[&str]) -> bool {
    let Ok(object) = answer.object() else { return false };
    // An element of a list is `seatIds[0]`, a member of an object `seat.id`.
    let is_sent = |name: &str| members.contains(&name.split(['[', '.']).next().unwrap_or_default());
    let mut errors = object.members().peekable();
    answer.status.as_u16() == 400
        && errors.peek().is_some()
        && errors.all(|(name, message)| is_sent(name) && text(message).is_some())
}

/// Whether an answer is Catalog's own `{"error":"not found"}`.
pub fn is_not_found_of_catalog(answer: &Answer) -> bool {
    let error = answer.object().ok().and_then(|object| object.needed("error", text).ok());
    answer.status.as_u16() == 404 && error.as_deref() == Some("not found")
}

/// Payment's own error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaymentError {
    /// `{"statusCode":404,"message":"…"}`: Payment refuses.
    Message,
    /// `{"statusCode":400,"message":["…"]}`: the request is invalid, and was not looked at further.
    Validation,
}

/// Payment's own error, with the response's status. That of its framework (Nest) for a wrong path says `Cannot GET /…`.
pub fn of_payment(answer: &Answer) -> Option<PaymentError> {
    let object = answer.object().ok()?;
    if object.needed("status_code", whole).ok()? != i64::from(answer.status.as_u16()) {
        return None;
    }
    if let Ok(message) = object.needed("message", text) {
        return (!message.trim().is_empty() && !is_wrong_path(&message)).then_some(PaymentError::Message);
    }
    let messages = elements(object.needed("message", raw).ok()?)?;
    let is_validation = answer.status.as_u16() == 400
        && !messages.is_empty()
        && messages.iter().all(|message| text(message).is_some());
    is_validation.then_some(PaymentError::Validation)
}

/// Whether it is what Nest says for a path that it does not have: `Cannot GET /v1/payments/1`; or, where it runs on Fastify,
/// `Route GET:/v1/payments/1 not found`.
fn is_wrong_path(message: &str) -> bool {
    let express = || message.strip_prefix("Cannot ")?.split_once(' ');
    let fastify = || message.strip_prefix("Route ")?.strip_suffix(" not found")?.split_once(':');
    let is_request = |(method, path): (&str, &str)| {
        method.bytes().all(|b| b.is_ascii_uppercase()) && path.starts_with('/')
    };
    express().or_else(fastify).is_some_and(is_request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::answer;

    /// What is answered by something else than the peer, with any status.
    const FOREIGN: &[&str] = &[
        "",
        "<html><body>404 Not Found</body></html>",
        "default backend - 404",
        "null",
        "[]",
        "{}",
        r#"{"timestamp":"2026-11-22T10:00:00.123+00:00","status":404,"error":"Not Found","path":"/v1/x"}"#,
        r#"{"timestamp":"2026-11-22T10:00:00.123+00:00","status":404,"error":"Not Found","message":"","path":"/v1/x"}"#,
        r#"{"timestamp":1,"status":404,"error":"Not Found","message":"No static resource v1/x.","path":"/v1/x"}"#,
        r#"{"statusCode":404,"message":"Cannot GET /v1/x","error":"Not Found"}"#,
        r#"{"statusCode":404,"message":"Route GET:/v1/x not found","error":"Not Found"}"#,
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"error":"Not Found"}"#,
        r#"{"error":{"code":404}}"#,
        r#"{"status":"DOWN"}"#,
    ];

    #[test]
    fn an_error_in_another_shape_is_no_peers() {
        for body in FOREIGN {
            for status in [400, 404, 409] {
                let answer = answer(status, body);
                assert_eq!(of_seating(&answer), None, "{status} {body}");
                assert_eq!(of_payment(&answer), None, "{status} {body}");
                assert!(!is_not_found_of_catalog(&answer), "{status} {body}");
                assert!(!is_validation_of_seating(&answer, &["orderId", "seatIds"]), "{status} {body}");
            }
        }
    }

    #[test]
    fn seatings_own_error_has_its_status_a_message_and_a_time() {
        for (status, body, expected) in [
            (409, r#"{"status":409,"message":"taken","timestamp":"2026"}"#, Some("taken")),
            (409, r#"{"status":"409","message":"taken","timestamp":1,"more":{}}"#, Some("taken")),
            (404, r#"{"status":404,"message":"no seat","timestamp":[2026,11,22]}"#, Some("no seat")),
            (404, r#"{"status":409,"message":"taken","timestamp":"2026"}"#, None),
            (409, r#"{"status":409,"message":"taken"}"#, None),
            (409, r#"{"status":409,"message":"taken","timestamp":null}"#, None),
            (409, r#"{"status":409,"message":["taken"],"timestamp":"2026"}"#, None),
            (409, r#"{"status":409,"status":404,"message":"taken","timestamp":"2026"}"#, None),
            (409, r#"{"message":"taken","timestamp":"2026"}"#, None),
        ] {
            assert_eq!(of_seating(&answer(status, body)).as_deref(), expected, "{status} {body}");
        }
    }

    #[test]
    fn seatings_validation_error_names_only_members_that_were_sent() {
        let sent = ["orderId", "seatIds"];
        for (status, body, expected) in [
            (400, r#"{"seatIds":"At least one seat ID is required"}"#, true),
            (400, r#"{"seatIds[0]":"must not be null","orderId":"must not be blank"}"#, true),
            (409, r#"{"seatIds":"At least one seat ID is required"}"#, false),
            (400, r#"{"seatIds":"required","userId":"must not be null"}"#, false),
            (400, r#"{"seatIds":["required"]}"#, false),
            (400, r#"{"error":"bad request"}"#, false),
            (400, "{}", false),
        ] {
            assert_eq!(is_validation_of_seating(&answer(status, body), &sent), expected, "{status} {body}");
        }
    }

    #[test]
    fn payments_own_error_has_its_status_and_a_message_or_a_list_of_them() {
        use PaymentError::{Message, Validation};
        for (status, body, expected) in [
            (404, r#"{"statusCode":404,"message":"Payment not found"}"#, Some(Message)),
            (404, r#"{"statusCode":"404","message":"Payment not found","error":"Not Found"}"#, Some(Message)),
            (400, r#"{"statusCode":400,"message":"Only successful payments"}"#, Some(Message)),
            (
                400,
                r#"{"message":["amount_cents must not be less than 1"],"error":"Bad Request","statusCode":400}"#,
                Some(Validation),
            ),
            (404, r#"{"message":["amount_cents"],"statusCode":404}"#, None),
            (400, r#"{"message":[],"statusCode":400}"#, None),
            (400, r#"{"message":[{"property":"amount_cents"}],"statusCode":400}"#, None),
            (404, r#"{"statusCode":400,"message":"Payment not found"}"#, None),
            (404, r#"{"message":"Payment not found"}"#, None),
            (400, r#"{"statusCode":400,"message":"Cannot refund /v1"}"#, Some(Message)),
            (404, r#"{"statusCode":404,"message":"Cannot DELETE /v1/refund"}"#, None),
            (404, r#"{"statusCode":404,"message":""}"#, None),
            (404, r#"{"error":"payment not found"}"#, None),
        ] {
            assert_eq!(of_payment(&answer(status, body)), expected, "{status} {body}");
        }
    }

    #[test]
    fn catalogs_own_not_found_is_one_word_for_word() {
        for (status, body, expected) in [
            (404, r#"{"error":"not found"}"#, true),
            (404, r#"{"error":"not found","id":7}"#, true),
            (500, r#"{"error":"not found"}"#, false),
            (404, r#"{"error":"Not Found","status":404}"#, false),
            (404, r#"{"error":null}"#, false),
        ] {
            assert_eq!(is_not_found_of_catalog(&answer(status, body)), expected, "{status} {body}");
        }
    }
}
