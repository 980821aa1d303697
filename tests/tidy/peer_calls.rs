//! Every call begins at zero in the metrics: `src/peers/mod.rs` lists them all, whomever they go to.

use std::collections::BTreeSet;

use crate::files::{self, File, Finding};
use crate::rust;

const LIST: &str = "src/peers/mod.rs";
/// Names of spans and of their attributes, and those of tests, which are no calls.
const NO_CALLS: [&str; 4] = ["order_service", "server", "url", "peer"];

#[test]
fn every_call_of_a_peer_is_listed() {
    files::assert_none(unlisted(&files::read(|path| {
        path.starts_with("src/peers/") && path.ends_with(".rs") && !path.ends_with("_tests.rs")
    })));
}

/// The names of calls in a file, as `seating.reserve`.
fn calls(file: &File) -> Vec<(String, usize)> {
    let tokens = rust::tokens(file);
    let names = tokens.iter().filter_map(|token| Some((token.string()?, token.line)));
    names
        .filter(|(text, _)| {
            let is_word = |word: &str| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            text.split_once('.').is_some_and(|(peer, call)| {
                is_word(peer) && is_word(call) && !NO_CALLS.contains(&peer) && call != "rs"
            })
        })
        .map(|(text, line)| (text.to_owned(), line))
        .collect()
}

fn unlisted(files: &[File]) -> Vec<Finding> {
    let (lists, callers): (Vec<&File>, Vec<&File>) = files.iter().partition(|file| file.path == LIST);
    let listed: Vec<(String, usize)> = lists.into_iter().flat_map(calls).collect();
    let made: Vec<(&File, String, usize)> = callers
        .into_iter()
        .flat_map(|file| calls(file).into_iter().map(move |(call, line)| (file, call, line)))
        .collect();
    let names: BTreeSet<&str> = made.iter().map(|(_, call, _)| &**call).collect();
    let left_over = listed.iter().filter(|(call, _)| !names.contains(&**call));
    let left_over =
        left_over.map(|(call, line)| Finding::new(LIST, *line, format!("no peer has the call {call}")));
    let missing = made.iter().filter(|(_, call, _)| !listed.iter().any(|(known, _)| known == call));
    let missing = missing.map(|(file, call, line)| {
        Finding::new(&file.path, *line, format!("{call} is missing in CALLS of {LIST}"))
    });
    left_over.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_missing_or_left_over_is_found() {
        let files = [
            File::new(LIST, "pub const CALLS: [&str; 2] = [\"user.by_name\", \"payment.ask\"];"),
            File::new("src/peers/user.rs", "let call = Call { name: \"user.by_name\" };"),
            File::new("src/peers/seating.rs", "call(\"seating.of_order\", \"url.full\", \"a.b-c\");"),
            File::new("src/peers/somebody/new.rs", "Call { name: \"somebody.new\" };"),
        ];
        let found: Vec<String> = unlisted(&files).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, [LIST, "src/peers/seating.rs", "src/peers/somebody/new.rs"]);
    }
}
