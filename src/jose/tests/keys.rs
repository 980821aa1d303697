//! What is taken for a key.

use super::*;
use p256::elliptic_curve::sec1::ToSec1Point;

#[test]
fn the_name_of_a_key_is_compared_and_an_unknown_one_is_told_from_a_bad_signature() {
    let document = json!({ "keys": [
        jwk(Algorithm::ES256, json!({ "kid": "a" })), jwk(Algorithm::EdDSA, json!({ "kid": "b" })),
    ] });
    let keys = key_set::parse(&document.to_string()).unwrap();
    let claims = json!({ "exp": now() + 60 }).to_string();
    let outcome = |header: Value, algorithm| {
        check(&token_of(&header.to_string(), &claims, algorithm), &keys, &RULES).map(drop)
    };
    assert_eq!(outcome(json!({ "alg": "ES256", "kid": "a" }), Algorithm::ES256), Ok(()));
    assert_eq!(outcome(json!({ "alg": "ES256" }), Algorithm::ES256), Ok(()));
    assert_eq!(outcome(json!({ "alg": "ES256", "kid": "b" }), Algorithm::ES256), Err(Refusal::Signature));
    assert_eq!(outcome(json!({ "alg": "EdDSA", "kid": "a" }), Algorithm::EdDSA), Err(Refusal::Signature));
    assert_eq!(outcome(json!({ "alg": "EdDSA", "kid": "a" }), Algorithm::ES256), Err(Refusal::Signature));
    assert_eq!(outcome(json!({ "alg": "ES256", "kid": "A" }), Algorithm::ES256), Err(Refusal::UnknownKey));
    assert_eq!(outcome(json!({ "alg": "ES256", "kid": "" }), Algorithm::ES256), Err(Refusal::UnknownKey));
    assert_eq!(outcome(json!({ "alg": "RS256" }), Algorithm::RS256), Err(Refusal::UnknownKey));
    assert!(matches!(
        outcome(json!({ "alg": "HS256", "kid": "c" }), Algorithm::HS256),
        Err(Refusal::Invalid(_))
    ));
}

#[test]
fn keys_of_a_document_that_cannot_be_used_are_skipped() {
    let (ed25519, rsa) = (Algorithm::EdDSA, Algorithm::RS256);
    let weak = BASE64_URL_SAFE_NO_PAD.encode([[1].as_slice(), &[0; 31]].concat());
    for (key, is_used) in [
        (jwk(ed25519, json!({})), true),
        (jwk(ed25519, json!({ "alg": null, "use": "sig", "key_ops": ["verify"] })), true),
        (jwk(rsa, json!({ "alg": null })), true),
        (jwk(Algorithm::ES256, json!({ "x5c": ["ignored"] })), true),
        (jwk(ed25519, json!({ "use": "enc" })), false),
        (jwk(ed25519, json!({ "key_ops": ["sign"] })), false),
        (jwk(ed25519, json!({ "key_ops": "verify" })), false),
        (jwk(ed25519, json!({ "alg": "ES256" })), false),
        (jwk(rsa, json!({ "alg": "RS512" })), false),
        (jwk(rsa, json!({ "alg": "HS256" })), false),
        (jwk(ed25519, json!({ "kid": 1 })), false),
        (jwk(ed25519, json!({ "x": "AAAA" })), false),
        (jwk(ed25519, json!({ "x": weak })), false),
        (jwk(ed25519, json!({ "crv": "X25519" })), false),
        (jwk(Algorithm::ES256, json!({ "crv": "P-384" })), false),
        (jwk(Algorithm::ES256, json!({ "y": BASE64_URL_SAFE_NO_PAD.encode([7; 32]) })), false),
        (jwk(rsa, json!({ "n": BASE64_URL_SAFE_NO_PAD.encode([255; 128]) })), false),
        (jwk(rsa, json!({ "n": BASE64_URL_SAFE_NO_PAD.encode([255; 1024]) })), false),
        (jwk(rsa, json!({ "n": BASE64_URL_SAFE_NO_PAD.encode([254; 256]) })), false),
        (jwk(rsa, json!({ "n": "" })), false),
        (jwk(rsa, json!({ "e": "AQ" })), false),
        (jwk(rsa, json!({ "e": "AA" })), false),
        (jwk(rsa, json!({ "e": "" })), false),
        (jwk(Algorithm::HS256, json!({})), false),
        (json!({ "kty": "new" }), false),
        (json!({}), false),
        (json!("key"), false),
    ] {
        let document = json!({ "keys": [key.clone(), jwk(ed25519, json!({ "kid": "other" }))] }).to_string();
        assert_eq!(key_set::parse(&document).unwrap().len(), if is_used { 2 } else { 1 }, "{key}");
    }
}

#[test]
fn public_keys_of_pem_are_of_the_right_kind_and_size() {
    for (text, expected) in [
        (RSA[1].to_owned(), Some(1)),
        ([RSA[1], P256[1], ED25519[1]].concat(), Some(3)),
        (RSA[1].replace('\n', "\\n"), Some(1)),
        (include_str!("../../../tests/keys/rsa-1024-public.pem").to_owned(), None),
        (include_str!("../../../tests/keys/p384-public.pem").to_owned(), None),
        (RSA[0].to_owned(), None),
        (format!("{}{}", RSA[1], P256[0]), None),
        (RSA[1].replacen("MII", "MIJ", 1), None),
    ] {
        assert_eq!(Key::from_pem(&text).map(|keys| keys.len()), expected, "{text}");
    }
}

#[test]
fn the_key_that_a_token_names_is_tried_before_those_without_a_name_and_every_secret_is() {
    let claims = json!({ "exp": now() + 60 }).to_string();
    // Points that are nobody's keys.
    let other = |number: u8| {
        let secret = p256::SecretKey::from_slice(&[[0; 31].as_slice(), &[number]].concat()).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        Key::p256(point.x().unwrap(), point.y().unwrap()).unwrap()
    };
    let mut keys: Vec<NamedKey> = (1..=4).map(|number| NamedKey { id: None, key: other(number) }).collect();
    keys.push(NamedKey { id: Some("a".into()), key: public(P256[1]) });
    let token = token_of(r#"{"alg":"ES256","kid":"a"}"#, &claims, Algorithm::ES256);
    assert_eq!(check(&token, &keys, &RULES).map(drop), Ok(()));

    let other = |number: u8| Key::secret(&[number; 32]).unwrap();
    let mut keys: Vec<NamedKey> = (1..=4).map(|number| NamedKey { id: None, key: other(number) }).collect();
    keys.push(NamedKey { id: None, key: Key::secret(SECRET.as_bytes()).unwrap() });
    let token = token_of(r#"{"alg":"HS256"}"#, &claims, Algorithm::HS256);
    assert_eq!(check(&token, &keys, &RULES).map(drop), Ok(()));
}
