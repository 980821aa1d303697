//! Every alert has its entry in docs/OPERATIONS.md, to which it leads, and every entry its alert.

use crate::files::{self, File, Finding};

const RULES: &str = "deploy/observability/alerts.yml";
const RUNBOOK: &str = "docs/OPERATIONS.md";
/// Entries are headings of this part.
const PART: &str = "## What to alert on";

#[test]
fn every_alert_has_an_entry_in_the_runbook_and_every_entry_an_alert() {
    files::assert_none(unpaired(&files::read(|path| path == RULES || path == RUNBOOK)));
}

/// The values of a key in a YAML file, with their lines.
fn values<'a>(file: &'a File, key: &str) -> Vec<(&'a str, usize)> {
    let lines = file.text.lines().zip(1..);
    lines.filter_map(|(text, line)| Some((text.trim_start().strip_prefix(key)?.trim(), line))).collect()
}

/// The entries of the runbook, with their lines.
fn entries(file: &File) -> Vec<(&str, usize)> {
    let part = file.text.lines().zip(1..).skip_while(|(text, _)| *text != PART).skip(1);
    let part = part.take_while(|(text, _)| !text.starts_with("## "));
    part.filter_map(|(text, line)| Some((text.strip_prefix("### ")?.trim(), line))).collect()
}

fn unpaired(files: &[File]) -> Vec<Finding> {
    let file = |path: &str| files.iter().find(|file| file.path == path);
    let (Some(rules), Some(runbook)) = (file(RULES), file(RUNBOOK)) else {
        return vec![Finding::new(RULES, 1, "the alerts or the runbook are gone")];
    };
    let (alerts, links, entries) = (values(rules, "- alert:"), values(rules, "runbook:"), entries(runbook));
    let mut findings = Vec::new();
    for (alert, line) in &alerts {
        if !entries.iter().any(|(entry, _)| entry == alert) {
            findings.push(Finding::new(RULES, *line, format!("{RUNBOOK} has no entry ### {alert}")));
        }
        let link = format!("{RUNBOOK}#{}", alert.to_lowercase());
        if !links.iter().any(|(known, _)| *known == link) {
            findings.push(Finding::new(RULES, *line, format!("{alert} does not lead to {link}")));
        }
    }
    for (entry, line) in entries {
        if !alerts.iter().any(|(alert, _)| *alert == entry) {
            findings.push(Finding::new(RUNBOOK, line, format!("there is no alert {entry}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_without_an_entry_and_an_entry_without_an_alert_are_found() {
        let rules = "rules:\n  - alert: One\n    annotations:\n      runbook: docs/OPERATIONS.md#one\n  - alert: Two\n";
        let runbook = "### Before\n## What to alert on\n### One\n### Three\n## After\n### Four\n";
        let files = [File::new(RULES, rules), File::new(RUNBOOK, runbook)];
        let found: Vec<(String, usize)> =
            unpaired(&files).into_iter().map(|finding| (finding.path, finding.line)).collect();
        assert_eq!(found, [(RULES.into(), 5), (RULES.into(), 5), (RUNBOOK.into(), 4)]);
        assert_eq!(unpaired(&[]).len(), 1);
    }
}
