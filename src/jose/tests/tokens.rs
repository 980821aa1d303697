//! What is refused, and what is read, of tokens.

use super::*;

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
fn a_secret_has_all_three_algorithms_and_at_least_32_bytes() {
    let claims = json!({ "exp": now() + 60 }).to_string();
    for (length, expected) in [(0, 0), (31, 0), (32, 3), (48, 3), (64, 3), (200, 3)] {
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
        .map(padded)
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
