//! `spin-without-mqtt.toml` is `spin.toml` without the component that imports `spin:mqtt`.

use toml::{Table, Value};

use crate::files;

/// The component that is left out.
const LEFT_OUT: &str = "mqtt-publisher";

#[test]
fn the_manifest_without_mqtt_is_the_other_one_without_the_publisher() {
    let [whole, without] = ["spin.toml", "spin-without-mqtt.toml"].map(read);
    assert_eq!(without_the_publisher(whole), without, "change spin-without-mqtt.toml as spin.toml was");
}

fn read(path: &str) -> Table {
    let file = files::read(|other| other == path).pop().expect("one file");
    file.text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What is left when the component goes: with it its trigger, the permission to call it, and the variables that no other
/// component gets.
fn without_the_publisher(mut manifest: Table) -> Table {
    let component = table(&mut manifest, "component").remove(LEFT_OUT).expect("the component is there");
    list(table(&mut manifest, "trigger"), "http")
        .retain(|trigger| trigger["component"].as_str() != Some(LEFT_OUT));
    for (_, other) in table(&mut manifest, "component") {
        let hosts = list(other.as_table_mut().expect("a table"), "allowed_outbound_hosts");
        hosts.retain(|host| host.as_str() != Some(&format!("http://{LEFT_OUT}.spin.internal")));
    }
    let kept = manifest["component"].to_string();
    let variables = component["variables"].as_table().expect("it has variables");
    for name in variables.keys().filter(|name| !kept.contains(&format!("{{{{ {name} }}}}"))) {
        table(&mut manifest, "variables").remove(name).expect("a variable's name is that of the application");
    }
    manifest
}

fn table<'a>(parent: &'a mut Table, name: &str) -> &'a mut Table {
    parent.get_mut(name).and_then(Value::as_table_mut).unwrap_or_else(|| panic!("there is a table {name}"))
}

fn list<'a>(parent: &'a mut Table, name: &str) -> &'a mut Vec<Value> {
    parent.get_mut(name).and_then(Value::as_array_mut).unwrap_or_else(|| panic!("there is a list {name}"))
}

#[test]
fn a_variable_that_another_component_has_stays() {
    let manifest = |events: &str, a: &str, rest: &str| -> Table {
        let text = format!(
            "trigger.http = [{{ component = \"a\" }}{rest}]\nvariables = {{ x = 1{events} }}\n[component.a]\n{a}"
        );
        text.parse().expect("TOML")
    };
    let whole = |a: &str| {
        let publisher = "\n[component.mqtt-publisher.variables]\nurl = \"{{ url }}\"\n";
        manifest(", url = 2", &format!("{a}{publisher}"), ", { component = \"mqtt-publisher\" }")
    };
    let hosts = |more: &str| format!("allowed_outbound_hosts = [\"b\"{more}]");
    let calls = hosts(", \"http://mqtt-publisher.spin.internal\"");
    assert_eq!(without_the_publisher(whole(&calls)), manifest("", &hosts(""), ""));
    let gets = |hosts: &str| format!("{hosts}\nvariables.url = \"{{{{ url }}}}\"");
    let left = without_the_publisher(whole(&gets(&calls)));
    assert_eq!(left, manifest(", url = 2", &gets(&hosts("")), ""));
}
