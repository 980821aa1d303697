//! The pods that the documents make.

use serde_json::{Value, json};

use super::{list, text};
use crate::manifests::render::title;

/// A pod of a Deployment, a Job, a CronJob or a SpinApp.
pub struct Pod<'a> {
    /// Whose it is.
    pub title: String,
    /// The kind of its owner.
    pub kind: &'a str,
    pub labels: Value,
    /// `spec` of the pod, or of the SpinApp.
    pub spec: &'a Value,
    /// Name and number of each port.
    pub ports: Vec<(String, u64)>,
}

/// All of them.
pub fn pods(documents: &[Value]) -> Vec<Pod<'_>> {
    documents.iter().filter_map(pod).collect()
}

fn pod(document: &Value) -> Option<Pod<'_>> {
    let spec = &document["spec"];
    let template = match text(&document["kind"]) {
        "Deployment" | "Job" => &spec["template"],
        "CronJob" => &spec["jobTemplate"]["spec"]["template"],
        "SpinApp" => {
            // What the operator adds: a label, and a port of that name and number.
            let mut labels = spec["podLabels"].clone();
            if !labels.is_object() {
                labels = json!({});
            }
            labels["core.spinkube.dev/app-name"] = document["metadata"]["name"].clone();
            let ports = vec![("http-app".to_owned(), 80)];
            return Some(Pod { title: title(document), kind: "SpinApp", labels, spec, ports });
        }
        _ => return None,
    };
    let pod = &template["spec"];
    let ports = list(&pod["containers"]).iter().flat_map(|container| list(&container["ports"]));
    let ports =
        ports.map(|port| (text(&port["name"]).to_owned(), port["containerPort"].as_u64().unwrap_or(0)));
    Some(Pod {
        title: title(document),
        kind: text(&document["kind"]),
        labels: template["metadata"]["labels"].clone(),
        spec: pod,
        ports: ports.collect(),
    })
}

impl Pod<'_> {
    /// Whether it has the port, by name or number.
    pub fn has_port(&self, port: &Value) -> bool {
        match port {
            Value::String(name) => self.ports.iter().any(|(known, _)| known == name),
            Value::Number(number) => self.ports.iter().any(|(_, known)| Some(*known) == number.as_u64()),
            _ => false,
        }
    }
}
