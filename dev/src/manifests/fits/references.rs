//! Documents that name each other: selectors, ports, volumes, Secrets, what an autoscaler scales.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::environment::is_mounted;
use super::pods::Pod;
use super::{find, list, selects, text};

/// The keys of labels that are in use: any other is misspelt.
const LABELS: [&str; 4] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "core.spinkube.dev/app-name",
];

/// What is wrong in a document, as seen from the others.
pub fn problems(document: &Value, documents: &[Value], pods: &[Pod]) -> Vec<String> {
    let spec = &document["spec"];
    let mut problems = labels(document, pods);
    let mut must = |holds: bool, what: &str| {
        if !holds {
            problems.push(what.to_owned());
        }
    };
    let is_of_a_pod = |selector: &Value| pods.iter().any(|pod| selects(selector, &pod.labels));
    match text(&document["kind"]) {
        "Service" => {
            must(is_of_a_pod(&spec["selector"]), "its selector finds no pod");
            for port in list(&spec["ports"]) {
                let found = pods
                    .iter()
                    .any(|pod| selects(&spec["selector"], &pod.labels) && pod.has_port(&port["targetPort"]));
                must(found, "its targetPort is no port of the pods that it finds");
            }
        }
        "Deployment" => {
            must(
                selects(&spec["selector"]["matchLabels"], &spec["template"]["metadata"]["labels"]),
                "does not select its own pods",
            );
        }
        "PodDisruptionBudget" => {
            must(is_of_a_pod(&spec["selector"]["matchLabels"]), "its selector finds no pod")
        }
        "HorizontalPodAutoscaler" => {
            let name = text(&spec["scaleTargetRef"]["name"]);
            let target = find(documents, "Deployment", name).or_else(|| find(documents, "SpinApp", name));
            must(
                target.is_some() && spec["scaleTargetRef"]["kind"] == "Deployment",
                "what it scales is not there",
            );
            must(
                target.is_none_or(|target| target["spec"]["replicas"].is_null()),
                "replicas and an autoscaler contend",
            );
            let known = list(&spec["metrics"])
                .iter()
                .all(|metric| ["cpu", "memory"].contains(&text(&metric["resource"]["name"])));
            must(known, "its metric is no resource");
        }
        "ServiceMonitor" => {
            let service = documents.iter().find(|one| {
                one["kind"] == "Service"
                    && selects(&spec["selector"]["matchLabels"], &one["metadata"]["labels"])
            });
            must(service.is_some(), "its selector finds no Service");
            for endpoint in list(&spec["endpoints"]) {
                let mut ports = service.into_iter().flat_map(|service| list(&service["spec"]["ports"]));
                must(ports.any(|port| port["name"] == endpoint["port"]), "its port is none of the Service's");
            }
        }
        "PodMonitor" => {
            let pod = pods.iter().find(|pod| selects(&spec["selector"]["matchLabels"], &pod.labels));
            must(pod.is_some(), "its selector finds no pod");
            for endpoint in list(&spec["podMetricsEndpoints"]) {
                must(pod.is_some_and(|pod| pod.has_port(&endpoint["port"])), "its port is none of the pod's");
            }
        }
        "SpinApp" => {
            must(
                find(documents, "SpinAppExecutor", text(&spec["executor"])).is_some(),
                "its executor is not there",
            );
            let config = find(documents, "Secret", text(&spec["runtimeConfig"]["loadFromSecret"]));
            must(
                config.is_some_and(|secret| !secret["data"]["runtime-config.toml"].is_null()),
                "its runtime configuration is not there",
            );
            must(
                has_known_resources(&spec["resources"]),
                "a resource that is neither cpu nor memory, or not both",
            );
        }
        _ => {}
    }
    problems
}

/// Labels of documents and pods have known keys, and values that are those of a pod.
fn labels(document: &Value, pods: &[Pod]) -> Vec<String> {
    // ConfigMaps and Secrets are found by name; the operator's documents are.
    let mut problems = Vec::new();
    let components: BTreeSet<&str> =
        pods.iter().map(|pod| text(&pod.labels["app.kubernetes.io/component"])).collect();
    let own = &document["metadata"]["labels"];
    for (key, value) in own.as_object().into_iter().flatten() {
        let fits = match key.as_str() {
            "app.kubernetes.io/name" => value == "order-service",
            "app.kubernetes.io/component" => components.contains(text(value)),
            _ => LABELS.contains(&key.as_str()),
        };
        if !fits {
            problems.push(format!("the label {key} = {value} is no other's"));
        }
    }
    // The metadata of a CronJob's Jobs.
    let nested = &document["spec"]["jobTemplate"]["metadata"]["labels"];
    if nested.is_object() && nested != own {
        problems.push("its Jobs have other labels than itself".to_owned());
    }
    problems
}

/// What is wrong in a pod, as seen from the others.
pub fn of_pod(pod: &Pod, documents: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, value) in pod.labels.as_object().into_iter().flatten() {
        let same = key != "app.kubernetes.io/name" || value == "order-service";
        if !LABELS.contains(&key.as_str()) || !same {
            problems.push(format!("the pod's label {key} = {value} is no other's"));
        }
    }
    let names: Vec<(&str, &Value)> =
        list(&pod.spec["volumes"]).iter().map(|volume| (text(&volume["name"]), volume)).collect();
    for (name, volume) in &names {
        let secret = &volume["secret"];
        if secret.is_object() {
            let name = text(&secret["secretName"]);
            let there = find(documents, "Secret", name);
            if there.is_none() {
                problems.push(format!("there is no Secret {name:?}"));
            }
            for item in list(&secret["items"]) {
                let key = text(&item["key"]);
                if there.is_some_and(|secret| secret["data"][key].is_null()) {
                    problems.push(format!("the Secret has no {key:?}"));
                }
            }
        }
        let mounts =
            list(&pod.spec["containers"]).iter().flat_map(|container| list(&container["volumeMounts"]));
        if pod.kind != "SpinApp" && !mounts.into_iter().any(|mount| mount["name"] == *name) {
            problems.push(format!("the volume {name:?} is mounted nowhere"));
        }
    }
    for container in list(&pod.spec["containers"]) {
        for mount in list(&container["volumeMounts"]) {
            if !names.iter().any(|(name, _)| mount["name"] == *name) {
                problems.push(format!("there is no volume {}", mount["name"]));
            }
        }
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = &container[probe]["httpGet"]["port"];
            if !port.is_null() && !pod.has_port(port) {
                problems.push(format!("{probe} asks a port that is not there: {port}"));
            }
        }
        if !has_known_resources(&container["resources"]) {
            problems.push("a resource that is neither cpu nor memory, or not both".to_owned());
        }
        if container["securityContext"]["readOnlyRootFilesystem"] != true {
            problems.push("its root file system is writable".to_owned());
        }
        if container["securityContext"]["capabilities"]["drop"] != json!(["ALL"]) {
            problems.push("keeps capabilities".to_owned());
        }
        // The entry point writes there; a command of its own may write nothing.
        let mounts_tmp = list(&container["volumeMounts"]).iter().any(|mount| mount["mountPath"] == "/tmp");
        if container["command"].is_null() && !mounts_tmp {
            problems.push("nothing is mounted at /tmp, and its root file system is read-only".to_owned());
        }
        problems.extend(of_command(container, pod, documents));
    }
    problems.extend(images_and_probes(pod));
    for spread in list(&pod.spec["topologySpreadConstraints"]) {
        if !selects(&spread["labelSelector"]["matchLabels"], &pod.labels) {
            problems.push("spreads pods that are not its own".to_owned());
        }
    }
    problems
}

/// Images that the kustomization names, and paths that the service has.
fn images_and_probes(pod: &Pod) -> Vec<String> {
    let mut problems = Vec::new();
    let containers = list(&pod.spec["containers"]).iter();
    let images = containers.clone().map(|container| &container["image"]).chain(
        // A SpinApp has one container, which is the operator's.
        (pod.kind == "SpinApp").then_some(&pod.spec["image"]),
    );
    for image in images.filter(|image| !text(image).contains('/')) {
        problems.push(format!("{image} is of no registry: the kustomization's `images` do not name it"));
    }
    let probes = ["startupProbe", "livenessProbe", "readinessProbe"];
    let of_containers = containers.flat_map(|container| probes.map(|probe| &container[probe]["httpGet"]));
    let checks = ["liveness", "readiness"].map(|check| &pod.spec["checks"][check]["httpGet"]);
    for asked in of_containers.chain(checks).filter(|asked| asked.is_object()) {
        if !["/health", "/health/live"].contains(&text(&asked["path"])) {
            problems.push(format!("a probe asks for {}, which the service does not have", asked["path"]));
        }
    }
    problems
}

/// Files and addresses in a container's own command.
fn of_command(container: &Value, pod: &Pod, documents: &[Value]) -> Vec<String> {
    let script: String = list(&container["command"]).iter().map(|word| format!("{} ", text(word))).collect();
    let mut problems = Vec::new();
    for word in script.split(|letter: char| letter.is_whitespace() || "()\"'".contains(letter)) {
        if word.starts_with("/run/secrets/") && !is_mounted(word, container, pod.spec) {
            problems.push(format!("nothing is mounted at {word}"));
        }
        let Some(address) = word.strip_prefix("http://") else { continue };
        let (host, rest) = address.split_once(':').unwrap_or((address, ""));
        let port = rest.split('/').next().and_then(|port| port.parse::<u64>().ok());
        let service = find(documents, "Service", host);
        let mut ports = service.into_iter().flat_map(|service| list(&service["spec"]["ports"]));
        if !ports.any(|one| one["port"].as_u64() == port && port.is_some()) {
            problems.push(format!("no Service has the address {word}"));
        }
    }
    problems
}

fn has_known_resources(resources: &Value) -> bool {
    ["requests", "limits"].iter().all(|group| {
        let names: Vec<&str> =
            resources[group].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        names == ["cpu", "memory"]
    })
}

/// Keys of Secrets that no pod takes.
pub fn unused(documents: &[Value], pods: &[Pod]) -> Vec<String> {
    let mut used = BTreeSet::from([("runtime-config.toml".to_owned())]);
    for pod in pods {
        let items = list(&pod.spec["volumes"]).iter().flat_map(|volume| list(&volume["secret"]["items"]));
        used.extend(items.map(|item| text(&item["key"]).to_owned()));
        let variables = list(&pod.spec["variables"]).iter();
        used.extend(variables.map(|variable| text(&variable["valueFrom"]["secretKeyRef"]["key"]).to_owned()));
    }
    let secrets = documents.iter().filter(|document| document["kind"] == "Secret");
    let keys = secrets.flat_map(|secret| secret["data"].as_object().into_iter().flatten());
    keys.filter(|(key, _)| !used.contains(*key))
        .map(|(key, _)| format!("no pod takes {key} of the Secret"))
        .collect()
}
