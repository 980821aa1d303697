//! What the benchmark has to know of an application: the parts of its `spin.toml` that may differ between commits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The manifest of an application.
#[derive(Clone, Debug)]
pub struct Manifest {
    file: PathBuf,
    variables: Vec<String>,
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Parsed {
    #[serde(default)]
    variables: BTreeMap<String, toml::Value>,
    component: BTreeMap<String, Component>,
}

/// One of its components.
#[derive(Clone, Debug, Deserialize)]
pub struct Component {
    source: PathBuf,
    build: Option<Build>,
}

#[derive(Clone, Debug, Deserialize)]
struct Build {
    command: String,
}

impl Manifest {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not there, is no manifest, or has no component.
    pub fn read(file: &Path) -> Result<Manifest> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Manifest::parse(file, &text).with_context(|| format!("the manifest {}", file.display()))
    }

    fn parse(file: &Path, text: &str) -> Result<Manifest> {
        let Parsed { variables, component } = toml::from_str(text)?;
        let components: Vec<Component> = component.into_values().collect();
        ensure!(!components.is_empty(), "it has no component");
        let variables = variables.into_keys().collect();
        Ok(Manifest { file: file.to_path_buf(), variables, components })
    }

    /// The file itself.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the application can be given this variable.
    pub fn has_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable == name)
    }

    /// The components.
    pub fn components(&self) -> &[Component] {
        &self.components
    }
}

impl Component {
    /// The component's file, as seen from the manifest.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The command that builds the component.
    ///
    /// # Errors
    /// When there is none.
    pub fn build_command(&self) -> Result<&str> {
        let build = self.build.as_ref();
        let build = build.with_context(|| format!("{} has no build command", self.source.display()))?;
        Ok(&build.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
        spin_manifest_version = 2
        [variables]
        tax_percent = { default = "0" }
        [component.orders]
        source = "target/orders.wasm"
        [component.orders.variables]
        tax = "{{ tax_percent }}"
        [component.orders.build]
        command = "make"
    "#;

    fn parse(text: &str) -> Result<Manifest> {
        Manifest::parse(Path::new("/x/spin.toml"), text)
    }

    #[test]
    fn a_manifest_says_which_variables_there_are_and_how_its_components_are_built() {
        let manifest = parse(&format!("{ONE}\n[component.other]\nsource = \"x.wasm\"")).unwrap();
        assert!(manifest.has_variable("tax_percent") && !manifest.has_variable("tax"));
        let [orders, other] = manifest.components() else { panic!("{manifest:?}") };
        assert_eq!(
            (orders.source(), orders.build_command().unwrap()),
            (Path::new("target/orders.wasm"), "make")
        );
        assert!(other.build_command().is_err());
        assert!(parse("component = {}").is_err());
    }

    #[test]
    fn the_manifest_of_this_tree_can_be_read() {
        let manifest = Manifest::read(&crate::repo_root().join("spin.toml")).unwrap();
        assert!(manifest.has_variable("database_host"));
        assert_eq!(manifest.components().len(), 2);
        for component in manifest.components() {
            assert!(component.source().starts_with("target") && component.build_command().is_ok());
        }
    }
}
