//! The MQTT publisher alone in a host, with a route from outside, which it has in tests only.

use std::path::PathBuf;

use order_dev::component;
use order_dev::host::{self, Host};
use serde_json::{Value, json};
use toml::{Table, Value as Toml};

use super::shared;
use super::spawn::{client, fresh_log_dir};

/// The component's id in `spin.toml`.
const ID: &str = "mqtt-publisher";

/// A host with the component. Dropping it ends the host.
pub struct Publisher {
    /// The host.
    pub host: Host,
    client: reqwest::Client,
    folder: PathBuf,
}

/// How to start one.
pub struct PublisherOptions<'a> {
    /// The value of `events_mqtt_url`.
    pub url: &'a str,
    /// What it may call; `None`: what `spin.toml` says.
    pub allowed_hosts: Option<&'a str>,
    /// Whether its route stays private, as `spin.toml` has it.
    pub is_private: bool,
}

impl Publisher {
    /// Starts one for this broker.
    pub async fn start(url: &str) -> Publisher {
        Publisher::start_with(PublisherOptions { url, allowed_hosts: None, is_private: false }).await
    }

    /// Starts one in another way.
    pub async fn start_with(options: PublisherOptions<'_>) -> Publisher {
        shared::build();
        let folder = fresh_log_dir();
        std::fs::create_dir_all(&folder).expect("a folder");
        let manifest = folder.join("spin.toml");
        std::fs::write(&manifest, manifest_of(&options)).expect("written");
        let host = Host::start_with(host::Options {
            program: component::host_program().await.expect("a host program"),
            manifest,
            variables: vec![("events_mqtt_url".to_owned(), options.url.to_owned())],
            arguments: Vec::new(),
            environment: Vec::new(),
            log_dir: folder.join("logs"),
            port: None,
        });
        Publisher { host: host.await.expect("a host"), client: client(), folder }
    }

    /// Publishes messages, each a topic and a payload: status and body of the answer.
    pub async fn publish(&self, messages: &[(&str, &str)]) -> (u16, Value) {
        let messages: Vec<Value> =
            messages.iter().map(|(topic, payload)| json!({ "topic": topic, "payload": payload })).collect();
        let (status, body) = self.post("/publish", json!({ "messages": messages }).to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {status} {body}")))
    }

    /// Sends any body to any path: status and body of the answer.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self.client.post(format!("{}{path}", self.host.base_url)).body(body);
        let answer = request.send().await.expect("the host answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let errors = self.host.error_output();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.host.log_dir().join("host.log")).unwrap_or_default();
            eprintln!("--- the publisher's errors:\n{errors}\n--- its host's lines:\n{said}");
        } else {
            assert_eq!(errors, "", "the publisher never fails");
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// `spin.toml` with the publisher alone.
fn manifest_of(options: &PublisherOptions<'_>) -> String {
    let root = order_dev::repo_root();
    let text = std::fs::read_to_string(root.join("spin.toml")).expect("spin.toml");
    let mut manifest: Table = text.parse().expect("TOML");
    let components = manifest["component"].as_table_mut().expect("components");
    components.retain(|id, _| id == ID);
    let component = components[ID].as_table_mut().expect("the component");
    let source = root.join(component["source"].as_str().expect("a path"));
    component.insert("source".to_owned(), Toml::from(source.to_str().expect("text")));
    if let Some(allowed) = options.allowed_hosts {
        component.insert("allowed_outbound_hosts".to_owned(), Toml::from(vec![allowed]));
    }
    manifest["variables"].as_table_mut().expect("variables").retain(|name, _| name == "events_mqtt_url");
    let triggers = manifest["trigger"]["http"].as_array_mut().expect("triggers");
    triggers.retain(|trigger| trigger["component"].as_str() == Some(ID));
    assert_eq!(triggers.len(), 1);
    let route = &mut triggers[0].as_table_mut().expect("a trigger")["route"];
    assert_eq!(route["private"].as_bool(), Some(true), "it has no route from outside");
    if !options.is_private {
        *route = Toml::from("/...");
    }
    manifest.to_string()
}
