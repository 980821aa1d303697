//! The environment of the containers: only names that something reads, and values from places that are there.

use serde_json::Value;

use super::pods::Pod;
use super::{Context, find, list, text};

/// What is wrong with the environment of a pod.
pub fn problems(pod: &Pod, documents: &[Value], context: &Context) -> Vec<String> {
    if pod.kind == "SpinApp" {
        return spin_app(pod, documents, context);
    }
    let mut problems = Vec::new();
    for container in list(&pod.spec["containers"]) {
        // What a command of its own reads stands in the command.
        if container["command"].is_array() {
            continue;
        }
        let mut given: Vec<String> = Vec::new();
        for source in list(&container["envFrom"]) {
            let name = text(&source["configMapRef"]["name"]);
            match find(documents, "ConfigMap", name) {
                Some(map) => {
                    given.extend(map["data"].as_object().into_iter().flatten().map(|(key, _)| key.clone()))
                }
                None => problems.push(format!("there is no ConfigMap {name:?}")),
            }
        }
        for variable in list(&container["env"]) {
            given.push(text(&variable["name"]).to_owned());
            if let Some(path) = variable["name"].as_str().filter(|name| name.ends_with("_FILE")) {
                let file = text(&variable["value"]);
                if !is_mounted(file, container, pod.spec) {
                    problems.push(format!("{path}: nothing is mounted at {file:?}"));
                }
            }
        }
        problems.extend(
            given.iter().filter(|name| !context.reads(name)).map(|name| format!("nothing reads {name}")),
        );
        let is_given = |name: &String| {
            given.iter().any(|known| known == name || known.strip_suffix("_FILE") == Some(name))
        };
        let only_migrates =
            list(&container["env"]).iter().any(|one| one["name"] == "MIGRATE" && one["value"] == "only");
        let needed = context.variables.iter().filter(|name| !only_migrates || name.starts_with("DATABASE_"));
        problems.extend(needed.filter(|name| !is_given(name)).map(|name| format!("{name} is not given")));
        let migrate = list(&container["env"]).iter().find(|one| one["name"] == "MIGRATE");
        if !migrate.is_some_and(|one| ["off", "only"].contains(&text(&one["value"]))) {
            problems.push(
                "MIGRATE is neither off nor only: every copy would migrate, or none would start".to_owned(),
            );
        }
    }
    for map in documents.iter().filter(|document| document["kind"] == "ConfigMap") {
        if let Some(name) =
            map["data"]["RUNTIME_CONFIG"].as_str().filter(|name| !context.runtime_configs.contains(*name))
        {
            problems.push(format!("RUNTIME_CONFIG: deploy/runtime-config has no {name}"));
        }
    }
    problems
}

fn spin_app(pod: &Pod, documents: &[Value], context: &Context) -> Vec<String> {
    let mut problems = Vec::new();
    let given: Vec<String> =
        list(&pod.spec["variables"]).iter().map(|one| text(&one["name"]).to_owned()).collect();
    for variable in list(&pod.spec["variables"]) {
        let sources = [("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")];
        let found = sources.iter().any(|(kind, member)| {
            let source = &variable["valueFrom"][member];
            let key = text(&source["key"]);
            // Each variable from the key of its own name: one of another would be a mistake of copying.
            let same = key.to_ascii_lowercase() == text(&variable["name"]);
            same && find(documents, kind, text(&source["name"]))
                .is_some_and(|one| !one["data"][key].is_null())
        });
        if !found && !variable["value"].is_string() {
            problems
                .push(format!("{} has no value: the key of its name is not there", text(&variable["name"])));
        }
    }
    for name in &given {
        if !context.variables.contains(&name.to_ascii_uppercase()) {
            problems.push(format!("spin.toml has no variable {name}"));
        }
    }
    let missing = context.variables.iter().filter(|name| !given.contains(&name.to_ascii_lowercase()));
    problems.extend(missing.map(|name| format!("{name} is not given")));
    problems
}

/// Whether `file` is a key of a Secret that is mounted there.
pub fn is_mounted(file: &str, container: &Value, pod: &Value) -> bool {
    let Some((folder, name)) = file.rsplit_once('/') else { return false };
    let mount = list(&container["volumeMounts"]).iter().find(|mount| mount["mountPath"] == folder);
    let volume =
        mount.and_then(|mount| list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]));
    volume.is_some_and(|volume| list(&volume["secret"]["items"]).iter().any(|item| item["path"] == name))
}
