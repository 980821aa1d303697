//! User: who has which name, and whether the account is active.

use super::lenient::{text, whole};
use super::send::send;
use super::{Answer, Call, CallFailure, Extra, Outcome};
use crate::config::BaseUrl;
use crate::domain::retry;
use std::fmt::Write;

/// What User says of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Account {
    /// An account that may be used, with its user's id.
    Active(i32),
    /// An account that is suspended, deleted, or anything else but active.
    Inactive,
    /// There is none of this name.
    Unknown,
}

/// Asks for the account of this name.
pub async fn by_name(base: &BaseUrl, name: &str) -> Outcome<Account> {
    let segment = path_segment(name);
    // Whatever encodes them, these lead to another path.
    if matches!(name, "." | "..") {
        return Outcome::Answered(Account::Unknown);
    }
    let call = Call {
        name: "user.by_name",
        base,
        path: format!("/v1/users/username/{segment}"),
        body: None,
        key: None,
        deadline_ms: retry::USER_DEADLINE_MS,
        extra: Extra::default(),
    };
    send(call).await.and_then(|answer| shown(&answer, name)).into()
}

/// The text as one segment of a path (RFC 3986): everything but unreserved characters percent-encoded.
pub(super) fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

/// What counts: 2xx with the account of this name, and 404 that is no page of something in front of User.
pub(super) fn shown(answer: &Answer, name: &str) -> Result<Account, CallFailure> {
    if answer.status.as_u16() == 404 && (answer.is_empty() || answer.object().is_ok()) {
        return Ok(Account::Unknown);
    }
    if !answer.status.is_success() {
        return Err(answer.not_the_peers());
    }
    let object = answer.object()?;
    let read = || {
        let other = object.optional("username", text)?.is_some_and(|shown| !shown.eq_ignore_ascii_case(name));
        Ok::<_, String>((other, object.needed("id", whole)?, object.needed("status", text)?))
    };
    let (is_other, id, status) = read().map_err(|why| answer.does_not_count(why))?;
    let id = i32::try_from(id).ok().filter(|id| *id >= 1);
    match (is_other, id) {
        (true, _) => Err(answer.does_not_count("another user than asked for")),
        (false, None) => Err(answer.does_not_count("no usable id")),
        (false, Some(_)) if status != "ACTIVE" => Ok(Account::Inactive),
        (false, Some(id)) => Ok(Account::Active(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::question;

    #[test]
    fn a_name_is_one_segment_of_the_path() {
        for (name, expected) in [
            ("alice", "alice"),
            ("a.b-c_d~1", "a.b-c_d~1"),
            ("../admin", "..%2Fadmin"),
            ("a?b#c%2f", "a%3Fb%23c%252f"),
            ("\u{e9}\r\n", "%C3%A9%0D%0A"),
        ] {
            assert_eq!(path_segment(name), expected, "{name}");
        }
    }

    #[test]
    fn an_account_is_active_when_user_says_so_of_this_name() {
        for (status, body, expected) in [
            (200, r#"{"id":101,"username":"alice","status":"ACTIVE","more":{}}"#, Some(Account::Active(101))),
            (200, r#"{"id":"101","username":"Alice","status":"ACTIVE"}"#, Some(Account::Active(101))),
            (200, r#"{"id":101,"status":"ACTIVE"}"#, Some(Account::Active(101))),
            (200, r#"{"id":101,"username":"alice","status":"SUSPENDED"}"#, Some(Account::Inactive)),
            (200, r#"{"id":101,"username":"alice","status":"active"}"#, Some(Account::Inactive)),
            (404, r#"{"status":404,"message":"User not found"}"#, Some(Account::Unknown)),
            (404, "", Some(Account::Unknown)),
            (404, "<html>404</html>", None),
            (200, r#"{"id":101,"username":"bob","status":"ACTIVE"}"#, None),
            (200, r#"{"id":0,"username":"alice","status":"ACTIVE"}"#, None),
            (200, r#"{"id":101,"username":"alice"}"#, None),
            (200, r#"{"id":101,"id":102,"username":"alice","status":"ACTIVE"}"#, None),
            (200, "", None),
            (403, "{}", None),
            (500, r#"{"id":101,"username":"alice","status":"ACTIVE"}"#, None),
        ] {
            assert_eq!(shown(&question(status, body), "alice").ok(), expected, "{status} {body}");
        }
    }
}
