//! Network policies: they are about pods that are there, and let through what the variables name.

use serde_json::Value;

use super::pods::Pod;
use super::{Context, list, selects, text};

/// What does not fit.
pub fn problems(documents: &[Value], pods: &[Pod], context: &Context) -> Vec<String> {
    let policies: Vec<&Value> =
        documents.iter().filter(|document| document["kind"] == "NetworkPolicy").collect();
    if policies.is_empty() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let neighbours = neighbours(documents);
    for policy in &policies {
        let name = text(&policy["metadata"]["name"]);
        let spec = &policy["spec"];
        let mut must = |holds: bool, what: String| {
            if !holds {
                problems.push(format!("NetworkPolicy {name}: {what}"));
            }
        };
        let mine = pods.iter().find(|pod| selects(&spec["podSelector"]["matchLabels"], &pod.labels));
        must(mine.is_some(), "is about no pod".to_owned());
        must(list(&spec["policyTypes"]).len() == 2, "leaves a direction open".to_owned());
        for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in list(&spec[rules]) {
                must(
                    !list(&rule[peers]).is_empty() && !list(&rule["ports"]).is_empty(),
                    format!("{rules} to all, or on all ports"),
                );
                for peer in list(&rule[peers]) {
                    let pod = &peer["podSelector"]["matchLabels"];
                    let known = match (&peer["namespaceSelector"]["matchLabels"], pod) {
                        (namespace, pod) if !namespace.is_null() => {
                            is_of_the_cluster(namespace, &["kubernetes.io/metadata.name"], context)
                                && (pod.is_null()
                                    || is_of_the_cluster(
                                        pod,
                                        &["k8s-app", "app.kubernetes.io/name"],
                                        context,
                                    ))
                        }
                        (_, pod) => {
                            pods.iter().any(|one| selects(pod, &one.labels))
                                || neighbours.iter().any(|one| is(pod, &one.0))
                        }
                    };
                    must(known, format!("{rules}: nobody has the labels {pod}"));
                    for port in list(&rule["ports"]) {
                        // A name is of the pod that is called.
                        let called = if rules == "ingress" {
                            mine
                        } else {
                            pods.iter().find(|one| selects(pod, &one.labels))
                        };
                        let named =
                            port["port"].is_number() || called.is_some_and(|pod| pod.has_port(&port["port"]));
                        must(named, format!("{rules}: there is no port {}", port["port"]));
                        must(
                            ["TCP", "UDP"].contains(&text(&port["protocol"])),
                            format!("{rules}: a port without protocol"),
                        );
                    }
                }
            }
        }
        // The service calls all of them, the migration the database, the sweep none.
        let wanted = match mine.map(|pod| pod.kind) {
            Some("Deployment") => &neighbours[..],
            Some("Job") => &neighbours[..1],
            _ => &[],
        };
        for (host, port) in wanted {
            let open = list(&spec["egress"]).iter().any(|rule| {
                let to = list(&rule["to"]).iter().any(|peer| is(&peer["podSelector"]["matchLabels"], host));
                to && list(&rule["ports"])
                    .iter()
                    .any(|one| one["port"].as_u64() == Some(*port) && one["protocol"] == "TCP")
            });
            must(open, format!("does not let through to {host}:{port}"));
        }
        let names = list(&spec["egress"]).iter().any(|rule| {
            ["TCP", "UDP"].iter().all(|wanted| {
                list(&rule["ports"]).iter().any(|port| port["port"] == 53 && port["protocol"] == *wanted)
            })
        });
        must(names, "lets no names be resolved".to_owned());
    }
    for pod in pods.iter().filter(|pod| pod.kind != "SpinApp") {
        if !policies.iter().any(|policy| selects(&policy["spec"]["podSelector"]["matchLabels"], &pod.labels))
        {
            problems.push(format!("{}: no NetworkPolicy is about its pods", pod.title));
        }
    }
    problems
}

/// Host and port of the database, and then of the peers, as the ConfigMap has them.
fn neighbours(documents: &[Value]) -> Vec<(String, u64)> {
    let Some(data) = documents.iter().find(|one| one["kind"] == "ConfigMap").map(|map| &map["data"]) else {
        return vec![("nobody".to_owned(), 0)];
    };
    let mut all =
        vec![(text(&data["DATABASE_HOST"]).to_owned(), text(&data["DATABASE_PORT"]).parse().unwrap_or(0))];
    for name in ["CATALOG_URL", "SEATING_URL", "PAYMENT_URL", "NOTIFICATION_URL"] {
        let address = text(&data[name]).trim_start_matches("http://").split('/').next().unwrap_or_default();
        let (host, port) = address.split_once(':').unwrap_or((address, "80"));
        all.push((host.to_owned(), port.parse().unwrap_or(0)));
    }
    all
}

fn is(labels: &Value, host: &str) -> bool {
    labels.as_object().is_some_and(|labels| labels.len() == 1) && labels["app.kubernetes.io/name"] == host
}

fn is_of_the_cluster(labels: &Value, keys: &[&str], context: &Context) -> bool {
    labels.as_object().is_some_and(|labels| {
        labels
            .iter()
            .all(|(key, value)| keys.contains(&key.as_str()) && context.is_of_the_cluster(text(value)))
    })
}
