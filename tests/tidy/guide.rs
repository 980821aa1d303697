//! The guide for people who integrate knows every error, and tells what to do about it.

use std::collections::BTreeSet;

use crate::files::{self, File, Finding};

const GUIDE: &str = "docs/API.md";
const DOCUMENT: &str = "docs/openapi.json";
const PROBLEMS: &str = "src/http/problem.rs";

#[test]
fn the_guide_has_a_row_for_every_problem_of_the_service_and_no_other() {
    let document: serde_json::Value =
        serde_json::from_str(&file(DOCUMENT).text).expect("the document is JSON");
    let documented = document["components"]["schemas"].as_object().expect("schemas");
    let documented = documented.values().filter_map(code_of_schema).collect();
    files::assert_none(differences(&file(GUIDE), &declared(&file(PROBLEMS)), &documented));
}

fn file(path: &str) -> File {
    files::read(|one| one == path).remove(0)
}

/// Codes that the service has and the guide has not, and rows for codes that the document does not have.
fn differences(guide: &File, declared: &BTreeSet<String>, documented: &BTreeSet<String>) -> Vec<Finding> {
    let rows = rows(guide);
    let told: BTreeSet<&String> = rows.iter().map(|(code, _)| code).collect();
    let missing = declared.iter().filter(|code| !told.contains(code));
    let missing = missing.map(|code| {
        Finding::new(&guide.path, 1, format!("tell what to do about {code}, in a row of its own"))
    });
    let unknown = rows.iter().filter(|(code, _)| !documented.contains(code) && !declared.contains(code));
    let unknown = unknown
        .map(|(code, line)| Finding::new(&guide.path, *line, format!("there is no {code}: remove the row")));
    missing.chain(unknown).collect()
}

/// The codes of the rows ``| `code` | status | what it means | what to do |``, with their lines.
fn rows(guide: &File) -> Vec<(String, usize)> {
    let rows = guide.text.lines().enumerate().filter_map(|(at, line)| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let [code, status, _, to_do] = cells[..] else { return None };
        let is_error = status.parse().is_ok_and(|status: u16| status >= 400) && !to_do.is_empty();
        is_error.then(|| (code.trim_matches('`').to_owned(), at + 1))
    });
    rows.collect()
}

/// The codes of `NAME = "code" STATUS "title";`.
fn declared(problems: &File) -> BTreeSet<String> {
    let lines = problems.text.lines().filter_map(|line| line.trim().split_once(" = \""));
    let lines = lines.filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    lines.filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// The constant `code` of a problem's schema.
fn code_of_schema(schema: &serde_json::Value) -> Option<String> {
    let parts = schema["allOf"].as_array()?.iter();
    parts.filter_map(|part| part["properties"]["code"]["const"].as_str()).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_an_invented_code_are_found() {
        let guide = File::new(
            GUIDE,
            "| code | status | what it means | what to do |\n| `a` | 409 | b | c |\n| `x` | 400 | y | z |\n| `n` | 404 | | |",
        );
        let problems = File::new(
            PROBLEMS,
            "    A = \"a\" CONFLICT \"A\";\n    N = \"n\" NOT_FOUND \"N\";\n let a = \"q\";",
        );
        let declared = declared(&problems);
        assert_eq!(declared, ["a", "n"].map(str::to_owned).into());
        let found = differences(&guide, &declared, &BTreeSet::from(["a".to_owned()]));
        let found: Vec<String> = found.iter().map(Finding::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("about n,") && found[1].starts_with("docs/API.md:3: there is no x"),
            "{found:?}"
        );
    }
}
