//! Tokens as issuers make them, and as attackers do.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::*;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::request::Request;

/// The secret that tests configure as `auth_jwt_secret`, and sign with.
pub const SECRET: &str = "a secret of the tests, of more than thirty-two bytes";
/// A public key for `auth_public_key`.
pub const RSA_PUBLIC: &str = include_str!("../../keys/rsa-public.pem");
/// Another one.
pub const ED25519_PUBLIC: &str = include_str!("../../keys/ed25519-public.pem");

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    since.as_secs() as i64
}

/// The private key of an algorithm.
fn signer(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(include_bytes!("../../keys/rsa.pem")).expect("a key"),
        Algorithm::ES256 => EncodingKey::from_ec_pem(include_bytes!("../../keys/p256.pem")).expect("a key"),
        Algorithm::EdDSA => {
            EncodingKey::from_ed_pem(include_bytes!("../../keys/ed25519.pem")).expect("a key")
        }
        _ => EncodingKey::from_secret(SECRET.as_bytes()),
    }
}

/// A token with this header and these claims, both as they are written.
pub fn signed(header: &str, claims: &str, algorithm: Algorithm) -> String {
    signed_by(header, claims, &signer(algorithm), algorithm)
}

/// The same, signed with any key.
pub fn signed_by(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = sign(message.as_bytes(), key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

/// A token of `SECRET`, valid for an hour, with these claims more.
pub fn token(claims: Value) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, &with_times(claims).to_string(), Algorithm::HS256)
}

/// Claims that are valid for an hour, unless they say something else.
pub fn with_times(mut claims: Value) -> Value {
    if claims.get("exp").is_none() {
        claims["exp"] = json!(now() + 3_600);
    }
    claims
}

/// The token of a user.
pub fn user(id: i64) -> String {
    token(json!({ "sub": id.to_string() }))
}

/// The token of a user with roles.
pub fn holder(id: i64, roles: &str) -> String {
    token(json!({ "sub": id.to_string(), "roles": roles.split(' ').collect::<Vec<_>>() }))
}

/// A public key as an issuer shows it, under this `kid`.
pub fn jwk(algorithm: Algorithm, kid: &str) -> Value {
    let jwk = Jwk::from_encoding_key(&signer(algorithm), algorithm).expect("a public key");
    let mut jwk = serde_json::to_value(jwk).expect("JSON");
    jwk["kid"] = json!(kid);
    jwk["use"] = json!("sig");
    jwk
}

/// A token by a public key of an issuer, with its `kid`.
pub fn issued(algorithm: Algorithm, kid: &str, claims: Value) -> String {
    let header = json!({ "alg": algorithm, "kid": kid }).to_string();
    signed(&header, &with_times(claims).to_string(), algorithm)
}

impl Request {
    /// With a token.
    pub fn token(self, token: &str) -> Request {
        self.header("authorization", format!("Bearer {token}"))
    }
}
