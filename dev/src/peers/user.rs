//! User: accounts, and the tokens of those who log in.

use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha512;

use super::answer::Answer;
use super::call::Call;
use super::contract::errors;
use super::state::{State, now_ms};

/// The secret by which the sandbox signs tokens: `auth_jwt_secret` for whoever wants to use them. Its length makes them HS512.
pub const JWT_SECRET: &str = "the secret of the sandbox is known to everybody: sign nothing of value with it";
/// How long a token is valid.
const LIFETIME_SECONDS: i64 = 24 * 3600;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user's id.
    pub id: i64,
    /// The name in the tokens.
    pub username: String,
    /// `ACTIVE`, `SUSPENDED`, `DELETED`, or whatever a test wants to see answered.
    pub status: String,
}

impl Account {
    /// An account.
    pub fn new(id: i64, username: &str, status: &str) -> Account {
        Account { id, username: username.to_owned(), status: status.to_owned() }
    }
}

/// `GET /v1/users/username/{name}`
pub(super) fn by_name(state: &State, name: &str) -> Answer {
    let Some(account) = state.account(&decode(name)) else {
        return errors::seating(404, "User not found");
    };
    let Account { id, username, status } = account;
    let more = json!({ "email": format!("user-{id}@example.com"), "phone": null, "roles": [] });
    let mut shown = json!({ "id": id, "username": username, "status": status });
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    Answer::json(200, &shown)
}

/// `POST /v1/users/login`: any password will do.
pub(super) fn login(state: &State, call: &Call) -> Answer {
    let body: Value = call.json().unwrap_or(Value::Null);
    match body["username"].as_str().and_then(|name| state.account(name)) {
        Some(account) if account.status == "ACTIVE" => {
            Answer::json(200, &json!({ "token": token(&account.username, now_ms() / 1_000) }))
        }
        Some(_) => errors::seating(403, "Account is not active"),
        None => errors::seating(401, "Invalid username or password"),
    }
}

/// A token as User makes it: the name, when it was made, when it expires, and nothing else. `now`: seconds since 1970.
pub fn token(username: &str, now: i64) -> String {
    let claims = json!({ "sub": username, "iat": now, "exp": now + LIFETIME_SECONDS });
    let message = [r#"{"alg":"HS512"}"#.to_owned(), claims.to_string()]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let mac = Hmac::<Sha512>::new_from_slice(JWT_SECRET.as_bytes()).expect("any length is a key");
    let code = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(code))
}

/// The name in a path, of which some bytes are percent-encoded.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        let encoded = after.get(..2).and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        (rest, _) = match (first, encoded) {
            (b'%', Some(byte)) => (&after[2..], bytes.push(byte)),
            _ => (after, bytes.push(*first)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_is_decoded() {
        for (segment, name) in
            [("alice", "alice"), ("a%2Fb%25", "a/b%"), ("%C3%A9", "\u{e9}"), ("%", "%"), ("%2", "%2")]
        {
            assert_eq!(decode(segment), name, "{segment}");
        }
    }

    #[test]
    fn a_token_has_three_parts_and_says_who_and_when() {
        let token = token("alice", 1_800_000_000);
        let parts: Vec<&str> = token.split('.').collect();
        let claims: Value =
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims, json!({ "sub": "alice", "iat": 1_800_000_000, "exp": 1_800_086_400 }));
        assert_eq!(parts.len(), 3);
    }
}
