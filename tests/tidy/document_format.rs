//! The `ETag` of an order changes with the format of its document, not only with the order.
//!
//! `read_order` puts the format's number into the tag. Whoever changes how the document is rendered gives it a new number, so that no
//! client goes on with the old rendering of an order that has not changed.

use sha2::{Digest, Sha256};

use crate::files;

/// Every format: the hash of the functions that render it, in the order of their numbers, which begin with 1.
const FORMATS: &[&str] =
    &["4964e458cf6d7ed0", "8cdb066b4e364590", "830361dbfd1829e5", "e338da843524efc4", "297e140d7cd27cda"];

const NUMBER_IN: &str = "migrations/functions/read_order.sql";
const RENDERED_BY: [&str; 2] =
    ["migrations/functions/format_time.sql", "migrations/functions/render_document.sql"];

#[test]
fn the_documents_format_has_a_new_number_when_its_rendering_changes() {
    let text = |path: &str| files::read(|other| other == path).pop().expect("the file is there").text;
    let rendering = hash(&RENDERED_BY.map(text));
    let number = number(&text(NUMBER_IN));
    assert_eq!(
        (number, Some(rendering.as_str())),
        (FORMATS.len(), FORMATS.last().copied()),
        "the order document is rendered otherwise than format {} was: append the hash to FORMATS, and raise the number in {NUMBER_IN}",
        FORMATS.len()
    );
}

/// Of the statements, without comments and indentation, which change nothing.
fn hash(texts: &[String]) -> String {
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim);
    let code: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("--")).collect();
    let digest = Sha256::digest(code.join("\n"));
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number in `format CONSTANT INT := 1;`.
fn number(sql: &str) -> usize {
    let (_, after) = sql.split_once("format CONSTANT INT := ").expect("the constant is there");
    after.split(';').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_rendering_has_another_hash_and_a_changed_comment_has_not() {
        let of = |text: &str| hash(&[text.to_owned()]);
        assert_eq!(of("-- a\nSELECT 1"), of("-- b\n\n    SELECT 1\n"));
        assert_ne!(of("SELECT 1"), of("SELECT 2"));
        assert_eq!(of("SELECT 1").len(), 16);
    }

    #[test]
    fn the_number_is_read_from_the_function() {
        assert_eq!(number("DECLARE\n    format CONSTANT INT := 12;\n    o orders;"), 12);
    }
}
