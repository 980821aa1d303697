//! Network policies: they are about pods that are there, and let through what the variables name.

use serde_json::Value;

use super::pods::Pod;
use super::{Context, list, selects, text};

/// What does not fit.
pub fn problems(documents: &[Value], pods: &[Pod], context: &Context) -> Vec<String> {
    let policies: Vec<&Value> =
        documents.iter().filter(|document| document["kind"] == "NetworkPolicy").collect();
    if policies.is_empty() {
        return denied(configuration(documents));
    }
    let mut problems = denied(configuration(documents));
    let neighbours = neighbours(configuration(documents));
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
                        _ if peer["ipBlock"]["cidr"].is_string() => true,
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
                let to = list(&rule["to"]).iter().any(|peer| leads_to(peer, host));
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

/// The variables that are no secrets.
fn configuration(documents: &[Value]) -> &Value {
    documents.iter().find(|one| one["kind"] == "ConfigMap").map_or(&Value::Null, |map| &map["data"])
}

/// Whom the service calls: the peers, User and the issuer of tokens, the latter two where they are set.
const URLS: [&str; 6] =
    ["CATALOG_URL", "SEATING_URL", "PAYMENT_URL", "NOTIFICATION_URL", "USER_URL", "AUTH_JWKS_URL"];

/// The collector of spans, where it is set. It is an allowed host by itself.
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Host and port of the database, and then of all whom the service calls, as the ConfigMap has them.
fn neighbours(data: &Value) -> Vec<(String, u64)> {
    let mut all =
        vec![(text(&data["DATABASE_HOST"]).to_owned(), text(&data["DATABASE_PORT"]).parse().unwrap_or(0))];
    let urls = URLS.iter().chain([&COLLECTOR]).map(|name| text(&data[name]));
    for url in urls.filter(|url| !url.is_empty()) {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let address = rest.split('/').next().unwrap_or_default();
        let usual = if scheme == "https" { "443" } else { "80" };
        let (host, port) = address.split_once(':').unwrap_or((address, usual));
        all.push((host.to_owned(), port.parse().unwrap_or(0)));
    }
    all
}

/// The URLs that no pattern for allowed hosts can let through, because there is none for their scheme.
fn denied(data: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (scheme, pattern) in [("http://", "PEERS_HTTP"), ("https://", "PEERS_HTTPS")] {
        if text(&data[pattern]).is_empty() {
            let names = URLS.iter().filter(|name| text(&data[name]).starts_with(scheme));
            problems.extend(names.map(|name| format!("{name} begins with {scheme}, and {pattern} is empty")));
        }
    }
    problems
}

/// Whether the rule is about that host: by the label of its pods, or, where its name has a dot and is thus
/// none of a Service beside us, by addresses.
fn leads_to(peer: &Value, host: &str) -> bool {
    is(&peer["podSelector"]["matchLabels"], host) || host.contains('.') && peer["ipBlock"]["cidr"].is_string()
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

#[cfg(test)]
mod tests {
    use super::{denied, leads_to, neighbours};
    use serde_json::{Value, json};

    fn configuration(more: &[(&str, &str)]) -> Value {
        let mut data = json!({
            "DATABASE_HOST": "postgres", "DATABASE_PORT": "5432",
            "CATALOG_URL": "http://catalog:4001/api", "SEATING_URL": "http://seating:4002",
            "PAYMENT_URL": "http://payment", "NOTIFICATION_URL": "http://notification:4005",
            "USER_URL": "", "AUTH_JWKS_URL": "", "PEERS_HTTP": "http://*:*", "PEERS_HTTPS": "",
        });
        for (name, value) in more {
            data[*name] = json!(value);
        }
        data
    }

    #[test]
    fn user_and_the_issuer_are_neighbours_where_they_are_set() {
        let hosts = |data: Value| {
            let all = neighbours(&data).into_iter().map(|(host, port)| format!("{host}:{port}"));
            all.collect::<Vec<_>>().join(" ")
        };
        let peers = "postgres:5432 catalog:4001 seating:4002 payment:80 notification:4005";
        assert_eq!(hosts(configuration(&[])), peers);
        let set = [("USER_URL", "http://user:4003"), ("AUTH_JWKS_URL", "https://login.example/keys")];
        assert_eq!(hosts(configuration(&set)), format!("{peers} user:4003 login.example:443"));
    }

    #[test]
    fn a_url_whose_scheme_has_no_pattern_is_found() {
        let https = ("AUTH_JWKS_URL", "https://login.example/keys");
        assert_eq!(denied(&configuration(&[])), [""; 0]);
        assert_eq!(denied(&configuration(&[https])).len(), 1);
        assert_eq!(denied(&configuration(&[https, ("PEERS_HTTPS", "https://login.example")])), [""; 0]);
        assert_eq!(denied(&configuration(&[("PEERS_HTTP", "")])).len(), 4);
    }

    #[test]
    fn a_host_inside_is_reached_by_its_label_and_one_outside_by_addresses() {
        let pods = json!({"podSelector": {"matchLabels": {"app.kubernetes.io/name": "user"}}});
        let addresses = json!({"ipBlock": {"cidr": "203.0.113.0/24"}});
        assert!(leads_to(&pods, "user") && !leads_to(&pods, "payment") && !leads_to(&pods, "login.example"));
        assert!(leads_to(&addresses, "login.example") && !leads_to(&addresses, "user"));
    }
}
