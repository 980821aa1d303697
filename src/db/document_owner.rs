//! The owner in an order's document, which `render_document` puts together and which the service passes through as text.

use super::DbError;
use anyhow::Error;
use serde::Deserialize;

/// Stands before the owner's id. It cannot be within a string of the document before it: there a quotation mark follows a backslash.
const MEMBER: &str = ",\"user_id\":";

/// The user whose order it is; an inherited order may have none.
///
/// # Errors
/// [`DbError::Broken`] when it is no such document.
pub fn owner(document: &str) -> Result<Option<i32>, DbError> {
    match find(document) {
        Some(owner) => Ok(owner),
        // The function of another version, in the middle of a migration.
        None => parse(document),
    }
}

/// Finds the member in the text: parsing the whole document costs a fortieth of a read's CPU time. `None`: it stands there otherwise.
fn find(document: &str) -> Option<Option<i32>> {
    let (_, rest) = document.split_once(MEMBER)?;
    match rest.split_once(',')?.0 {
        "null" => Some(None),
        id => id.parse().ok().map(Some),
    }
}

fn parse(document: &str) -> Result<Option<i32>, DbError> {
    #[derive(Deserialize)]
    struct Shown {
        order: Owned,
    }
    #[derive(Deserialize)]
    struct Owned {
        user_id: Option<i32>,
    }
    let shown: Shown = serde_json::from_str(document)
        .map_err(|error| DbError::Broken(Error::new(error).context("the JSON of render_document")))?;
    Ok(shown.order.user_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn document(key: &str, user_id: Option<i32>) -> String {
        let (key, user_id) = (json!(key), json!(user_id));
        format!(
            r#"{{"order":{{"id":"o","idempotency_key":{key},"user_id":{user_id},"event_id":1}},"items":[]}}"#
        )
    }

    #[test]
    fn what_is_no_document_has_no_owner() {
        for text in [
            "",
            "{}",
            r#"{"order":{"id":"o","user_id":"#,
            r#"{"order":{"id":"o","user_id":"7","event_id":1}}"#,
        ] {
            assert!(matches!(owner(text), Err(DbError::Broken(_))), "{text}");
        }
    }

    #[test]
    fn the_owner_is_found_whatever_stands_between_the_tokens() {
        let compact = document(",\"user_id\":5,", Some(7));
        let loose = compact.replace("\"user_id\":7", "\"user_id\" : 7");
        assert_eq!((find(&compact), find(&loose)), (Some(Some(7)), None));
        assert_eq!(owner(&loose).ok(), Some(Some(7)));
    }

    #[test]
    fn a_key_cannot_pretend_to_be_the_owner() {
        for key in [
            ",\"user_id\":5,",
            "\\\",\"user_id\":5,",
            "\\",
            "\",\"user_id\":5,\"",
            "\\\\\",\"user_id\":null,",
        ] {
            assert_eq!(owner(&document(key, Some(7))).ok(), Some(Some(7)), "{key}");
        }
    }

    proptest! {
        #[test]
        fn the_owner_is_the_one_that_a_parser_finds(
            key in r#"([\\",:\x00-\x7f]|user_id|,"user_id":5,|\PC){0,12}"#, user_id: Option<i32>,
        ) {
            let document = document(&key, user_id);
            let parsed: Value = serde_json::from_str(&document).unwrap();
            let expected = parsed["order"]["user_id"].as_i64();
            prop_assert_eq!(find(&document).map(|id| id.map(i64::from)), Some(expected));
        }
    }
}
