//! `spin.toml`: as much of manifest version 2 as HTTP components need.
//!
//! Strict on purpose: what Spin would refuse is refused, and what Spin would honour but this host does not is refused
//! too, because silently ignoring it would make a test pass here and fail on Spin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::routes::Route;
use crate::variables::validate_name;

/// An application, checked.
#[derive(Debug)]
pub struct Manifest {
    /// The application's name.
    pub name: String,
    /// The application's version.
    pub version: Option<String>,
    /// The application's variables with their defaults; `None` where a value is required.
    pub variables: BTreeMap<String, Option<String>>,
    /// The routes that lead to the components.
    pub routes: Vec<Route>,
    /// The components that an HTTP trigger names, privately or by a route. As in Spin, no other is ever run.
    pub components: Vec<Component>,
}

/// A component of the application.
#[derive(Debug)]
pub struct Component {
    /// Its id, which names its log files, and by which others call it.
    pub id: String,
    /// The manifest's folder.
    pub folder: PathBuf,
    /// The WebAssembly file.
    pub source: PathBuf,
    /// Templates of what it may call.
    pub allowed_outbound_hosts: Vec<String>,
    /// Templates of what it reads as its variables.
    pub variables: BTreeMap<String, String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads the manifest at `path`, a file or a folder that holds `spin.toml`.
    pub fn read(path: &Path) -> Result<Self> {
        let path = if path.is_dir() { path.join("spin.toml") } else { path.to_owned() };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read the manifest {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).with_context(|| format!("invalid manifest {}", path.display()))
    }

    /// Parses a manifest whose relative paths start in `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let raw: RawManifest = toml::from_str(text)?;
        ensure!(raw.spin_manifest_version == 2, "spin_manifest_version must be 2");

        let mut variables = BTreeMap::new();
        for (name, variable) in raw.variables {
            validate_name(&name)?;
            let default = match (variable.required, variable.default) {
                (true, None) => None,
                (false, Some(default)) => Some(default),
                _ => bail!("variable {name:?} must have either `required = true` or a `default`"),
            };
            variables.insert(name, default);
        }

        let mut components = Vec::new();
        for (id, component) in raw.component {
            validate_id(&id)?;
            components.push(component.check(id, folder)?);
        }

        let mut routes: Vec<Route> = Vec::new();
        let mut triggered = BTreeSet::new();
        for RawHttpTrigger { component: id, route, .. } in raw.trigger.http {
            ensure!(
                components.iter().any(|component| component.id == id),
                "a trigger names the unknown component {id:?}"
            );
            match route {
                RawRoute::Public(route) => {
                    let route = Route::new(&route, &id)?;
                    let taken = routes.iter().any(|other| other.raw() == route.raw());
                    // Spin only warns, and lets the last one win.
                    ensure!(!taken, "two triggers have the route {:?}", route.raw());
                    routes.push(route);
                }
                RawRoute::Private(RawPrivateRoute { private }) => ensure!(
                    private,
                    "route must be a string pattern or '{{ private = true }}': '{id}' has {{ private = false }}"
                ),
            }
            triggered.insert(id);
        }
        ensure!(!triggered.is_empty(), "no [[trigger.http]]");
        components.retain(|component| triggered.contains(&component.id));

        Ok(Self {
            name: raw.application.name,
            version: raw.application.version,
            variables,
            routes,
            components,
        })
    }
}

impl RawComponent {
    fn check(self, id: String, folder: &Path) -> Result<Component> {
        let unsupported = [
            ("files", &self.files),
            ("exclude_files", &self.exclude_files),
            ("allowed_http_hosts", &self.allowed_http_hosts),
            ("key_value_stores", &self.key_value_stores),
            ("sqlite_databases", &self.sqlite_databases),
            ("ai_models", &self.ai_models),
            ("dependencies", &self.dependencies),
            ("dependencies_inherit_configuration", &self.dependencies_inherit_configuration),
        ];
        for (field, value) in unsupported {
            ensure!(value.is_none(), "component {id:?}: `{field}` is not supported by this host");
        }
        for name in self.variables.keys() {
            validate_name(name).with_context(|| format!("component {id:?}"))?;
        }
        Ok(Component {
            id,
            folder: folder.to_owned(),
            source: folder.join(self.source),
            allowed_outbound_hosts: self.allowed_outbound_hosts,
            variables: self.variables,
            environment: self.environment,
        })
    }
}

/// Kebab case: words of letters and digits that begin with a letter, in one case each, with a hyphen between them.
fn validate_id(id: &str) -> Result<()> {
    let is_word = |word: &str| {
        let of = |is_letter: fn(&char) -> bool| word.chars().all(|c| is_letter(&c) || c.is_ascii_digit());
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && (of(char::is_ascii_lowercase) || of(char::is_ascii_uppercase))
    };
    ensure!(id.split('-').all(is_word), "component id {id:?} is not in kebab case");
    Ok(())
}

// The file's own shape. Fields that only other Spin commands use (`build`, `targets`, …) are accepted and not read.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    spin_manifest_version: u32,
    application: RawApplication,
    #[serde(default)]
    variables: BTreeMap<String, RawVariable>,
    trigger: RawTriggers,
    component: BTreeMap<String, RawComponent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApplication {
    name: String,
    version: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "authors")]
    _authors: Option<Vec<String>>,
    #[serde(rename = "tool")]
    _tool: Option<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariable {
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    required: bool,
    default: Option<String>,
    #[serde(default, rename = "secret")]
    _secret: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTriggers {
    #[serde(default)]
    http: Vec<RawHttpTrigger>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttpTrigger {
    #[serde(rename = "id")]
    _id: Option<String>,
    route: RawRoute,
    component: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRoute {
    Public(String),
    Private(RawPrivateRoute),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrivateRoute {
    private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    #[serde(rename = "description")]
    _description: Option<String>,
    source: PathBuf,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(rename = "build")]
    _build: Option<RawBuild>,
    #[serde(rename = "tool")]
    _tool: Option<toml::Table>,
    #[serde(rename = "targets")]
    _targets: Option<Vec<toml::Value>>,
    #[serde(rename = "profile")]
    _profile: Option<toml::Table>,
    files: Option<toml::Value>,
    exclude_files: Option<toml::Value>,
    allowed_http_hosts: Option<toml::Value>,
    key_value_stores: Option<toml::Value>,
    sqlite_databases: Option<toml::Value>,
    ai_models: Option<toml::Value>,
    dependencies: Option<toml::Value>,
    dependencies_inherit_configuration: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuild {
    #[serde(rename = "command")]
    _command: toml::Value,
    #[serde(rename = "workdir")]
    _workdir: Option<PathBuf>,
    #[serde(rename = "watch")]
    _watch: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "shop"
        version = "1.2.3"
        [variables]
        url = { required = true }
        token = { default = "", secret = true }
        [[trigger.http]]
        route = "/..."
        component = "shop"
        [component.shop]
        source = "shop.wasm"
        allowed_outbound_hosts = ["http://{{ url }}"]
        [component.shop.variables]
        shop_url = "{{ url }}"
        [component.shop.build]
        command = "cargo build"
        watch = ["src"]
    "#;

    fn parse(text: &str) -> Result<Manifest> {
        Manifest::parse(text, Path::new("/app"))
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text).expect_err("must be refused"))
    }

    #[test]
    fn a_good_manifest_is_read() {
        let manifest = parse(GOOD).expect("valid");
        let [component] = &manifest.components[..] else { panic!("{:?}", manifest.components) };
        assert_eq!(component.source, Path::new("/app/shop.wasm"));
        assert_eq!(component.variables["shop_url"], "{{ url }}");
        assert_eq!(manifest.variables["url"], None);
        assert_eq!(manifest.variables["token"].as_deref(), Some(""));
        assert_eq!(manifest.routes.len(), 1);
    }

    #[test]
    fn unknown_fields_are_refused_everywhere() {
        for (place, field) in [
            ("[application]", "[application]\ncolour = 1"),
            ("source =", "colour = 1\nsource ="),
            ("route =", "colour = 1\nroute ="),
            ("required = true", "required = true, colour = 1"),
            ("command =", "colour = 1\ncommand ="),
            ("spin_manifest_version", "colour = 1\nspin_manifest_version"),
        ] {
            let refusal = refusal(&GOOD.replacen(place, field, 1));
            assert!(refusal.contains("unknown field `colour`"), "{refusal}");
        }
    }

    #[test]
    fn a_variable_is_either_required_or_has_a_default() {
        for declaration in ["{}", "{ required = false }", "{ required = true, default = \"x\" }"] {
            let refusal = refusal(&GOOD.replace("{ required = true }", declaration));
            assert!(refusal.contains("variable \"url\" must have either"), "{refusal}");
        }
        parse(&GOOD.replace("{ required = true }", "{ required = false, default = \"x\" }")).expect("valid");
    }

    #[test]
    fn what_this_host_cannot_do_is_refused() {
        let refusal = refusal(&GOOD.replace("source =", "key_value_stores = [\"default\"]\nsource ="));
        assert!(refusal.contains("`key_value_stores` is not supported"), "{refusal}");
    }

    #[test]
    fn a_trigger_must_name_the_component() {
        let refusal = refusal(&GOOD.replace("component = \"shop\"", "component = \"ship\""));
        assert!(refusal.contains("unknown component \"ship\""), "{refusal}");
    }

    const TILL: &str = r#"
        [[trigger.http]]
        route = { private = true }
        component = "till-b"
        [component.till-b]
        source = "till.wasm"
    "#;

    #[test]
    fn a_private_component_has_no_route() {
        let manifest = parse(&format!("{GOOD}{TILL}")).expect("valid");
        let ids: Vec<&str> = manifest.components.iter().map(|component| component.id.as_str()).collect();
        assert_eq!(ids, ["shop", "till-b"]);
        let routes: Vec<_> = manifest.routes.iter().map(|route| (route.raw(), route.component())).collect();
        assert_eq!(routes, [("/...", "shop")]);
    }

    #[test]
    fn a_component_without_a_trigger_is_not_run() {
        let manifest = parse(&format!("{GOOD}\n[component.till]\nsource = \"till.wasm\"")).expect("valid");
        assert_eq!(manifest.components.len(), 1);
    }

    #[test]
    fn odd_routes_and_ids_are_refused() {
        let with = |from: &str, to: &str| refusal(&format!("{GOOD}{}", TILL.replace(from, to)));
        assert!(with("private = true", "private = false").contains("{ private = false }"));
        with("private = true", "private = true, colour = 1");
        with("{ private = true }", "true");
        assert!(with("{ private = true }", "\"/...\"").contains("two triggers have the route \"/...\""));
        for id in ["till_b", "2-till", "till-2", "till-b-", "Till", "-till"] {
            assert!(with("till-b", id).contains("not in kebab case"), "{id}");
        }
    }

    #[test]
    fn the_version_of_the_format_is_checked() {
        assert!(refusal(&GOOD.replace("version = 2", "version = 1")).contains("must be 2"));
    }

    #[test]
    fn the_manifest_of_this_project_is_read() {
        // At run time: what was compiled in may be another clone's path, when clones share a target directory.
        let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let root = Path::new(&package).join("../..");
        let manifest = Manifest::read(&root).expect("valid");
        assert_eq!(manifest.routes.len(), 1);
    }
}
