//! The commands of `docs/API.md`, as somebody would paste them, one block after the other into the same shell.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use super::service::Service;
use crate::component;

const GUIDE: &str = "docs/API.md";

/// Runs the commands; those that end with a status in a comment (`# 201`) must be answered with it.
///
/// # Errors
/// When a command fails, or an answer has another status.
pub async fn run(root: &Path, service: &Service) -> Result<()> {
    let guide = std::fs::read_to_string(root.join(GUIDE)).with_context(|| format!("reading {GUIDE}"))?;
    let script = script(&guide);
    let expected = expected_statuses(&script);
    ensure!(expected.len() > 5, "{GUIDE} has no commands: have its blocks another name than `sh`?");
    let mut shell = Command::new("sh");
    shell.args(["-e", "-u", "-c", &script]);
    let said = component::output(service.environment(&mut shell)).await;
    let said = said.with_context(|| format!("the commands of {GUIDE}"))?;
    let answered = answered_statuses(&said);
    if answered != expected {
        bail!("{GUIDE} promises the statuses {expected:?}, and the answers have {answered:?}:\n{said}");
    }
    println!("The {} commands of {GUIDE} are answered as it says.", expected.len());
    Ok(())
}

/// All blocks of `sh`.
fn script(guide: &str) -> String {
    let blocks = guide.split("\n```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split_once("\n```")).map(|(block, _)| format!("{block}\n")).collect()
}

fn expected_statuses(script: &str) -> Vec<u16> {
    let comments = script.lines().filter_map(|line| line.rsplit_once("  # "));
    comments.filter_map(|(_, status)| status.parse().ok()).collect()
}

fn answered_statuses(said: &str) -> Vec<u16> {
    // A body without a line end has the next answer on its last line.
    let answers = said.split("HTTP/1.1 ").skip(1);
    answers.filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_a_page_are_one_script_with_its_statuses() {
        let guide = "# A\n\n```sh\nA=1\ncurl -i $A \\\n  -d x  # 201\n```\n\n```ts\nno\n```\n\n```sh\ncurl $A  # 404\n```\n";
        let script = script(guide);
        assert_eq!(script, "A=1\ncurl -i $A \\\n  -d x  # 201\ncurl $A  # 404\n");
        assert_eq!(expected_statuses(&script), [201, 404]);
        assert_eq!(answered_statuses("HTTP/1.1 201 Created\r\n\r\n{}HTTP/1.1 404 Not Found\r\n"), [201, 404]);
    }
}
