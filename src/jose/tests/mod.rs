//! Tokens and keys: tables of what is refused, and random tokens about which another implementation must agree.

mod keys;
mod random;
mod tokens;

use super::key::Key;
use super::key_set::{self, NamedKey};
use super::token::{Refusal, Rules, User, Verified, verify};
use base64::prelude::*;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret that is long enough for HS512, which needs sixty-four bytes";
const RSA: [&str; 2] =
    [include_str!("../../../tests/keys/rsa.pem"), include_str!("../../../tests/keys/rsa-public.pem")];
const P256: [&str; 2] =
    [include_str!("../../../tests/keys/p256.pem"), include_str!("../../../tests/keys/p256-public.pem")];
const ED25519: [&str; 2] =
    [include_str!("../../../tests/keys/ed25519.pem"), include_str!("../../../tests/keys/ed25519-public.pem")];

const RULES: Rules<'static> = Rules { issuer: None, audience: None, user_claim: "sub", roles_claim: "roles" };
/// All algorithms that there are here, with their names.
const ALGORITHMS: [(&str, Algorithm); 6] = [
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
    ("RS256", Algorithm::RS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];

fn signer(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(RSA[0].as_bytes()).unwrap(),
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256[0].as_bytes()).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED25519[0].as_bytes()).unwrap(),
        _ => EncodingKey::from_secret(SECRET.as_bytes()),
    }
}

fn token_of(header: &str, claims: &str, algorithm: Algorithm) -> String {
    let message = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = sign(message.as_bytes(), &signer(algorithm), algorithm).unwrap();
    format!("{message}.{signature}")
}

fn public(pem: &str) -> Key {
    Key::from_pem(pem).unwrap().remove(0)
}

/// The secret and the three public keys, without names.
fn keys() -> [NamedKey; 4] {
    let keys = [Key::secret(SECRET.as_bytes()).unwrap(), public(RSA[1]), public(P256[1]), public(ED25519[1])];
    keys.map(|key| NamedKey { id: None, key })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn check(token: &str, keys: &[NamedKey], rules: &Rules<'_>) -> Result<Verified, Refusal> {
    verify(token, keys, rules, now() as f64)
}

fn hs256(header: &str, claims: &str) -> Result<Verified, Refusal> {
    check(&token_of(header, claims, Algorithm::HS256), &keys(), &RULES)
}

/// A public key as an issuer shows it.
fn jwk(algorithm: Algorithm, more: Value) -> Value {
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&signer(algorithm), algorithm).unwrap()).unwrap();
    for (name, value) in more.as_object().unwrap() {
        jwk[name] = value.clone();
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(name);
        }
    }
    jwk
}
