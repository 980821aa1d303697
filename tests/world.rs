//! The built component imports and exports what `wit/world.wit` says, nothing more and nothing less, with the signatures
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

fn world() -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(order_dev::repo_root().join("wit"))?;
    let world = resolve.select_world(&[package], Some("order-service"))?;
    Ok((resolve, world))
}

/// The component as it is built from this tree.
async fn component() -> Result<Vec<u8>> {
    order_dev::component::build().await?;
    let file = order_dev::repo_root().join("target/wasm32-wasip2/release/order_service.wasm");
    std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

/// Fails unless a host that offers just the world with these signatures can run the component.
fn check_signatures(resolve: &Resolve, world: WorldId, component: &[u8]) -> Result<()> {
    wit_component::targets(resolve, world, component)
        .context("a signature that the component uses is another one in wit/deps")
}

#[tokio::test]
async fn the_component_imports_and_exports_its_world_and_nothing_else() -> Result<()> {
    let (resolve, world) = world()?;
    let component = component().await?;
    let DecodedWasm::Component(decoded, decoded_world) = wit_component::decode(&component)? else {
        bail!("what was built is no component");
    };
    let sentences = differences(&Interfaces::of(&resolve, world), &Interfaces::of(&decoded, decoded_world));
    assert!(sentences.is_empty(), "{}", sentences.join("\n"));
    check_signatures(&resolve, world, &component)
}

#[tokio::test]
async fn a_signature_that_differs_from_the_component_s_is_found() -> Result<()> {
    let component = component().await?;
    for (interface, function) in [
        ("spin:variables/variables@3.0.0", "get"),
        ("spin:postgres/postgres@4.2.0", "[method]connection.query-async"),
        ("wasi:http/client@0.3.0", "send"),
        ("wasi:http/handler@0.3.0", "handle"),
    ] {
        let (mut resolve, world) = world()?;
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
    let (resolve, world) = world()?;
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
