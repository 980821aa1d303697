//! The repository's files, and what is found in them.

use std::fmt;
use std::path::Path;

/// A text file of the repository.
pub struct File {
    /// From the repository's root, with `/` between the parts.
    pub path: String,
    pub text: String,
}

impl File {
    /// A file for a test of a rule.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The name without folders and without the last ending.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }
}

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, PartialEq)]
pub struct Finding {
    pub path: String,
    /// The first line is 1.
    pub line: usize,
    pub what: String,
}

impl Finding {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Fails with every finding on a line of its own.
#[track_caller]
pub fn assert_none(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} to put right:\n{}", lines.len(), lines.join("\n"));
}

/// The paths of all files of the repository, sorted; without what git or a build keeps there.
pub fn paths() -> Vec<String> {
    let mut paths = Vec::new();
    walk(&order_dev::repo_root(), "", &mut paths);
    paths.sort();
    paths
}

fn walk(folder: &Path, prefix: &str, paths: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the repository can be read") {
        let entry = entry.expect("the repository can be read");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let path = format!("{prefix}{name}");
        if !entry.file_type().expect("the repository can be read").is_dir() {
            paths.push(path);
        } else if name != ".git" && name != "target" && !entry.path().join("CACHEDIR.TAG").exists() {
            walk(&entry.path(), &format!("{path}/"), paths);
        }
    }
}

/// The files for which `wanted` holds, sorted by path.
pub fn read(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let root = order_dev::repo_root();
    let chosen = paths().into_iter().filter(|path| wanted(path));
    let files: Vec<File> = chosen
        .map(|path| {
            let text = std::fs::read_to_string(root.join(&path));
            File { text: text.unwrap_or_else(|error| panic!("{path}: {error}")), path }
        })
        .collect();
    assert!(!files.is_empty(), "the rule finds no file to look at: has its folder been renamed?");
    files
}

/// The component's sources.
pub fn sources() -> Vec<File> {
    read(|path| path.starts_with("src/") && path.ends_with(".rs"))
}
