//! Verifies a token: a JWS in compact form (RFC 7515) whose payload are claims (RFC 7519).
//!
//! What the header says of where keys are (`jku`, `jwk`, `x5u`, `x5c`) is never followed, and `kid` is compared and nothing else.

use super::json;
use super::key::Algorithm;
use super::key_set::NamedKey;
use base64::prelude::*;
use serde_json::{Map, Value};

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;
/// How many seconds the issuer's clock and ours may differ.
const LEEWAY: f64 = 60.0;
/// With how many public keys of its algorithm a token is tried at most: as many as there are while keys are changed, and not so many that a forged one costs much.
pub const MAX_TRIES: usize = 4;

/// What a token must say beside its times, and where it says who its holder is.
#[derive(Debug)]
pub struct Rules<'a> {
    /// `iss` must be this.
    pub issuer: Option<&'a str>,
    /// `aud` must be this, or a list that has it.
    pub audience: Option<&'a str>,
    /// The claim that names the user.
    pub user_claim: &'a str,
    /// The claim that lists the roles.
    pub roles_claim: &'a str,
}

/// What a valid token says.
#[derive(Clone, PartialEq, Debug)]
pub struct Verified {
    /// Its user.
    pub user: User,
    /// Its roles, as they are written.
    pub roles: Vec<String>,
    /// Until when it is valid, in seconds since 1970, leeway included.
    pub valid_until: f64,
}

/// The user whom a token names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum User {
    /// None.
    Nobody,
    /// By id.
    Id(i32),
    /// By name.
    Name(String),
}

/// Why a token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No key is known that the token may mean, by its name or by its algorithm. It may be a new one.
    UnknownKey,
    /// The keys that it may mean do not verify the signature by the token's algorithm.
    Signature,
    /// It was valid, and is not any more.
    Expired,
    /// Anything else; in words, for the log.
    Invalid(&'static str),
}

impl Refusal {
    /// In words, for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownKey => "no key is known for the token's kid and alg",
            Self::Signature => "the key does not verify the signature by the token's alg",
            Self::Expired => "the token has expired",
            Self::Invalid(reason) => reason,
        }
    }
}

/// Verifies a token. `now`: seconds since 1970.
///
/// # Errors
/// Why it is refused. Until the signature has been verified, nothing that the claims say is told.
pub fn verify(token: &str, keys: &[NamedKey], rules: &Rules<'_>, now: f64) -> Result<Verified, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::Invalid("the token is too long"));
    }
    let (message, signature) =
        token.rsplit_once('.').ok_or(Refusal::Invalid("the token has no signature"))?;
    let (header, payload) = message.split_once('.').ok_or(Refusal::Invalid("the token has no payload"))?;
    let decode = |part: &str| {
        BASE64_URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| Refusal::Invalid("a part of the token is not base64url"))
    };
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let header =
        json::object(&header).ok_or(Refusal::Invalid("the token's header is not one JSON object"))?;
    let (algorithm, id) = read_header(&header)?;
    require_signature(keys, algorithm, id, message.as_bytes(), &signature)?;

    read_claims(&payload, rules, now)
}

/// What the claims of a token say whose signature was verified.
pub(super) fn read_claims(payload: &[u8], rules: &Rules<'_>, now: f64) -> Result<Verified, Refusal> {
    let claims = json::object(payload).ok_or(Refusal::Invalid("the claims are not one JSON object"))?;
    let valid_until = check_times(&claims, now)?;
    check_parties(&claims, rules)?;
    Ok(Verified {
        user: user(claims.get(rules.user_claim))?,
        roles: roles(claims.get(rules.roles_claim))?,
        valid_until,
    })
}

/// The algorithm and the name of the key.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<&str>), Refusal> {
    // What is critical is an extension, of which none is known here.
    if header.contains_key("crit") {
        return Err(Refusal::Invalid("the token's header has crit"));
    }
    let is_access_token = match header.get("typ") {
        None => true,
        Some(kind) => kind.as_str().is_some_and(is_type_of_access_token),
    };
    if !is_access_token {
        return Err(Refusal::Invalid("the token is of another typ"));
    }
    let name = header.get("alg").and_then(Value::as_str);
    let algorithm =
        name.and_then(Algorithm::parse).ok_or(Refusal::Invalid("the token's alg is not allowed"))?;
    match header.get("kid") {
        None => Ok((algorithm, None)),
        Some(Value::String(id)) => Ok((algorithm, Some(id))),
        Some(_) => Err(Refusal::Invalid("the token's kid is no text")),
    }
}

/// `JWT` (RFC 7519, 5.1) or `at+jwt` (RFC 9068). An issuer signs other things with the same key (RFC 8725, 3.11).
fn is_type_of_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// Makes sure that one of the keys has signed the message. A key without a name is tried for a token with any, after those that have the
/// token's. All secrets are tried: they cost next to nothing.
fn require_signature(
    keys: &[NamedKey],
    algorithm: Algorithm,
    id: Option<&str>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Refusal> {
    let named = keys.iter().filter(|key| id.is_some() && key.id.as_deref() == id);
    let others = keys.iter().filter(|key| id.is_none() || key.id.is_none());
    let tries = if algorithm.is_of_secrets() { usize::MAX } else { MAX_TRIES };
    let candidates = named.chain(others).filter(|key| key.key.has(algorithm)).take(tries);
    let mut is_known = id.is_some() && keys.iter().any(|key| key.id.as_deref() == id);
    for candidate in candidates {
        if candidate.key.verifies(algorithm, message, signature) {
            return Ok(());
        }
        is_known |= id.is_none();
    }
    Err(match is_known {
        // A secret is configured, and has no name.
        _ if algorithm.is_of_secrets() => Refusal::Invalid("the secret does not verify the token"),
        true => Refusal::Signature,
        false => Refusal::UnknownKey,
    })
}

/// Checks `exp`, which is required, `nbf` and `iat`. Until when the token is valid.
fn check_times(claims: &Map<String, Value>, now: f64) -> Result<f64, Refusal> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Refusal::Invalid("a time of the token is no number")),
    };
    let valid_until = time("exp")?.ok_or(Refusal::Invalid("the token has no exp"))? + LEEWAY;
    for name in ["nbf", "iat"] {
        if time(name)?.is_some_and(|time| time > now + LEEWAY) {
            return Err(Refusal::Invalid("the token is not valid yet"));
        }
    }
    if now >= valid_until { Err(Refusal::Expired) } else { Ok(valid_until) }
}

/// Checks `iss` and `aud` where they must be somebody.
fn check_parties(claims: &Map<String, Value>, rules: &Rules<'_>) -> Result<(), Refusal> {
    if let Some(issuer) = rules.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err(Refusal::Invalid("the token is of another issuer"));
    }
    let Some(audience) = rules.audience else { return Ok(()) };
    let is_addressed = match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => {
            several.iter().all(Value::is_string) && several.iter().any(|one| one == audience)
        }
        _ => false,
    };
    if is_addressed { Ok(()) } else { Err(Refusal::Invalid("the token is for somebody else")) }
}

/// The user: digits are an id, anything else is a name.
fn user(claim: Option<&Value>) -> Result<User, Refusal> {
    let id = |digits: i64| {
        let id = i32::try_from(digits).ok().filter(|id| *id >= 1);
        id.map(User::Id).ok_or(Refusal::Invalid("the token's user is no id"))
    };
    match claim {
        None | Some(Value::Null) => Ok(User::Nobody),
        Some(Value::Number(number)) => id(number.as_i64().unwrap_or_default()),
        Some(Value::String(name)) if name.is_empty() => Err(Refusal::Invalid("the token's user is empty")),
        Some(Value::String(name)) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            id(name.parse().unwrap_or_default())
        }
        Some(Value::String(name)) => Ok(User::Name(name.clone())),
        Some(_) => Err(Refusal::Invalid("the token's user is neither text nor a number")),
    }
}

/// The roles: a list of texts, or one text with blanks between them.
fn roles(claim: Option<&Value>) -> Result<Vec<String>, Refusal> {
    let wrong = Refusal::Invalid("the token's roles are neither a list nor text");
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(names)) => Ok(names.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_str().map(str::to_owned).ok_or(wrong)).collect()
        }
        Some(_) => Err(wrong),
    }
}
