//! An issuer of tokens: the document with its public keys (JWKS, RFC 7517).

use super::send::send;
use super::{Answer, Call, CallFailure, Extra, Outcome};
use crate::config::BaseUrl;
use crate::domain::retry;
use crate::jose::key_set;

/// Asks for the document. It counts when it has at least one key that can be used.
pub async fn fetch(url: &BaseUrl) -> Outcome<String> {
    let call = Call {
        name: "issuer.keys",
        base: url,
        path: String::new(),
        body: None,
        key: None,
        deadline_ms: retry::KEY_SET_DEADLINE_MS,
        extra: Extra::default(),
    };
    send(call).await.and_then(shown).into()
}

pub(super) fn shown(answer: Answer) -> Result<String, CallFailure> {
    if !answer.status.is_success() {
        return Err(answer.not_the_peers());
    }
    if key_set::parse(&answer.body).is_none() {
        return Err(answer.does_not_count("without a key that can be used"));
    }
    Ok(answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::tests::question;

    #[test]
    fn a_document_counts_when_it_has_a_key_that_can_be_used() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let document = format!(r#"{{"keys":[{{"kty":"new"}},{key}]}}"#);
        assert_eq!(shown(question(200, &document)).unwrap(), document);
        for (status, body) in [
            (404, &*document),
            (500, &*document),
            (200, "<html></html>"),
            (200, ""),
            (200, "{}"),
            (200, r#"{"keys":[]}"#),
            (200, r#"{"keys":[{"kty":"new"}]}"#),
            (200, &*format!(r#"{{"keys":[],"keys":[{key}]}}"#)),
            (200, &*format!(r#"{{"keys":[{}{key}]}}"#, format!("{key},").repeat(32))),
            (200, &*format!("{document}{}", " ".repeat(64 * 1024))),
        ] {
            assert!(shown(question(status, body)).is_err(), "{status} {body:.100}");
        }
    }
}
