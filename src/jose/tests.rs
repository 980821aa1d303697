//! Tokens and keys: tables of what is refused, and random tokens about which another implementation must agree.

use super::key::Key;
use super::key_set::{self, NamedKey};
use super::token::{Refusal, Rules, User, Verified, verify};
use base64::prelude::*;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret that is long enough for HS512, which needs sixty-four bytes";
const RSA: [&str; 2] =
    [include_str!("../../tests/keys/rsa.pem"), include_str!("../../tests/keys/rsa-public.pem")];
const P256: [&str; 2] =
    [include_str!("../../tests/keys/p256.pem"), include_str!("../../tests/keys/p256-public.pem")];
const ED25519: [&str; 2] =
    [include_str!("../../tests/keys/ed25519.pem"), include_str!("../../tests/keys/ed25519-public.pem")];

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

#[test]
fn a_token_of_every_algorithm_is_verified_by_its_key_and_by_no_other() {
    let claims = json!({ "sub": "101", "exp": now() + 60 }).to_string();
    for (name, algorithm) in ALGORITHMS {
        let token = token_of(&json!({ "alg": name, "typ": "JWT" }).to_string(), &claims, algorithm);
        let verified = check(&token, &keys(), &RULES).unwrap();
        assert_eq!((verified.user, verified.roles.len()), (User::Id(101), 0), "{name}");
        let own =
            keys().iter().filter(|key| check(&token, std::slice::from_ref(key), &RULES).is_ok()).count();
        assert_eq!(own, 1, "{name}");
        for (other, _) in ALGORITHMS.into_iter().filter(|(other, _)| *other != name) {
            let confused = token_of(&json!({ "alg": other }).to_string(), &claims, algorithm);
            assert!(check(&confused, &keys(), &RULES).is_err(), "{name} as {other}");
        }
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let claims = json!({ "sub": "101", "exp": now() + 60 }).to_string();
    let message = [r#"{"alg":"HS256"}"#, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    for text in [RSA[1], P256[1], ED25519[1], RSA[1].trim()] {
        let secret = EncodingKey::from_secret(text.as_bytes());
        let forged = format!("{message}.{}", sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap());
        for keys in [&keys()[..], &keys()[1..]] {
            assert!(matches!(check(&forged, keys, &RULES), Err(Refusal::Invalid(_))));
        }
    }
}

#[test]
fn a_secret_has_the_algorithms_that_it_is_long_enough_for() {
    let claims = json!({ "exp": now() + 60 }).to_string();
    for (length, expected) in [(31, 0), (32, 1), (47, 1), (48, 2), (63, 2), (64, 3), (200, 3)] {
        let secret = "s".repeat(length);
        let Some(key) = Key::secret(secret.as_bytes()) else {
            assert_eq!(expected, 0, "{length}");
            continue;
        };
        let verified = ALGORITHMS[..3].iter().filter(|(name, algorithm)| {
            let header = json!({ "alg": name }).to_string();
            let message = [&header, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
            let signer = EncodingKey::from_secret(secret.as_bytes());
            let token = format!("{message}.{}", sign(message.as_bytes(), &signer, *algorithm).unwrap());
            check(&token, &[NamedKey { id: None, key: key.clone() }], &RULES).is_ok()
        });
        assert_eq!(verified.count(), expected, "{length}");
    }
}

#[test]
fn a_header_is_what_it_must_be() {
    let claims = json!({ "exp": now() + 60 }).to_string();
    for (header, is_valid) in [
        (r#"{"alg":"HS256"}"#, true),
        (r#"{"alg":"HS256","typ":"JWT"}"#, true),
        (r#"{"alg":"HS256","typ":"jwt"}"#, true),
        (r#"{"alg":"HS256","typ":"application/at+jwt"}"#, true),
        (r#"{"alg":"HS256","kid":"../../etc/passwd"}"#, true),
        (
            r#"{"alg":"HS256","jku":"http://evil/keys","x5u":"http://evil","jwk":{"kty":"oct","k":""},"x5c":[]}"#,
            true,
        ),
        (r#"{"alg":"HS256","typ":"dpop+jwt"}"#, false),
        (r#"{"alg":"HS256","typ":1}"#, false),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, false),
        (r#"{"alg":"HS256","crit":[]}"#, false),
        (r#"{"alg":"HS256","crit":null}"#, false),
        (r#"{"alg":"HS256","alg":"HS256"}"#, false),
        (r#"{"alg":"none","alg":"HS256"}"#, false),
        (r#"{"alg":"none"}"#, false),
        (r#"{"alg":"None"}"#, false),
        (r#"{"alg":"hs256"}"#, false),
        (r#"{"alg":"HS256 "}"#, false),
        (r#"{"alg":["HS256"]}"#, false),
        (r#"{"alg":null}"#, false),
        (r#"{"alg":""}"#, false),
        (r#"{"kid":"a"}"#, false),
        (r#"{"alg":"HS256","kid":1}"#, false),
        (r#"{"alg":"HS256","kid":null}"#, false),
        (r#"["HS256"]"#, false),
        ("", false),
        ("{", false),
    ] {
        assert_eq!(hs256(header, &claims).is_ok(), is_valid, "{header}");
    }
}

#[test]
fn a_token_has_three_parts_in_base64url_without_padding_and_8_kib() {
    let claims = json!({ "exp": now() + 60 }).to_string();
    let token = token_of(r#"{"alg":"HS256"}"#, &claims, Algorithm::HS256);
    let unsigned = token.rsplit_once('.').unwrap().0;
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let payload = unsigned.split_once('.').unwrap().1;
    for bad in [
        "",
        ".",
        "..",
        "a.b.c",
        unsigned,
        &format!("{unsigned}."),
        &format!("{none}.{payload}."),
        &format!("{none}.{payload}"),
        &format!("{token}."),
        &format!(".{token}"),
        &format!("{token}.{token}"),
        &format!("{token}="),
        &format!("{token} "),
        &format!("{token}\n"),
        &token.replace('.', ".="),
        &token.replace('.', "\u{ff0e}"),
        &token[1..],
        &token[..token.len() - 1],
    ] {
        assert!(check(bad, &keys(), &RULES).is_err(), "{bad}");
    }
    let padded = |length: usize| {
        let claims = json!({ "exp": now() + 60, "more": "x".repeat(length) }).to_string();
        token_of(r#"{"alg":"HS256"}"#, &claims, Algorithm::HS256)
    };
    let lengths: Vec<(usize, bool)> = (6_000..6_200)
        .map(|length| padded(length))
        .map(|token| (token.len(), check(&token, &keys(), &RULES).is_ok()))
        .collect();
    assert!(lengths.iter().all(|(length, is_valid)| *is_valid == (*length <= 8_192)), "{lengths:?}");
    assert!(lengths.iter().any(|(_, is_valid)| *is_valid) && lengths.iter().any(|(_, is_valid)| !is_valid));
}

#[test]
fn times_are_checked_with_a_minute_of_leeway() {
    let now = now() as i64;
    let valid = |claims: Value| hs256(r#"{"alg":"HS256"}"#, &claims.to_string()).is_ok();
    for (claims, expected) in [
        (json!({ "exp": now + 5 }), true),
        (json!({ "exp": now - 50 }), true),
        (json!({ "exp": now as f64 + 5.5 }), true),
        (json!({ "exp": now - 60 }), false),
        (json!({ "exp": 0 }), false),
        (json!({ "exp": -1 }), false),
        (json!({}), false),
        (json!({ "exp": null }), false),
        (json!({ "exp": (now + 5).to_string() }), false),
        (json!({ "exp": true }), false),
        (json!({ "exp": now + 500, "nbf": now - 5, "iat": now - 5 }), true),
        (json!({ "exp": now + 500, "nbf": now + 50, "iat": now + 50 }), true),
        (json!({ "exp": now + 500, "nbf": now + 70 }), false),
        (json!({ "exp": now + 500, "iat": now + 70 }), false),
        (json!({ "exp": now + 500, "nbf": "now" }), false),
        (json!({ "exp": now + 500, "iat": null }), false),
    ] {
        assert_eq!(valid(claims.clone()), expected, "{claims}");
    }
    let old = json!({ "exp": now - 3_600 }).to_string();
    assert_eq!(hs256(r#"{"alg":"HS256"}"#, &old), Err(Refusal::Expired));
    let forged = token_of(r#"{"alg":"HS256"}"#, &old, Algorithm::HS384);
    assert!(matches!(check(&forged, &keys(), &RULES), Err(Refusal::Invalid(_))));
    for text in [
        format!(r#"{{"exp":{},"exp":{}}}"#, now + 500, now + 500),
        format!(r#"{{"exp":{},"sub":"1","sub":"2"}}"#, now + 500),
        format!(r#"{{"exp":{},"other":{{"a":1,"a":1}}}}"#, now + 500),
        r#"{"exp":1e999}"#.to_owned(),
        format!("[{}]", now + 500),
    ] {
        assert!(hs256(r#"{"alg":"HS256"}"#, &text).is_err(), "{text}");
    }
}

#[test]
fn issuer_and_audience_are_checked_where_they_are_set() {
    let rules = Rules { issuer: Some("https://issuer"), audience: Some("orders"), ..RULES };
    for (claims, expected) in [
        (json!({ "iss": "https://issuer", "aud": "orders" }), true),
        (json!({ "iss": "https://issuer", "aud": ["other", "orders"] }), true),
        (json!({ "iss": "https://issuer/", "aud": "orders" }), false),
        (json!({ "iss": ["https://issuer"], "aud": "orders" }), false),
        (json!({ "aud": "orders" }), false),
        (json!({ "iss": "https://issuer" }), false),
        (json!({ "iss": "https://issuer", "aud": "other" }), false),
        (json!({ "iss": "https://issuer", "aud": "orders more" }), false),
        (json!({ "iss": "https://issuer", "aud": [] }), false),
        (json!({ "iss": "https://issuer", "aud": ["orders", 1] }), false),
        (json!({ "iss": "https://issuer", "aud": null }), false),
    ] {
        let mut all = claims.clone();
        all["exp"] = json!(now() + 60);
        let token = token_of(r#"{"alg":"HS256"}"#, &all.to_string(), Algorithm::HS256);
        assert_eq!(check(&token, &keys(), &rules).is_ok(), expected, "{claims}");
        assert!(check(&token, &keys(), &RULES).is_ok(), "{claims}");
    }
}

#[test]
fn user_and_roles_are_read_from_the_claims_that_are_configured() {
    let read = |claims: Value| {
        let mut claims = claims;
        claims["exp"] = json!(now() + 60);
        hs256(r#"{"alg":"HS256"}"#, &claims.to_string()).ok().map(|verified| (verified.user, verified.roles))
    };
    let id = |id| Some((User::Id(id), Vec::new()));
    let roles = |names: &[&str]| Some((User::Nobody, names.iter().map(|name| (*name).to_owned()).collect()));
    for (claims, expected) in [
        (json!({ "sub": "101" }), id(101)),
        (json!({ "sub": 101 }), id(101)),
        (json!({ "sub": "2147483647" }), id(i32::MAX)),
        (json!({ "sub": "alice" }), Some((User::Name("alice".into()), Vec::new()))),
        (json!({ "sub": "-1" }), Some((User::Name("-1".into()), Vec::new()))),
        (json!({}), Some((User::Nobody, Vec::new()))),
        (json!({ "sub": null }), Some((User::Nobody, Vec::new()))),
        (json!({ "sub": "2147483648" }), None),
        (json!({ "sub": "99999999999999999999" }), None),
        (json!({ "sub": "0" }), None),
        (json!({ "sub": 0 }), None),
        (json!({ "sub": -1 }), None),
        (json!({ "sub": 101.0 }), None),
        (json!({ "sub": "" }), None),
        (json!({ "sub": ["101"] }), None),
        (json!({ "sub": true }), None),
        (json!({ "roles": ["a", "orders:read"] }), roles(&["a", "orders:read"])),
        (json!({ "roles": " a  orders:read " }), roles(&["a", "orders:read"])),
        (json!({ "roles": [] }), roles(&[])),
        (json!({ "roles": null }), roles(&[])),
        (json!({ "roles": [1] }), None),
        (json!({ "roles": { "orders:admin": true } }), None),
    ] {
        assert_eq!(read(claims.clone()), expected, "{claims}");
    }
    let token =
        json!({ "exp": now() + 60, "sub": "1", "uid": 7, "https://a/roles": "orders:admin" }).to_string();
    let rules = Rules { user_claim: "uid", roles_claim: "https://a/roles", ..RULES };
    let token = token_of(r#"{"alg":"HS256"}"#, &token, Algorithm::HS256);
    let verified = check(&token, &keys(), &rules).unwrap();
    assert_eq!((verified.user, verified.roles), (User::Id(7), vec!["orders:admin".to_owned()]));
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
        (include_str!("../../tests/keys/rsa-1024-public.pem").to_owned(), None),
        (include_str!("../../tests/keys/p384-public.pem").to_owned(), None),
        (RSA[0].to_owned(), None),
        (format!("{}{}", RSA[1], P256[0]), None),
        (RSA[1].replacen("MII", "MIJ", 1), None),
    ] {
        assert_eq!(Key::from_pem(&text).map(|keys| keys.len()), expected, "{text}");
    }
}

/// A claim or a member of a header as it is now and then: with whether only our verifier refuses it, because it is stricter.
fn one_of(choices: &'static [(&'static str, bool)]) -> impl Strategy<Value = (&'static str, bool)> {
    // Mostly nothing odd.
    prop_oneof![3 => Just(("", false)), 1 => prop::sample::select(choices)]
}

const HEADERS: &[(&str, bool)] = &[
    (r#","typ":"JWT""#, false),
    (r#","kid":"a""#, false),
    (r#","kid":1"#, false),
    (r#","more":{"a":[1]}"#, false),
    (r#","typ":"secevent+jwt""#, true),
    (r#","more":1,"more":1"#, true),
];
const CLAIMS: &[(&str, bool)] = &[
    (r#","sub":"101""#, false),
    (r#","sub":101"#, false),
    (r#","roles":["orders:read"]"#, false),
    (r#","iss":"somebody""#, false),
    (r#","exp":1"#, false),
    (r#","sub":[]"#, true),
    (r#","sub":"0""#, true),
    (r#","roles":7"#, true),
    (r#","a":1,"a":1"#, true),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The other one is not told of an audience or an issuer, nor does it look at `iat`.
    #[test]
    fn another_implementation_verifies_the_same_tokens(
        signed_by in 0..6_usize,
        named in prop_oneof![4 => Just(None), 1 => (0..8_usize).prop_map(Some)],
        offered in prop_oneof![2 => Just(None), 1 => (0..4_usize).prop_map(Some)],
        header in one_of(HEADERS),
        claims in one_of(CLAIMS),
        expires in prop::sample::select(&["-9000", "-120", "-30", "+30", "+120", "+9000.25", "text", "null", "none"][..]),
        begins in prop_oneof![2 => Just("none"), 1 => prop::sample::select(&["-9000", "-30", "+30", "+120", "text"][..])],
        damage in prop_oneof![2 => Just(None), 1 => (any::<prop::sample::Index>(), "[A-Za-z0-9_.=-]").prop_map(Some)],
    ) {
        let (name, algorithm) = ALGORITHMS[signed_by];
        let names = ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "none", "PS256"];
        let name = named.map_or(name, |index| names[index]);
        let time = |claim: &str, choice: &str| match choice {
            "none" => String::new(),
            "text" => format!(r#","{claim}":"soon""#),
            "null" => format!(r#","{claim}":null"#),
            offset => format!(r#","{claim}":{}"#, now() as f64 + offset.parse::<f64>().unwrap()),
        };
        let (exp, nbf) = (time("exp", expires), time("nbf", begins));
        let mut token = token_of(
            &format!(r#"{{"alg":"{name}"{}}}"#, header.0),
            &format!(r#"{{"jti":"x"{exp}{nbf}{}}}"#, claims.0),
            algorithm,
        );
        if let Some((place, letter)) = damage {
            let place = place.index(token.len());
            token.replace_range(place..=place, &letter);
        }
        let own = match algorithm {
            Algorithm::RS256 => 1,
            Algorithm::ES256 => 2,
            Algorithm::EdDSA => 3,
            _ => 0,
        };
        let offered = offered.unwrap_or(own);
        let (key, algorithms) = match offered {
            0 => (DecodingKey::from_secret(SECRET.as_bytes()), &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512][..]),
            1 => (DecodingKey::from_rsa_pem(RSA[1].as_bytes()).unwrap(), &[Algorithm::RS256][..]),
            2 => (DecodingKey::from_ec_pem(P256[1].as_bytes()).unwrap(), &[Algorithm::ES256][..]),
            _ => (DecodingKey::from_ed_pem(ED25519[1].as_bytes()).unwrap(), &[Algorithm::EdDSA][..]),
        };
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms.to_vec();
        (validation.validate_nbf, validation.validate_aud) = (true, false);
        let theirs = decode::<Value>(&token, &key, &validation);
        let ours = check(&token, &keys()[offered..=offered], &RULES);
        let is_stricter = header.1 || claims.1;
        prop_assert_eq!(ours.is_ok(), theirs.is_ok() && !is_stricter, "{} {:?} {:?}", token, ours, theirs);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            let user = if theirs.claims["sub"].is_null() { User::Nobody } else { User::Id(101) };
            prop_assert_eq!(ours.user, user);
        }
    }

    /// Whatever comes from outside: nothing but an answer.
    #[test]
    fn no_text_makes_the_readers_fall_over(text in any::<String>(), json in r#"[\{\}\[\]",:a-z0-9. ]{0,60}"#) {
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(&json);
        for token in [text.clone(), format!("{encoded}.{encoded}.{text}"), format!("{encoded}.{encoded}.{encoded}")] {
            prop_assert!(check(&token, &keys(), &RULES).is_err());
        }
        prop_assert!(Key::from_pem(&text).is_none_or(|keys| keys.is_empty()));
        let _ = key_set::parse(&format!(r#"{{"keys":[{json}]}}"#));
        let _ = key_set::parse(&text);
    }

    #[test]
    fn no_numbers_make_a_key_fall_over(n in prop::collection::vec(any::<u8>(), 0..600), e in prop::collection::vec(any::<u8>(), 0..10)) {
        if let Some(key) = Key::rsa(&n, &e) {
            prop_assert!(!key.verifies(super::key::Algorithm::Rs256, b"message", &n));
        }
        prop_assert!(n.len() != 32 || Key::ed25519(&n).is_none_or(|key| !key.verifies(super::key::Algorithm::EdDsa, b"m", &[0; 64])));
    }
}
