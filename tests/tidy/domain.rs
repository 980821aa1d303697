//! The domain is pure: no Spin, no clock, no randomness, no I/O.

use crate::files::{self, File, Finding};
use crate::rust;

/// Crates, modules of `std`, types and functions by which the world would come in.
const IMPURE: &[&str] =
    &["spin_sdk", "wasip3", "wit_bindgen", "rand", "getrandom", "Instant", "SystemTime", "now_v7", "new_v4"];
const IMPURE_IN_STD: &[&str] = &["env", "fs", "io", "net", "process", "thread"];

#[test]
fn the_domain_knows_no_spin_no_clock_no_randomness_and_no_io() {
    files::assert_none(impurities(&files::sources()));
}

fn impurities(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("src/domain/")) {
        let tokens = rust::tokens(file);
        for (at, token) in tokens.iter().enumerate() {
            let Some(name) = token.ident() else { continue };
            let in_std = at >= 3 && tokens[at - 3].ident() == Some("std") && tokens[at - 1].is(':');
            if IMPURE.contains(&name) || in_std && IMPURE_IN_STD.contains(&name) {
                let what = format!(
                    "the domain is pure and must not know `{name}`: take what it gives as an argument"
                );
                findings.push(Finding::new(&file.path, token.line, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        impurities(&[File::new(path, text)]).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn clocks_randomness_spin_and_io_are_found() {
        assert_eq!(
            found("src/domain/a.rs", "use std::time::{Duration, Instant};\nuse spin_sdk::pg;"),
            [1, 2]
        );
        assert_eq!(found("src/domain/a.rs", "fn f() {\n getrandom::fill(b);\n std::fs::read(p); }"), [2, 3]);
    }

    #[test]
    fn durations_comments_and_other_rooms_are_none_of_them() {
        assert_eq!(found("src/domain/a.rs", "// Instant\nuse std::time::Duration; fn env() {}"), [0; 0]);
        assert_eq!(found("src/runtime/a.rs", "use std::time::Instant;"), [0; 0]);
    }
}
