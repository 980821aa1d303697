//! How callers are authenticated: the keys of their tokens, and what a token must say.

use super::base_url::BaseUrl;
use super::variables::{Variables, wrong};
use crate::jose::key::{Algorithm, Key, MIN_SECRET};
use crate::jose::key_set::NamedKey;
use crate::jose::token::{MAX_TRIES, Rules};
use anyhow::Result;
use base64::prelude::*;

/// The variables about tokens.
#[derive(Debug)]
pub struct Authentication {
    /// The secret and the public keys that are configured.
    pub keys: Vec<NamedKey>,
    /// Where the issuer shows its public keys (JWKS).
    pub key_set: Option<BaseUrl>,
    /// Base URL of User, which knows users by name.
    pub user: Option<BaseUrl>,
    issuer: Option<String>,
    audience: Option<String>,
    user_claim: String,
    roles_claim: String,
}

impl Authentication {
    /// What a token must say.
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
            user_claim: &self.user_claim,
            roles_claim: &self.roles_claim,
        }
    }
}

/// `None` when no key is configured, and no place where keys are: authentication is off.
///
/// # Errors
/// One sentence that names the invalid variable.
pub fn parse(variables: &Variables) -> Result<Option<Authentication>> {
    let mut keys = Vec::new();
    for line in variables.text("auth_jwt_secret").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let expected = format!(
            "empty, or a secret of at least {MIN_SECRET} bytes, as it is or in base64 after base64:; several on a line each"
        );
        let key = secret(line).and_then(|secret| Key::secret(&secret));
        keys.push(key.ok_or_else(|| wrong("auth_jwt_secret", &expected))?);
    }
    if let Some(text) = variables.optional_text("auth_public_key") {
        let expected = format!(
            "empty, or public keys in PEM (BEGIN PUBLIC KEY): RSA of 2048 to 4096 bits, P-256 or Ed25519; at most {MAX_TRIES} of a kind"
        );
        let public = Key::from_pem(text).filter(|keys| can_all_be_tried(keys));
        keys.extend(public.ok_or_else(|| wrong("auth_public_key", &expected))?);
    }
    let claim = |name: &str| {
        let claim = variables.optional_text(name).map(str::to_owned);
        claim.ok_or_else(|| wrong(name, "the name of a claim"))
    };
    let authentication = Authentication {
        keys: keys.into_iter().map(|key| NamedKey { id: None, key }).collect(),
        key_set: variables.optional_document_url("auth_jwks_url")?,
        user: variables.optional_base_url("user_url")?,
        issuer: variables.optional_text("auth_issuer").map(str::to_owned),
        audience: variables.optional_text("auth_audience").map(str::to_owned),
        user_claim: claim("auth_user_claim")?,
        roles_claim: claim("auth_roles_claim")?,
    };
    let is_on = !authentication.keys.is_empty() || authentication.key_set.is_some();
    Ok(is_on.then_some(authentication))
}

/// Whether a token is tried with each of these keys.
fn can_all_be_tried(keys: &[Key]) -> bool {
    let of_a_kind = |algorithm| keys.iter().filter(|key| key.has(algorithm)).count();
    [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa].map(of_a_kind).iter().all(|n| *n <= MAX_TRIES)
}

/// The bytes of a secret.
fn secret(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("base64:") {
        Some(base64) => BASE64_STANDARD.decode(base64).ok(),
        None => Some(text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

    /// How many keys there are; or the error.
    fn keys(values: &[(&str, &str)]) -> Result<Option<usize>, String> {
        let claims = [("auth_user_claim", "sub"), ("auth_roles_claim", "roles")];
        let variables = Variables::for_tests(&[&claims, values].concat());
        let parsed = parse(&variables).map_err(|error| error.to_string())?;
        Ok(parsed.map(|authentication| authentication.keys.len()))
    }

    #[test]
    fn authentication_is_on_when_there_is_a_key_or_a_place_for_keys() {
        let secret = "s".repeat(32);
        let one_line = ED25519.replace('\n', "\\n");
        let joined = ED25519.replace('\n', " ");
        for (values, expected) in [
            (&[][..], None),
            (&[("auth_issuer", "https://issuer"), ("user_url", "http://user")], None),
            (&[("auth_jwt_secret", " \n")], None),
            (&[("auth_jwt_secret", &*secret)], Some(1)),
            (&[("auth_jwt_secret", "base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")], Some(1)),
            (&[("auth_jwt_secret", &*format!("{secret}\r\n\n another {secret}\n"))], Some(2)),
            (&[("auth_public_key", ED25519)], Some(1)),
            (&[("auth_public_key", &*one_line)], Some(1)),
            (&[("auth_public_key", &*joined)], Some(1)),
            (
                &[("auth_public_key", &*format!("{ED25519}\n{ED25519}")), ("auth_jwt_secret", &*secret)],
                Some(3),
            ),
            (&[("auth_public_key", &*ED25519.repeat(4))], Some(4)),
            (&[("auth_jwks_url", "https://issuer/keys?p=policy")], Some(0)),
        ] {
            assert_eq!(keys(values), Ok(expected), "{values:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_the_variable_and_not_the_value() {
        let private = ED25519.replace("PUBLIC", "PRIVATE");
        let cut = ED25519.replace("HURo=", "");
        for (name, value) in [
            ("auth_jwt_secret", "a-secret-of-31-bytes-is-too-short".get(..31).unwrap()),
            ("auth_jwt_secret", "base64:c2hvcnQ="),
            ("auth_jwt_secret", "the first of them is long enough\nand the second is not"),
            ("auth_jwt_secret", "base64:no base64, but long enough to be a secret"),
            ("auth_public_key", "an-ed25519-key"),
            ("auth_public_key", &private),
            ("auth_public_key", &cut),
            ("auth_public_key", &format!("{ED25519}more")),
            ("auth_public_key", &ED25519.repeat(5)),
            ("auth_jwks_url", "issuer/keys"),
            ("auth_jwks_url", "https://issuer/keys#1"),
            ("user_url", "ftp://user"),
        ] {
            let error = keys(&[(name, value)]).unwrap_err();
            assert!(error.contains(name) && !error.contains(value), "{error}");
        }
        let variables = Variables::for_tests(&[("auth_roles_claim", "roles")]);
        assert!(parse(&variables).unwrap_err().to_string().contains("auth_user_claim"));
    }
}
