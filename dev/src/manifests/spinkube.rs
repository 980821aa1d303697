//! SpinKube's custom resources: their schemas, where they are at hand, and the rules of the operator's admission webhook.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::files::check_jsonschema;
use super::tools::Tools;
use crate::repo_root;

/// Says that a document was not held against a schema.
pub const NO_SCHEMA: &str =
    "their schemas are neither in SPINKUBE_SCHEMAS nor in ../shared/crds; the operator's own rules hold";

/// Whether the document is of SpinKube, also when its `apiVersion` is misspelt.
pub fn is_ours(document: &Value) -> bool {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let kind = document["kind"].as_str().unwrap_or_default();
    version.starts_with("core.spinkube.dev/") || kind.starts_with("SpinApp")
}

/// What is wrong with each document.
///
/// # Errors
/// When the validator cannot be run.
pub fn validate(tools: &Tools, documents: &[&Value]) -> Result<Vec<Option<String>>> {
    let mut problems: Vec<Option<String>> = documents.iter().map(|document| rules(document)).collect();
    for (kind, file) in [("SpinApp", "spinapps"), ("SpinAppExecutor", "spinappexecutors")] {
        let mine: Vec<usize> = (0..documents.len())
            .filter(|index| problems[*index].is_none() && documents[*index]["kind"] == kind)
            .collect();
        let Some(schema) = schema(file) else {
            for index in mine {
                problems[index] = Some(NO_SCHEMA.to_owned());
            }
            continue;
        };
        let chosen: Vec<&Value> = mine.iter().map(|index| documents[*index]).collect();
        let found = check_jsonschema(tools, &["--schemafile", &schema.to_string_lossy()], &chosen)?;
        for (index, problem) in mine.into_iter().zip(found) {
            problems[index] = problem;
        }
    }
    Ok(problems)
}

fn schema(plural: &str) -> Option<PathBuf> {
    let named = std::env::var_os("SPINKUBE_SCHEMAS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| repo_root().join("../shared/crds"));
    let file = folder.join(format!("core.spinkube.dev_{plural}_v1alpha1.schema.json"));
    file.is_file().then_some(file)
}

/// What the operator (0.6) refuses beyond its schemas, and what the API server asks of every document.
fn rules(document: &Value) -> Option<String> {
    let spec = &document["spec"];
    let config = &spec["deploymentConfig"];
    let autoscaling = spec["enableAutoscaling"] == true;
    let replicas = spec["replicas"].as_i64().unwrap_or(0);
    let metadata = document["metadata"].as_object();
    let is_known = |key: &String| ["name", "namespace", "labels", "annotations"].contains(&key.as_str());
    let rules = [
        (
            !metadata.is_some_and(|members| members.keys().all(is_known)),
            "metadata has a member that is not known",
        ),
        (
            document["apiVersion"] != "core.spinkube.dev/v1alpha1",
            "apiVersion is not core.spinkube.dev/v1alpha1",
        ),
        (document["kind"] != "SpinApp" && document["kind"] != "SpinAppExecutor", "there is no such kind"),
        (!document["metadata"]["name"].is_string(), "has no metadata.name"),
        (
            document["kind"] == "SpinApp" && autoscaling == (replicas >= 1),
            "either enableAutoscaling, or replicas of 1 and more",
        ),
        (
            document["kind"] == "SpinAppExecutor"
                && config["spinImage"].is_null() == config["runtimeClassName"].is_null(),
            "either spinImage or runtimeClassName",
        ),
        (!spec["invocationLimits"].is_null(), "invocationLimits are not compared with the memory limit here"),
        (
            document["kind"] == "SpinApp" && spec["runtimeConfig"]["loadFromSecret"].is_null(),
            "without runtimeConfig.loadFromSecret Spin finds no /runtime-config.toml and ends",
        ),
    ];
    rules.into_iter().find_map(|(broken, rule)| broken.then(|| rule.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::rules;
    use serde_json::json;

    #[test]
    fn replicas_and_autoscaling_exclude_each_other_and_one_of_them_must_be_there() {
        let app = |spec: serde_json::Value| {
            rules(
                &json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinApp", "metadata": {"name": "a"}, "spec": spec}),
            )
        };
        let config = json!({"loadFromSecret": "a"});
        assert_eq!(app(json!({"replicas": 2, "runtimeConfig": config})), None);
        assert_eq!(app(json!({"enableAutoscaling": true, "runtimeConfig": config})), None);
        assert!(app(json!({"enableAutoscaling": true, "replicas": 2, "runtimeConfig": config})).is_some());
        assert!(app(json!({"runtimeConfig": config})).is_some());
        assert!(app(json!({"replicas": 2})).is_some());
    }

    #[test]
    fn an_executor_has_an_image_or_a_runtime_class() {
        let executor = |config: serde_json::Value| {
            rules(
                &json!({"apiVersion": "core.spinkube.dev/v1alpha1", "kind": "SpinAppExecutor", "metadata": {"name": "a"},
                "spec": {"createDeployment": true, "deploymentConfig": config}}),
            )
        };
        assert_eq!(executor(json!({"spinImage": "a"})), None);
        assert_eq!(executor(json!({"runtimeClassName": "a"})), None);
        assert!(executor(json!({"spinImage": "a", "runtimeClassName": "a"})).is_some());
        assert!(executor(json!({})).is_some());
    }
}
