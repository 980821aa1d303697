//! Mistakes, as a person makes them: a letter too many in a key, or in a name that leads somewhere.

use serde_json::Value;

use super::fits::Context;

/// A copy of a document with one mistake in it.
pub struct Mistake {
    /// Which document it is a copy of.
    pub index: usize,
    pub what: String,
    pub document: Value,
}

/// Every key of every document misspelt, one at a time, and every name that leads to another place.
pub fn mistakes(documents: &[Value], context: &Context) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let mut add = |what: String, document: Value| mistakes.push(Mistake { index, what, document });
        for (path, copy) in keys(document) {
            add(format!("the misspelt key {path}"), copy);
        }
        for pointer in pointers(document) {
            let Some(name) = document.pointer(&pointer).and_then(Value::as_str) else { continue };
            if leads_somewhere(document, &pointer, name, context) {
                let mut copy = document.clone();
                *copy.pointer_mut(&pointer).expect("it was there") = Value::from(misspelt(name));
                add(format!("{} at {pointer}", misspelt(name)), copy);
            }
        }
    }
    mistakes
}

/// A copy for each key of each object, in which it is misspelt, and where that key is.
pub fn keys(document: &Value) -> Vec<(String, Value)> {
    let mut copies = Vec::new();
    for pointer in pointers(document) {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let key = key.replace("~1", "/").replace("~0", "~");
        let mut copy = document.clone();
        let Some(object) = copy.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
        let value = object.remove(&key).expect("it was there");
        object.insert(misspelt(&key), value);
        copies.push((pointer, copy));
    }
    copies
}

/// With its middle letter twice.
fn misspelt(word: &str) -> String {
    let middle = word.char_indices().nth(word.chars().count() / 2);
    let Some((at, letter)) = middle else { return "x".to_owned() };
    format!("{}{letter}{}", &word[..at], &word[at..])
}

/// JSON pointers to every member and element, however deep.
fn pointers(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(key, child)| (key.replace('~', "~0").replace('/', "~1"), child)).collect()
        }
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect()
        }
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (name, child) in children {
        all.push(format!("/{name}"));
        all.extend(pointers(child).into_iter().map(|below| format!("/{name}{below}")));
    }
    all
}

/// Whether the text is the name of something that is elsewhere, in this or in another document.
fn leads_somewhere(document: &Value, pointer: &str, name: &str, context: &Context) -> bool {
    let segments: Vec<&str> = pointer.split('/').skip(1).collect();
    let last = segments[segments.len() - 1];
    let parent = segments.len().checked_sub(2).map_or("", |at| segments[at]);
    let list = segments.len().checked_sub(3).map_or("", |at| segments[at]);
    if context.is_of_the_cluster(name) || last.ends_with("part-of") {
        return false;
    }
    if pointer == "/metadata/name" {
        let kind = document["kind"].as_str().unwrap_or_default();
        let is_named =
            ["ConfigMap", "Secret", "Service", "Deployment", "SpinApp", "SpinAppExecutor"].contains(&kind);
        // Nothing else leads to the Service where there is no CronJob, and to the Deployment but the autoscaler.
        return is_named;
    }
    match last {
        // What a container is called leads nowhere.
        "name" => list != "containers",
        "mountPath" | "path" => document["kind"] != "ServiceMonitor" && document["kind"] != "PodMonitor",
        "value" => name == "off" || name == "only",
        _ if parent == "drop" => true,
        "key" | "secretName" | "loadFromSecret" | "executor" | "port" | "targetPort" => true,
        _ => matches!(parent, "matchLabels" | "selector" | "labels" | "podLabels"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_is_misspelt_once_at_every_depth() {
        let document = json!({"kind": "A", "spec": {"list": [{"a/b": 1}]}});
        let paths: Vec<String> = keys(&document).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/kind", "/spec", "/spec/list", "/spec/list/0/a~1b"]);
        let copies: Vec<Value> = keys(&document).into_iter().map(|(_, copy)| copy).collect();
        assert_eq!(copies[1], json!({"kind": "A", "speec": {"list": [{"a/b": 1}]}}));
        assert_eq!(copies[3], json!({"kind": "A", "spec": {"list": [{"a//b": 1}]}}));
    }
}
