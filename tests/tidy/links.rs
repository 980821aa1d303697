//! What the documents point to is there: files, headings, and paths in backticks.

use std::collections::BTreeMap;

use crate::files::{self, File, Finding};

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let documents = files::read(|path| {
        let is_read = !path.contains('/') || path.starts_with("docs/") || path.starts_with("deploy/");
        is_read && path.ends_with(".md")
    });
    files::assert_none(dead_ends(&documents, &files::paths()));
}

/// The links of `documents` that lead nowhere, in a repository with the files `paths`.
fn dead_ends(documents: &[File], paths: &[String]) -> Vec<Finding> {
    let anchors: BTreeMap<&str, Vec<String>> =
        documents.iter().map(|file| (file.path.as_str(), anchors(&file.text))).collect();
    let mut findings = Vec::new();
    for file in documents {
        for (line, text) in prose(&file.text) {
            let mut find = |what: String| findings.push(Finding::new(&file.path, line, what));
            for target in targets(&without_code(text)) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { Some(file.path.clone()) } else { resolved(&file.path, path) };
                match path.filter(|path| exists(paths, path)) {
                    None => find(format!("the link to {target} leads nowhere: put the path right")),
                    Some(path) => {
                        let known = anchors.get(path.as_str());
                        if !anchor.is_empty()
                            && known.is_some_and(|known| !known.iter().any(|one| one == anchor))
                        {
                            find(format!("{path} has no heading #{anchor}: put the anchor right"));
                        }
                    }
                }
            }
            for name in code(text).filter(|name| looks_like_a_path(name, paths)) {
                let beside = resolved(&file.path, name).is_some_and(|path| exists(paths, &path));
                if !exists(paths, name.trim_end_matches('/')) && !beside {
                    find(format!("there is no `{name}`: name the file that there is"));
                }
            }
        }
    }
    findings
}

/// The lines outside of fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((at + 1, line))
    })
}

/// What stands in backticks on a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A line without what stands in backticks, which makes no links.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The targets of the links on a line: `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let mut targets: Vec<&str> =
        line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()).collect();
    let named = line.split_once("]: ").filter(|(name, _)| name.starts_with('[') && !name.contains(' '));
    targets.extend(named.and_then(|(_, target)| target.split_whitespace().next()));
    targets
}

/// The anchors that GitHub makes of the headings: in lower case, spaces as hyphens, without other signs than hyphens and
/// underscores, and numbered when they repeat.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        if !(1..=6).contains(&level) || !title.starts_with(' ') {
            continue;
        }
        // A link in a heading counts by its text.
        let title = title.trim().split("](").map(|part| {
            part.split_once(')').map_or(
                part,
                |(target, rest)| {
                    if target.contains(['/', '.', '#']) { rest } else { part }
                },
            )
        });
        let title = title.collect::<String>().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = anchors.iter().filter(|known| **known == anchor).count();
        let repeated = (before > 0).then(|| format!("{anchor}-{before}"));
        anchors.push(anchor);
        anchors.extend(repeated);
    }
    anchors
}

/// Where `target`, relative to the file `from`, is in the repository; `None` outside of it.
fn resolved(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether there is a file or a folder of that path.
fn exists(paths: &[String], path: &str) -> bool {
    path.is_empty()
        || paths
            .iter()
            .any(|one| one.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether a word in backticks is the path of a file or folder: it begins with a folder of the repository's root, and has
/// no placeholder.
fn looks_like_a_path(name: &str, paths: &[String]) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let is_folder = |first: &str| {
        paths.iter().any(|path| path.split_once('/').is_some_and(|(folder, _)| folder == first))
    };
    plain && name.split_once('/').is_some_and(|(first, _)| is_folder(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let documents =
            [File::new(path, text), File::new("docs/B.md", "# Two `words`, one\n## Again\n## Again\n")];
        let paths = [path, "docs/B.md", "src/domain/saga.rs", "deploy/compose/a.toml"].map(str::to_owned);
        dead_ends(&documents, &paths).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn links_to_files_folders_and_headings_are_followed() {
        let text = "# Top\n[a](docs/B.md), [b](docs/B.md#two-words-one) [c](docs/B.md#again-1) [d](#top)\n\
            [e](deploy/compose) [f](https://example.org/x) `[g](nothing)` `src/domain/saga.rs` `src/`\n\
            ```\n[h](nothing)\n```\n`src/<name>.rs` `text/html` `http/problem.rs`\n";
        assert_eq!(found("README.md", text), [""; 0]);
        assert_eq!(found("docs/A.md", "[a](B.md#again) [b](../README.md/..)"), [""; 0]);
    }

    #[test]
    fn a_missing_file_heading_or_path_is_found_with_its_line() {
        let found = found(
            "README.md",
            "\n[a](docs/C.md)\n[b](docs/B.md#three)\n`src/saga.rs`\n[c]: nothing.md\n[d](../out)",
        );
        let starts = [
            "README.md:2: the link to docs/C.md",
            "README.md:3: docs/B.md has no heading #three",
            "README.md:4: there is no `src/saga.rs`",
            "README.md:5: the link to nothing.md",
            "README.md:6: the link to ../out",
        ];
        assert_eq!(found.len(), starts.len(), "{found:?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}");
        }
    }
}
