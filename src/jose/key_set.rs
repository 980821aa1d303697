//! The keys that tokens are verified with: those that are configured, and those of a document (JWKS, RFC 7517).

use super::json;
use super::key::{Algorithm, Key};
use base64::prelude::*;
use serde_json::{Map, Value};

/// The longest document that is read, in bytes.
const MAX_DOCUMENT: usize = 64 * 1024;
/// The most keys of a document.
const MAX_KEYS: usize = 32;

/// A key with its name.
#[derive(Clone, Debug)]
pub struct NamedKey {
    /// `kid`; a key without one is tried for tokens of any.
    pub id: Option<String>,
    /// The key.
    pub key: Key,
}

/// The keys of a document, as far as they can be used here.
///
/// `None` when the document is none, or has no such key: an issuer that has just lost its keys, or a page of something in front of it,
/// must not make every token invalid. Keys of other kinds, uses and algorithms are skipped (RFC 7517, 5), and so are secrets, which have
/// no business in a document that everybody can read.
pub fn parse(document: &str) -> Option<Vec<NamedKey>> {
    if document.len() > MAX_DOCUMENT {
        return None;
    }
    let document = json::object(document.as_bytes())?;
    let list = document.get("keys")?.as_array().filter(|list| list.len() <= MAX_KEYS)?;
    let keys: Vec<NamedKey> = list.iter().filter_map(|key| named_key(key.as_object()?)).collect();
    (!keys.is_empty()).then_some(keys)
}

/// A key (JWK); `None` when it cannot be used here.
fn named_key(jwk: &Map<String, Value>) -> Option<NamedKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let is_for_signatures = match (jwk.get("use"), jwk.get("key_ops")) {
        (Some(purpose), _) if purpose != "sig" => false,
        (_, Some(operations)) => operations.as_array()?.iter().any(|operation| operation == "verify"),
        _ => true,
    };
    if !is_for_signatures {
        return None;
    }
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => Key::rsa(&bytes("n")?, &bytes("e")?)?,
        ("EC", Some("P-256")) => Key::p256(&bytes("x")?, &bytes("y")?)?,
        ("OKP", Some("Ed25519")) => Key::ed25519(&bytes("x")?)?,
        _ => return None,
    };
    let is_its_algorithm = match jwk.get("alg") {
        None => true,
        Some(name) => Algorithm::parse(name.as_str()?).is_some_and(|algorithm| key.has(algorithm)),
    };
    let id = match jwk.get("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    is_its_algorithm.then_some(NamedKey { id, key })
}
