//! Application variables: where their values come from, and what the component reads.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::bindings::variables::Error;
use crate::template::Template;

/// Refuses a name that Spin would not take for a variable: it must work as a file's and as an environment variable's.
pub fn validate_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let complaint = if name.is_empty() {
        "must not be empty"
    } else if !name.chars().all(allowed) {
        "may have only lower-case letters, digits and underscores"
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "must start with a letter"
    } else if name.ends_with('_') {
        "must not end with an underscore"
    } else if name.contains("__") {
        "must not have two underscores in a row"
    } else {
        return Ok(());
    };
    bail!("invalid variable name {name:?}: {complaint}")
}

/// Where values come from, strongest first; the manifest's defaults come after all of these.
#[derive(Debug, Default)]
pub struct Sources {
    /// `--variable`
    pub arguments: HashMap<String, String>,
    /// The environment of this process.
    pub environment: HashMap<String, String>,
    /// The `.env` file in the working directory.
    pub dotenv: HashMap<String, String>,
}

impl Sources {
    /// Reads all sources of this process. `arguments` are the values of `--variable`.
    pub fn read(arguments: &[String]) -> Result<Self> {
        let mut sources = Self::default();
        for argument in arguments {
            read_argument(argument, &mut sources.arguments)
                .with_context(|| format!("--variable {}", name_of(argument)))?;
        }
        sources.environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        if let Ok(text) = std::fs::read_to_string(".env") {
            sources.dotenv = parse_dotenv(&text);
        }
        Ok(sources)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let variable = format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase());
        let value = self.arguments.get(name);
        let value = value.or_else(|| self.environment.get(&variable));
        let value = value.or_else(|| self.dotenv.get(&variable));
        value.map(String::as_str)
    }
}

/// The values of the application's variables, all of them known.
#[derive(Debug)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Gives each variable the value of its strongest source. `declared` has the names and defaults. As in Spin, a
    /// source may know names that are not declared.
    pub fn resolve(declared: &BTreeMap<String, Option<String>>, sources: &Sources) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, default) in declared {
            match sources.get(name).or(default.as_deref()) {
                Some(value) => _ = values.insert(name.clone(), value.to_owned()),
                None => missing.push(name.as_str()),
            }
        }
        ensure!(
            missing.is_empty(),
            "required variables without a value: {}. Give it with `--variable name=value` or in SPIN_VARIABLE_NAME",
            missing.join(", ")
        );
        Ok(Self(values))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What the component reads: its own names, with templates filled.
#[derive(Debug)]
pub struct ComponentVariables(BTreeMap<String, String>);

impl ComponentVariables {
    /// Fills the component's templates. A template that names a variable that is not declared is an error.
    pub fn resolve(templates: &BTreeMap<String, String>, variables: &Variables) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, text) in templates {
            let template: Template = text.parse()?;
            if let Some(unknown) = template.names().find(|name| variables.get(name).is_none()) {
                bail!("component variable {name:?} uses the undeclared variable {unknown:?}");
            }
            values.insert(name.clone(), template.fill(|name| variables.get(name)).unwrap_or_default());
        }
        Ok(Self(values))
    }

    /// The answer to the guest's `spin:variables/variables.get`.
    pub fn get(&self, name: &str) -> Result<String, Error> {
        if let Err(error) = validate_name(name) {
            return Err(Error::InvalidName(error.to_string()));
        }
        self.0
            .get(name)
            .cloned()
            .ok_or_else(|| Error::Undefined(format!("no variable {name:?} for this component")))
    }
}

fn name_of(argument: &str) -> &str {
    // Only the name is safe to show: the value may be a secret.
    argument.split_once('=').map_or(argument, |(name, _)| name)
}

fn read_argument(argument: &str, values: &mut HashMap<String, String>) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    if let Some(path) = argument.strip_prefix('@') {
        let file: HashMap<String, String> = match Path::new(path).extension().and_then(|e| e.to_str()) {
            Some("toml") => toml::from_str(&read(path)?)?,
            Some("json") => serde_json::from_str(&read(path)?)?,
            _ => bail!("a file of variables must be named .toml or .json"),
        };
        values.extend(file);
    } else {
        let (name, value) = argument.split_once('=').context("expected name=value")?;
        let value = match value.strip_prefix('@') {
            Some(path) => read(path)?,
            None => value.to_owned(),
        };
        values.insert(name.to_owned(), value);
    }
    Ok(())
}

fn parse_dotenv(text: &str) -> HashMap<String, String> {
    let mut values = HashMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = line.split_once('=') {
            let value = value.trim();
            let quoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
            let value = quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim_end());
            values.insert(name.trim().to_owned(), value.to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn declared(pairs: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect()
    }

    #[test]
    fn names_follow_the_rules() {
        for good in ["a", "abc", "a1", "a_1_b"] {
            validate_name(good).expect(good);
        }
        for bad in ["", "A", "1a", "_a", "a_", "a__b", "a-b", "a.b", "é"] {
            assert!(validate_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_strongest_source_wins_and_an_empty_value_is_a_value() {
        let mut sources = Sources {
            arguments: map(&[("a", "argument")]),
            environment: map(&[("SPIN_VARIABLE_A", "environment"), ("SPIN_VARIABLE_B", "")]),
            dotenv: map(&[("SPIN_VARIABLE_B", "dotenv"), ("SPIN_VARIABLE_C", "dotenv")]),
        };
        let names = declared(&[("a", None), ("b", Some("default")), ("c", None), ("d", Some("default"))]);
        let values = Variables::resolve(&names, &sources).expect("all known");
        assert_eq!(values.get("a"), Some("argument"));
        assert_eq!(values.get("b"), Some(""));
        assert_eq!(values.get("c"), Some("dotenv"));
        assert_eq!(values.get("d"), Some("default"));
        sources.arguments.clear();
        let values = Variables::resolve(&names, &sources).expect("all known");
        assert_eq!(values.get("a"), Some("environment"));
    }

    #[test]
    fn every_missing_variable_is_named() {
        let names = declared(&[("a", None), ("b", Some("")), ("c_d", None)]);
        let error = Variables::resolve(&names, &Sources::default()).expect_err("two are missing");
        assert!(error.to_string().contains("a, c_d"), "{error}");
    }

    #[test]
    fn a_source_may_know_undeclared_names() {
        let sources = Sources { arguments: map(&[("other", "x")]), ..Sources::default() };
        let values = Variables::resolve(&declared(&[("a", Some("1"))]), &sources).expect("all known");
        assert_eq!(values.get("other"), None);
    }

    #[test]
    fn the_component_reads_its_own_names_only() {
        let sources = Sources::default();
        let values = Variables::resolve(&declared(&[("host", Some("h"))]), &sources).expect("all known");
        let templates = BTreeMap::from([("url".to_owned(), "http://{{ host }}/".to_owned())]);
        let component = ComponentVariables::resolve(&templates, &values).expect("declared");
        assert_eq!(component.get("url").ok().as_deref(), Some("http://h/"));
        assert!(matches!(component.get("host"), Err(Error::Undefined(_))));
        assert!(matches!(component.get("Host"), Err(Error::InvalidName(_))));

        let templates = BTreeMap::from([("url".to_owned(), "{{ hots }}".to_owned())]);
        assert!(ComponentVariables::resolve(&templates, &values).is_err());
    }

    #[test]
    fn arguments_are_read() {
        let mut values = HashMap::new();
        read_argument("a=1=2", &mut values).expect("valid");
        read_argument("b=", &mut values).expect("valid");
        assert_eq!(values, map(&[("a", "1=2"), ("b", "")]));
        assert!(read_argument("a", &mut values).is_err());
        assert!(read_argument("a=@/no/such/file", &mut values).is_err());
        assert!(read_argument("@/no/such/file.yaml", &mut values).is_err());
    }

    #[test]
    fn a_dotenv_file_is_read() {
        let text = "# comment\nA=1\n export B=\"two words\" \nC='x # y'\nD=4 # comment\n\nE=\nnonsense\n";
        assert_eq!(
            parse_dotenv(text),
            map(&[("A", "1"), ("B", "two words"), ("C", "x # y"), ("D", "4"), ("E", "")])
        );
    }
}
