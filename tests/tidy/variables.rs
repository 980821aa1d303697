//! The README lists the variables that there are.

use crate::files::{self, File, Finding};

#[test]
fn the_readme_lists_exactly_the_variables_of_the_manifest() {
    let files = files::read(|path| path == "README.md" || path == "spin.toml");
    let [readme, manifest] = &files[..] else { panic!("README.md and spin.toml stand at the top") };
    files::assert_none(differences(manifest, readme));
}

fn differences(manifest: &File, readme: &File) -> Vec<Finding> {
    let table: toml::Table = manifest.text.parse().expect("spin.toml is TOML");
    let there: Vec<&String> = table["variables"].as_table().expect("[variables] is a table").keys().collect();
    let told = told(&readme.text);
    let mut findings = Vec::new();
    for name in &there {
        if !told.iter().any(|(told, _)| told == *name) {
            let line =
                manifest.text.lines().position(|line| line.starts_with(&format!("{name} ="))).unwrap_or(0)
                    + 1;
            let what = format!(
                "{name} is not in the table under \"Variables\" in {}: tell its default and meaning there",
                readme.path
            );
            findings.push(Finding::new(&manifest.path, line, what));
        }
    }
    for (name, line) in told {
        if !there.iter().any(|there| **there == name) {
            let what = format!("{} has no variable {name}: delete it here", manifest.path);
            findings.push(Finding::new(&readme.path, line, what));
        }
    }
    findings
}

/// The names in backticks in the first column of the table under the heading "Variables", with their lines.
fn told(readme: &str) -> Vec<(String, usize)> {
    let lines = readme.lines().enumerate().skip_while(|(_, line)| *line != "## Variables").skip(1);
    let rows =
        lines.take_while(|(_, line)| !line.starts_with("## ")).filter(|(_, line)| line.starts_with('|'));
    let names = |(at, line): (usize, &str)| {
        let cell = line.split('|').nth(1).unwrap_or_default().to_owned();
        let names: Vec<String> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names.into_iter().map(move |name| (name, at + 1))
    };
    rows.flat_map(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_only_one_of_them_has_is_found() {
        let manifest =
            File::new("spin.toml", "[variables]\na = { default = \"\" }\nb = { required = true }\n");
        let readme = |cell: &str| {
            File::new(
                "README.md",
                &format!(
                    "| `x` |\n## Variables\n| variable | meaning |\n| --- | --- |\n| {cell} | `y` |\n## Next\n| `z` |"
                ),
            )
        };
        let found =
            |cell| differences(&manifest, &readme(cell)).iter().map(Finding::to_string).collect::<Vec<_>>();
        assert_eq!(found("`a`, `b`"), [""; 0]);
        let missing = found("`a`");
        assert!(missing.len() == 1 && missing[0].starts_with("spin.toml:3: b is not in"), "{missing:?}");
        let left_over = found("`a`, `b`, `c`");
        assert!(
            left_over.len() == 1 && left_over[0].starts_with("README.md:5: spin.toml has no variable c"),
            "{left_over:?}"
        );
    }
}
