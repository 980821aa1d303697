//! The built components import and export what `wit/world.wit` says, nothing more and nothing less, with the signatures
//! that `wit/deps` has.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldId};

/// What a world imports and exports: interfaces with package and version.
#[derive(Clone, Debug, PartialEq)]
struct Interfaces {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl Interfaces {
    fn of(resolve: &Resolve, world: WorldId) -> Self {
        let world = &resolve.worlds[world];
        Self {
            imports: world.imports.keys().map(|key| resolve.name_world_key(key)).collect(),
            exports: world.exports.keys().map(|key| resolve.name_world_key(key)).collect(),
        }
    }
}

/// What sets the component apart from its world, a sentence for each interface.
fn differences(world: &Interfaces, component: &Interfaces) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut compare = |verb: &str, world: &BTreeSet<String>, component: &BTreeSet<String>| {
        for name in component.difference(world) {
            sentences
                .push(format!("the component {verb}s {name}, wit/world.wit does not: one {verb} too many"));
        }
        for name in world.difference(component) {
            sentences.push(format!("wit/world.wit {verb}s {name}, the component does not: a missing {verb}"));
        }
    };
    compare("import", &world.imports, &component.imports);
    compare("export", &world.exports, &component.exports);
    sentences
}

/// The worlds of the components, named as those.
const WORLDS: [&str; 2] = ["order-service", "mqtt-publisher"];

fn world(name: &str) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(order_dev::repo_root().join("wit"))?;
    let world = resolve.select_world(&[package], Some(name))?;
    Ok((resolve, world))
}

/// The component as it is built from this tree.
async fn component(name: &str) -> Result<Vec<u8>> {
    order_dev::component::build().await?;
    let file = format!("target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_"));
    std::fs::read(order_dev::repo_root().join(&file)).with_context(|| format!("reading {file}"))
}

/// Fails unless a host that offers just the world with these signatures can run the component.
fn check_signatures(resolve: &Resolve, world: WorldId, component: &[u8]) -> Result<()> {
    wit_component::targets(resolve, world, component)
        .context("a signature that the component uses is another one in wit/deps")
}

#[tokio::test]
async fn each_component_imports_and_exports_its_world_and_nothing_else() -> Result<()> {
    for name in WORLDS {
        let (resolve, world) = world(name)?;
        let component = component(name).await?;
        let DecodedWasm::Component(decoded, decoded_world) = wit_component::decode(&component)? else {
            bail!("{name}: what was built is no component");
        };
        let sentences =
            differences(&Interfaces::of(&resolve, world), &Interfaces::of(&decoded, decoded_world));
        assert!(sentences.is_empty(), "{name}: {}", sentences.join("\n"));
        check_signatures(&resolve, world, &component)?;
    }
    Ok(())
}

#[test]
fn the_order_service_needs_no_mqtt_and_the_publisher_no_database() -> Result<()> {
    let imports = |name: &str, interface: &str| -> Result<bool> {
        let (resolve, world) = world(name)?;
        Ok(Interfaces::of(&resolve, world).imports.iter().any(|one| one.starts_with(interface)))
    };
    assert!(!imports("order-service", "spin:mqtt/")? && imports("mqtt-publisher", "spin:mqtt/")?);
    assert!(!imports("mqtt-publisher", "spin:postgres/")? && imports("order-service", "spin:postgres/")?);
    assert!(!imports("mqtt-publisher", "wasi:http/client")?, "it calls nobody by HTTP");
    Ok(())
}

#[tokio::test]
async fn a_signature_that_differs_from_the_component_s_is_found() -> Result<()> {
    for (name, interface, function) in [
        ("order-service", "spin:variables/variables@3.0.0", "get"),
        ("order-service", "spin:postgres/postgres@4.2.0", "[method]connection.query-async"),
        ("order-service", "wasi:http/client@0.3.0", "send"),
        ("order-service", "wasi:http/handler@0.3.0", "handle"),
        ("mqtt-publisher", "spin:mqtt/mqtt@3.0.0", "[method]connection.publish"),
    ] {
        let component = component(name).await?;
        let (mut resolve, world) = world(name)?;
        check_signatures(&resolve, world, &component)?;
        let id = resolve.interfaces.iter().find(|(id, _)| resolve.id_of(*id).as_deref() == Some(interface));
        let id = id.with_context(|| format!("wit/deps has no {interface}"))?.0;
        let functions = &mut resolve.interfaces[id].functions;
        let function =
            functions.get_mut(function).with_context(|| format!("{interface} has no {function}"))?;
        function.result = Some(wit_parser::Type::U8);
        let error =
            check_signatures(&resolve, world, &component).expect_err("another signature does not fit");
        assert!(format!("{error:#}").contains(interface), "the error names {interface}: {error:#}");
    }
    Ok(())
}

#[test]
fn an_import_or_export_too_many_or_too_few_is_found_by_name() -> Result<()> {
    let (resolve, world) = world("order-service")?;
    let told = Interfaces::of(&resolve, world);
    assert_eq!(differences(&told, &told), [""; 0]);

    let variables = "spin:variables/variables@3.0.0";
    let mut without = told.clone();
    assert!(without.imports.remove(variables), "{told:?}");
    let sentence =
        "the component imports spin:variables/variables@3.0.0, wit/world.wit does not: one import too many";
    assert_eq!(differences(&without, &told), [sentence]);
    let sentence =
        "wit/world.wit imports spin:variables/variables@3.0.0, the component does not: a missing import";
    assert_eq!(differences(&told, &without), [sentence]);

    let mut other = told.clone();
    other.exports = ["wasi:http/handler@0.4.0".to_owned()].into();
    let sentences = differences(&told, &other);
    assert_eq!(sentences.len(), 2, "another version is another interface: {sentences:?}");
    Ok(())
}
