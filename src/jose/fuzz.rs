//! Entry points for fuzzing: what reads tokens and keys. Each takes any bytes, and panics when what must hold does not.

use super::key::Key;
use super::key_set::{self, NamedKey};
use super::token::{self, Refusal, Rules};

const ED25519: &str = "-----BEGIN PUBLIC KEY-----MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=-----END PUBLIC KEY-----";

fn keys() -> Vec<NamedKey> {
    let secret = Key::secret(&[0x5a; 64]).expect("a secret");
    let public = Key::from_pem(ED25519).expect("a key").remove(0);
    vec![NamedKey { id: None, key: secret }, NamedKey { id: Some("k".into()), key: public }]
}

/// A token: nothing verifies, because nobody has the keys. What is wrong with its claims is not told before its signature is verified.
pub fn token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let rules = Rules { issuer: Some("i"), audience: Some("a"), user_claim: "sub", roles_claim: "roles" };
    let refusal = token::verify(&text, &keys(), &rules, 1_800_000_000.0).expect_err("nobody has the keys");
    assert!(refusal != Refusal::Expired);
}

/// Claims, behind a valid signature: who is let in has a time within which the token is valid.
pub fn claims(data: &[u8]) {
    let now = 1_800_000_000.0;
    let rules = Rules { issuer: None, audience: None, user_claim: "sub", roles_claim: "roles" };
    if let Ok(verified) = token::read_claims(data, &rules, now) {
        assert!(verified.valid_until > now);
    }
}

/// A document of keys (JWKS), and a key in PEM.
pub fn key_set(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(keys) = key_set::parse(&text) {
        assert!((1..=32).contains(&keys.len()));
        assert!(keys.iter().all(|key| !matches!(key.key, Key::Secret(_))));
    }
    let _ = Key::from_pem(&text);
}
