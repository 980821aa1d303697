//! A file of the component is short enough to be read at once.

use crate::files::{self, File, Finding};

const MOST_LINES: usize = 400;

#[test]
fn no_source_file_but_the_saga_is_longer_than_400_lines() {
    files::assert_none(long(&files::sources()));
}

/// The saga is one match over every event in every phase, and is read as a whole.
fn long(files: &[File]) -> Vec<Finding> {
    let long = files.iter().filter(|file| !file.path.starts_with("src/domain/saga"));
    let long = long.map(|file| (file, file.text.lines().count())).filter(|(_, lines)| *lines > MOST_LINES);
    let finding = |(file, lines): (&File, usize)| {
        Finding::new(
            &file.path,
            lines,
            format!("{lines} lines are more than {MOST_LINES}: make two files of it"),
        )
    };
    long.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_the_saga_is_left_alone() {
        let (most, more) = ("\n".repeat(MOST_LINES), "\n".repeat(MOST_LINES + 1));
        let files = [
            File::new("src/db/a.rs", &most),
            File::new("src/db/b.rs", &more),
            File::new("src/domain/saga.rs", &more),
            File::new("src/domain/saga_tests.rs", &more),
        ];
        let found: Vec<String> = long(&files).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["src/db/b.rs"]);
    }
}
