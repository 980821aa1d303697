//! Clients of the last release can go on: the OpenAPI document has only what is compatible with that of the release.

use order_dev::api_check::{DOCUMENT, RELEASED, compatibility::breaking_changes};
use serde_json::Value;

use crate::files;

#[test]
fn the_document_breaks_no_client_of_the_last_release() {
    let [released, document] = [RELEASED, DOCUMENT].map(|path| -> Value {
        let file = files::read(|other| other == path).pop().expect("one file");
        serde_json::from_str(&file.text).expect("JSON")
    });
    let breaking = breaking_changes(&released, &document);
    assert!(breaking.is_empty(), "clients of {RELEASED} would break:\n{}", breaking.join("\n"));
}
