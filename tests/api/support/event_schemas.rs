//! The JSON Schemas of events in `docs/events`, to which every event is held.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

/// Each with the members that it describes. By type, as `order.placed.v1`.
static SCHEMAS: LazyLock<HashMap<String, (Validator, BTreeSet<String>)>> = LazyLock::new(|| {
    let folder = order_dev::repo_root().join("docs/events");
    let files = std::fs::read_dir(folder).expect("docs/events").map(|entry| entry.expect("a file").path());
    let schemas = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    schemas
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a type").to_owned();
            let schema: Value =
                serde_json::from_str(&std::fs::read_to_string(&path).expect("text")).expect("JSON");
            assert_eq!(schema["title"], name);
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            let members = schema["properties"].as_object().expect("members").keys().cloned().collect();
            (name, (options.build(&schema).expect("a schema"), members))
        })
        .collect()
});

/// The data of an event is as the schema of its type says, and has no member that the schema does not describe.
///
/// # Panics
/// When it is otherwise.
#[track_caller]
pub fn assert_valid(event: &Value) {
    let kind = event["type"].as_str().expect("a type");
    let (schema, known) = SCHEMAS.get(kind).unwrap_or_else(|| panic!("docs/events has no schema of {kind}"));
    let told = event["data"].as_object().expect("an object");
    let unknown: Vec<&String> = told.keys().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{kind}: the schema does not describe {unknown:?}");
    let errors: Vec<String> = schema.iter_errors(&event["data"]).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{kind}: {errors:?}: {event}");
}
