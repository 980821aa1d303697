//! What events are held to: their JSON Schemas in `docs/events`, and the CloudEvents SDK for Python.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;
use std::sync::LazyLock;

use jsonschema::Validator;
use order_dev::manifests::install_python_packages;
use order_dev::peers::TakenEvent;
use serde_json::{Value, json};

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

/// The types that have a schema.
pub fn types() -> BTreeSet<String> {
    SCHEMAS.keys().cloned().collect()
}

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

/// What the CloudEvents SDK for Python reads of events: in binary mode those that came by HTTP, in structured mode the others. Attributes and
/// data of each, in the same order.
///
/// # Panics
/// When it finds one wrong.
pub async fn read_in_python(events: &[TakenEvent]) -> Vec<Value> {
    let sources = order_dev::repo_root().join("tests/cloudevents");
    let folder =
        order_dev::component::target_dir().await.expect("a target directory").join("cloudevents-test");
    std::fs::create_dir_all(&folder).expect("a folder");
    let environment = folder.join("python");
    install_python_packages(&sources.join("requirements.txt"), &environment).expect("Python packages");
    let (binary, structured): (Vec<&TakenEvent>, Vec<&TakenEvent>) =
        events.iter().partition(|taken| taken.sink == "http");
    let message = |taken: &&TakenEvent| json!({ "headers": taken.headers, "body": taken.body });
    let messages = json!({
        "structured": structured.iter().map(|taken| taken.event.to_string()).collect::<Vec<_>>(),
        "binary": binary.iter().map(message).collect::<Vec<_>>(),
    });
    let file = folder.join(format!("{}.json", std::process::id()));
    std::fs::write(&file, messages.to_string()).expect("a file");
    let output =
        Command::new(environment.join("bin/python")).arg(sources.join("read.py")).arg(&file).output();
    std::fs::remove_file(file).expect("it is there");
    let output = output.expect("Python is started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (mut binary, mut structured) = (read["binary"].clone(), read["structured"].clone());
    let [mut binary, mut structured] = [&mut binary, &mut structured]
        .map(|list| std::mem::take(list.as_array_mut().expect("a list")).into_iter());
    events
        .iter()
        .filter_map(|taken| if taken.sink == "http" { binary.next() } else { structured.next() })
        .collect()
}
