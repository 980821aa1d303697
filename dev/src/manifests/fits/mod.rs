//! What no schema knows: whether the names in the documents lead somewhere.

mod environment;
mod network;
mod pods;
mod references;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::render::title;

/// What the documents are held against: the repository's own names.
pub struct Context {
    /// Every variable of spin.toml, in upper case.
    pub variables: BTreeSet<String>,
    /// The files of `deploy/runtime-config`, without their ending.
    pub runtime_configs: BTreeSet<String>,
}

/// What the entry point takes beside the variables of spin.toml.
pub const ENTRY_POINT: [&str; 5] =
    ["PORT", "MIGRATE", "MIGRATE_WAIT", "RUNTIME_CONFIG", "RUNTIME_CONFIG_FILE"];

/// Labels of the cluster's own parts, which no document here makes.
const OF_THE_CLUSTER: [&str; 5] = ["kube-system", "kube-dns", "monitoring", "prometheus", "ingress-nginx"];

impl Context {
    /// # Errors
    /// When spin.toml cannot be read.
    pub fn read(root: &Path) -> Result<Context> {
        let manifest: toml::Table = std::fs::read_to_string(root.join("spin.toml"))?.parse()?;
        let declared = manifest["variables"].as_table().context("spin.toml has no [variables]")?;
        let mut runtime_configs = BTreeSet::new();
        for entry in std::fs::read_dir(root.join("deploy/runtime-config"))? {
            let path = entry?.path();
            runtime_configs.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
        Ok(Context {
            variables: declared.keys().map(|name| name.to_ascii_uppercase()).collect(),
            runtime_configs,
        })
    }

    /// Whether the entry point of the image reads that variable of the environment.
    pub fn reads(&self, name: &str) -> bool {
        let plain = name.strip_prefix("SPIN_VARIABLE_").unwrap_or(name);
        let plain = plain.strip_suffix("_FILE").unwrap_or(plain);
        self.variables.contains(plain) || ENTRY_POINT.contains(&name)
    }

    /// Whether the label is that of a part of the cluster.
    pub fn is_of_the_cluster(&self, label: &str) -> bool {
        OF_THE_CLUSTER.contains(&label)
    }
}

/// Everything that does not fit, a sentence each.
pub fn problems(documents: &[Value], context: &Context) -> Vec<String> {
    let pods = pods::pods(documents);
    let mut problems = Vec::new();
    for document in documents {
        let found = references::problems(document, documents, &pods);
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", title(document))));
    }
    for pod in &pods {
        let found =
            [environment::problems(pod, documents, context), references::of_pod(pod, documents)].concat();
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", pod.title)));
    }
    problems.extend(references::unused(documents, &pods));
    problems.extend(network::problems(documents, &pods, context));
    problems
}

/// The elements of a list, none where there is no list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The text, empty where there is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The document of that kind and name.
fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
    documents.iter().find(|document| document["kind"] == kind && document["metadata"]["name"] == name)
}

/// Whether `labels` has everything that `selector` asks for, which must be something.
fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(wanted) = selector.as_object().filter(|wanted| !wanted.is_empty()) else { return false };
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::selects;
    use serde_json::{Value, json};

    #[test]
    fn a_selector_finds_what_has_all_of_its_labels_and_an_empty_one_finds_nothing() {
        let labels = json!({"a": "1", "b": "2"});
        assert!(selects(&json!({"a": "1"}), &labels));
        assert!(!selects(&json!({"a": "1", "c": "3"}), &labels));
        assert!(!selects(&json!({"a": "2"}), &labels));
        assert!(!selects(&json!({}), &labels) && !selects(&Value::Null, &labels));
    }
}
