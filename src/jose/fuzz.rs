//! Entry points for fuzzing: what reads tokens and keys. Each takes any bytes, and panics when what must hold does not.

use super::key::Key;
use super::key_set::{self, NamedKey};
use super::token::{self, Refusal, Rules};
use std::sync::LazyLock;

/// Public keys whose private ones nobody has: RSA of 2048 bits, P-256, Ed25519.
const PUBLIC_KEYS: [(&str, &str); 3] = [
    (
        "r",
        "-----BEGIN PUBLIC KEY-----\
         MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuLytGBgudy+ECxJbs3rY6b+ymmnnRLungkbqYB2QNJ/kPJk76zgTl4jk4bvEpHz+rCYDt2rfVhhdzm1KrGPB\
         jVIvYeCLaxuYUEWUuM+9+C54GyEkvoKiy30mzlk3tKSCpSreukhd4aO396GPzQwHUFXqjEWAFxR6+EfOJyPhBGFf3TTsNsg6PDYSZRyYj7aOFTmm16ex1Gknna7Yif4W\
         j6D/5Q+Hy7UCPyek/Kfj1XALrUE4J90EhgAj9akRyoCGUqBBT0IaHeU7WOZDfX+1m1AYSZ97BvXgk5YRBrS2jid4elngCsK8IrMoUZ0bPkhzzbQW1w+oRk0JmLIqvSxH\
         DwIDAQAB\
         -----END PUBLIC KEY-----",
    ),
    (
        "p",
        "-----BEGIN PUBLIC KEY-----\
         MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAES5jaDQWhR4QKdreONgf2V8xIKZfNq4nm+3KKgZqsC4hU53v7LAHjZGB7Q8Y4A9eUPoRwLuSwEWNi0YMvGus9rQ==\
         -----END PUBLIC KEY-----",
    ),
    (
        "k",
        "-----BEGIN PUBLIC KEY-----MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=-----END PUBLIC KEY-----",
    ),
];

/// A key of each kind. To read that of RSA takes longer than to read a token.
static KEYS: LazyLock<Vec<NamedKey>> = LazyLock::new(|| {
    let secret = Key::secret(&[0x5a; 64]).expect("a secret");
    let public = PUBLIC_KEYS.map(|(id, pem)| {
        let key = Key::from_pem(pem).expect("a key").remove(0);
        NamedKey { id: Some(id.to_owned()), key }
    });
    [NamedKey { id: None, key: secret }].into_iter().chain(public).collect()
});

/// A token: nothing verifies, because nobody has the keys. What is wrong with its claims is not told before its signature is verified.
pub fn token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let rules = Rules { issuer: Some("i"), audience: Some("a"), user_claim: "sub", roles_claim: "roles" };
    let refusal = token::verify(&text, &KEYS, &rules, 1_800_000_000.0).expect_err("nobody has the keys");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_tokens_reach_the_signature_of_each_kind_of_key() {
        let rules = Rules { issuer: None, audience: None, user_claim: "sub", roles_claim: "roles" };
        for token in [
            include_str!("../../fuzz/corpus/jose_token/rs256"),
            include_str!("../../fuzz/corpus/jose_token/rs256-without-kid"),
            include_str!("../../fuzz/corpus/jose_token/es256"),
            include_str!("../../fuzz/corpus/jose_token/es256-without-kid"),
            include_str!("../../fuzz/corpus/jose_token/seed-3"),
        ] {
            let refused = token::verify(token, &KEYS, &rules, 1_800_000_000.0);
            assert_eq!(refused, Err(Refusal::Signature), "{token}");
        }
    }
}
