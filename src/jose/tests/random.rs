//! Random tokens, about which another implementation must agree; and random text.

use super::*;
use jsonwebtoken::{DecodingKey, Validation, decode};
use proptest::prelude::*;

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
            prop_assert!(!key.verifies(crate::jose::key::Algorithm::Rs256, b"message", &n));
        }
        prop_assert!(n.len() != 32 || Key::ed25519(&n).is_none_or(|key| !key.verifies(crate::jose::key::Algorithm::EdDsa, b"m", &[0; 64])));
    }
}
