//! Every variable is everywhere where somebody has to know it: in the README, in the component, in each way to run the service.

use std::collections::BTreeSet;

use crate::files::{self, File, Finding};

const MANIFEST: &str = "spin.toml";

#[test]
fn the_readme_lists_exactly_the_variables_of_the_manifest() {
    let readme = file("README.md");
    files::assert_none(differences(&declared(), &told(&readme), &[]));
}

#[test]
fn the_components_get_and_read_every_variable_of_the_manifest() {
    let given = |component: &str| {
        let section = format!("[component.{component}.variables]");
        assigned(&file(MANIFEST), |line| line == section, " =")
    };
    let (service, publisher) = (given("order-service"), given("mqtt-publisher"));
    files::assert_none(differences(&service, &quoted(&file("src/config/variables.rs")), &[]));
    files::assert_none(differences(&publisher, &got(&file("mqtt-publisher/src/component/mod.rs")), &[]));
    files::assert_none(differences(&declared(), &[service, publisher].concat(), &[]));
}

#[test]
fn kubernetes_gives_every_variable() {
    let config = assigned(&file("deploy/kubernetes/base/config.env"), |_| true, "=");
    let secrets = listed(&file("deploy/kubernetes/base/deployment.yaml"), "- name: ", "_FILE");
    files::assert_none(differences(
        &upper(&declared()),
        &[config, secrets].concat(),
        &order_dev::manifests::ENTRY_POINT,
    ));
}

#[test]
fn spinkube_gives_every_variable() {
    let app = listed(&file("deploy/spinkube/spinapp.yaml"), "- { name: ", ",");
    files::assert_none(differences(&declared(), &app, &[]));
    let config = assigned(&file("deploy/spinkube/config.env"), |_| true, "=");
    let open: Vec<Name> = upper(&declared()).into_iter().filter(|one| !one.is_secret).collect();
    files::assert_none(differences(&open, &config, &[]));
}

#[test]
fn the_examples_of_secrets_have_exactly_the_secret_variables() {
    let secret: Vec<Name> = upper(&declared()).into_iter().filter(|one| one.is_secret).collect();
    for path in ["deploy/kubernetes/secrets.env.example", "deploy/spinkube/secrets.env.example"] {
        let example = file(path);
        let filled = example
            .text
            .lines()
            .map(|line| line.strip_prefix('#').unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n");
        files::assert_none(differences(&secret, &assigned(&File::new(path, &filled), |_| true, "="), &[]));
    }
}

#[test]
fn compose_gives_every_variable() {
    let compose = file("compose.yaml");
    let environment = assigned(&compose, |line| line == "  order-service:", ":");
    // Others of the service's keys are in lower case.
    let given: Vec<Name> = environment
        .into_iter()
        .filter(|one| one.name.starts_with(|letter: char| letter.is_ascii_uppercase()))
        .collect();
    let ours =
        [&order_dev::manifests::ENTRY_POINT[..], &["RUST_IMAGE", "SPIN_IMAGE", "DEBIAN_IMAGE"]].concat();
    files::assert_none(differences(&upper(&declared()), &given, &ours));
}

#[test]
fn the_entry_point_takes_the_variables_from_the_manifest() {
    let script = file("deploy/container/entrypoint.sh").text;
    assert!(
        script.contains("/^\\[variables\\]/") && script.contains("$app/spin.toml"),
        "it no longer reads spin.toml"
    );
    for name in order_dev::manifests::ENTRY_POINT {
        assert!(script.contains(&format!("${{{name}:-")), "the entry point reads no {name}");
    }
}

#[test]
fn spinkube_has_the_runtime_configuration_of_the_other_deployments() {
    let [copy, original] =
        ["deploy/spinkube/runtime-config.toml", "deploy/runtime-config/shared-database.toml"].map(file);
    assert_eq!(copy.text, original.text, "copy {} to {}", original.path, copy.path);
}

/// A variable, and where it stands.
#[derive(Clone)]
struct Name {
    name: String,
    path: String,
    line: usize,
    is_secret: bool,
}

impl Name {
    fn new(name: &str, file: &File, line: usize) -> Self {
        Self { name: name.to_owned(), path: file.path.clone(), line, is_secret: false }
    }
}

fn file(path: &str) -> File {
    files::read(|other| other == path).pop().expect("one file")
}

/// What `[variables]` declares.
fn declared() -> Vec<Name> {
    declared_in(&file(MANIFEST))
}

fn declared_in(manifest: &File) -> Vec<Name> {
    let table: toml::Table = manifest.text.parse().expect("spin.toml is TOML");
    let variables = table["variables"].as_table().expect("[variables] is a table");
    let mut names = assigned(manifest, |line| line == "[variables]", " =");
    for name in &mut names {
        name.is_secret = variables[&name.name].get("secret").and_then(toml::Value::as_bool) == Some(true);
    }
    assert_eq!(names.len(), variables.len(), "each variable is on a line of its own");
    names
}

fn upper(names: &[Name]) -> Vec<Name> {
    names.iter().map(|one| Name { name: one.name.to_ascii_uppercase(), ..one.clone() }).collect()
}

/// Variables that are declared and not `given`, and those that are given and neither declared nor in `others`.
fn differences(declared: &[Name], given: &[Name], others: &[&str]) -> Vec<Finding> {
    let names = |list: &[Name]| list.iter().map(|one| one.name.clone()).collect::<BTreeSet<_>>();
    let (known, there) = (names(declared), names(given));
    let place = given.first().map_or("an empty file", |one| &one.path);
    let missing = declared.iter().filter(|one| !there.contains(&one.name));
    let missing = missing.map(|one| {
        Finding::new(&one.path, one.line, format!("{} is not in {place}: put it there, too", one.name))
    });
    let unknown =
        given.iter().filter(|one| !known.contains(&one.name) && !others.contains(&one.name.as_str()));
    let unknown = unknown.map(|one| {
        Finding::new(
            &one.path,
            one.line,
            format!("there is no variable {}: delete it here, or declare it in {MANIFEST}", one.name),
        )
    });
    missing.chain(unknown).collect()
}

/// The names at the beginning of lines, before `sign`: from the line after the first for which `begins` holds, up to one that is no
/// deeper than it. A file without such headings begins with `|_| true`.
fn assigned(file: &File, begins: impl Fn(&str) -> bool, sign: &str) -> Vec<Name> {
    let whole = begins("");
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<(usize, &str)> = file.text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
    let first = if whole {
        0
    } else {
        lines.iter().position(|(_, line)| begins(line)).map_or(lines.len(), |at| at + 1)
    };
    let heading = if whole { None } else { first.checked_sub(1).map(|at| lines[at].1) };
    let section = lines[first.min(lines.len())..].iter().take_while(|(_, line)| match heading {
        Some(heading) if heading.starts_with('[') => !line.starts_with('['),
        Some(heading) => line.trim().is_empty() || depth(line) > depth(heading),
        None => true,
    });
    let name = |line: &str| {
        let name =
            line.trim_start().split(sign).next().filter(|name| line.contains(sign) && is_name(name))?;
        Some(name.to_owned())
    };
    section.filter_map(|(at, line)| Some(Name::new(&name(line)?, file, *at))).collect()
}

/// The names between `before` at the beginning of a line and `after`.
fn listed(file: &File, before: &str, after: &str) -> Vec<Name> {
    let lines = file.text.lines().enumerate();
    let name = |line: &str| {
        let rest = line.trim_start().strip_prefix(before)?;
        rest.split_once(after).map(|(name, _)| name.to_owned()).filter(|name| is_name(name))
    };
    lines.filter_map(|(at, line)| Some(Name::new(&name(line)?, file, at + 1))).collect()
}

/// The strings that stand alone on a line.
fn quoted(file: &File) -> Vec<Name> {
    let alone = |line: &str| line.trim().strip_prefix('"')?.strip_suffix("\",").map(str::to_owned);
    let lines = file.text.lines().enumerate();
    lines.filter_map(|(at, line)| Some(Name::new(&alone(line)?, file, at + 1))).collect()
}

/// The names that are asked for one by one.
fn got(file: &File) -> Vec<Name> {
    let asked = |line: &str| {
        let rest = line.split_once("variables::get(\"")?.1;
        rest.split_once('"').map(|(name, _)| name.to_owned())
    };
    let lines = file.text.lines().enumerate();
    lines.filter_map(|(at, line)| Some(Name::new(&asked(line)?, file, at + 1))).collect()
}

/// The names in backticks in the first column of the table under the heading "Variables".
fn told(readme: &File) -> Vec<Name> {
    let lines = readme.text.lines().enumerate().skip_while(|(_, line)| *line != "## Variables").skip(1);
    let rows =
        lines.take_while(|(_, line)| !line.starts_with("## ")).filter(|(_, line)| line.starts_with('|'));
    let names = |(at, line): (usize, &str)| {
        let cell = line.split('|').nth(1).unwrap_or_default();
        cell.split('`').skip(1).step_by(2).map(|name| Name::new(name, readme, at + 1)).collect::<Vec<_>>()
    };
    rows.flat_map(names).collect()
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[Name]) -> Vec<&str> {
        list.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn a_variable_that_only_one_of_them_has_is_found() {
        let manifest = File::new(
            "spin.toml",
            "[variables]\na = { default = \"\" }\nb = { required = true }\n[next]\nc = 1",
        );
        let readme = |cell: &str| {
            let table = format!("## Variables\n| variable | meaning |\n| --- | --- |\n| {cell} | `y` |");
            File::new("README.md", &format!("| `x` |\n{table}\n## Next\n| `z` |"))
        };
        let found = |cell| {
            let found = differences(&declared_in(&manifest), &told(&readme(cell)), &["other"]);
            found.iter().map(Finding::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found("`a`, `b`, `other`"), [""; 0]);
        let missing = found("`a`");
        assert!(
            missing.len() == 1 && missing[0].starts_with("spin.toml:3: b is not in README.md"),
            "{missing:?}"
        );
        let left_over = found("`a`, `b`, `c`");
        assert!(
            left_over.len() == 1 && left_over[0].starts_with("README.md:5: there is no variable c"),
            "{left_over:?}"
        );
    }

    #[test]
    fn a_section_ends_where_a_line_is_no_deeper_than_its_heading() {
        let compose = File::new(
            "compose.yaml",
            "services:\n  a:\n    env:\n      X: 1\n\n      Y:\n  b:\n    env:\n      Z: 1\n",
        );
        assert_eq!(names(&assigned(&compose, |line| line == "  a:", ":")), ["env", "X", "Y"]);
        let environment = File::new("config.env", "# a=1\nA=http://b:1\nB=\n");
        assert_eq!(names(&assigned(&environment, |_| true, "=")), ["A", "B"]);
    }

    #[test]
    fn names_are_found_in_lists_and_among_strings() {
        let list = File::new("a.yaml", "- name: X_FILE\n  - name: Y\n  - { name: z, value: 1 }");
        assert_eq!(names(&listed(&list, "- name: ", "_FILE")), ["X"]);
        assert_eq!(names(&listed(&list, "- { name: ", ",")), ["z"]);
        assert_eq!(names(&quoted(&File::new("a.rs", "    \"x\",\n    f(\"y\"),"))), ["x"]);
        let asks = File::new("b.rs", "let a = spin_sdk::variables::get(\"x\").await;\nlet b = \"y\";");
        assert_eq!(names(&got(&asks)), ["x"]);
    }

    #[test]
    fn a_secret_variable_is_known_as_one() {
        let manifest = File::new(
            "spin.toml",
            "[variables]\na = { default = \"\", secret = true }\nb = { default = \"\" }\n",
        );
        let secrets: Vec<bool> = declared_in(&manifest).iter().map(|one| one.is_secret).collect();
        assert_eq!(secrets, [true, false]);
    }
}
