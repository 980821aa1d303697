//! A database function stands in a file of its own, is named after it, and says above it what a caller must know.

use crate::files::{self, File, Finding};
use crate::sql::{self, Word};

const FOLDER: &str = "migrations/functions/";

/// What the comment above a function tells: what it returns, which rows it locks, and when it commits (or that it does not).
const TOLD: [&str; 3] = ["return", "lock", "commit"];

#[test]
fn every_database_function_stands_in_a_file_of_its_own_that_tells_what_it_does() {
    files::assert_none(untidy(&files::read(|path| path.starts_with(FOLDER) && path.ends_with(".sql"))));
}

#[test]
fn only_a_function_that_a_table_an_index_or_a_trigger_calls_stands_beside_the_tables() {
    files::assert_none(misplaced(&files::read(product_sql)));
}

#[test]
fn what_changes_an_order_is_listed_as_a_change() {
    files::assert_none(unmarked_changes(&files::read(|path| {
        path.starts_with(FOLDER) && path.ends_with(".sql")
    })));
}

/// Functions that set an order's `updated_at` and not its `changed_xid`: whoever follows changes (`updated_since`) would miss them.
fn unmarked_changes(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let words = sql::words(&file.text);
        let statements = words.split(|word| word.text == ";");
        for statement in statements {
            let sets = |name: &str| {
                let of_update = statement.windows(2).any(|two| two[0].text == name && two[1].text == "=");
                of_update
                    || statement.iter().any(|word| word.text == "insert")
                        && statement.iter().any(|word| word.text == name)
            };
            if sets("updated_at") && !sets("changed_xid") {
                let what = "this changes an order: set changed_xid = pg_current_xact_id(), too";
                findings.push(Finding::new(&file.path, statement[0].line, what));
            }
        }
    }
    findings
}

/// The SQL of the service itself; the tools in `dev/` and the tests may make functions for their own use.
fn product_sql(path: &str) -> bool {
    (path.starts_with("migrations/") || path.starts_with("src/")) && path.ends_with(".sql")
}

fn untidy(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with(FOLDER)) {
        let words = sql::words(&file.text);
        let created = sql::created(&words);
        let [at] = created[..] else {
            let line = created.get(1).map_or(1, |&at| words[at].line);
            let what = format!("{} functions are created here: one file, one function", created.len());
            findings.push(Finding::new(&file.path, line, what));
            continue;
        };
        let Word { text: name, line, .. } = &words[at];
        if sql::bare(name) != file.stem() {
            findings.push(Finding::new(
                &file.path,
                *line,
                format!("name the file {}.sql after its function", sql::bare(name)),
            ));
        }
        let above = file.text.lines().take(line - 1).filter(|line| line.trim_start().starts_with("--"));
        let comment = above.collect::<Vec<_>>().join("\n").to_lowercase();
        let missing: Vec<String> =
            TOLD.iter().filter(|word| !comment.contains(**word)).map(|word| format!("{word}s")).collect();
        if !missing.is_empty() {
            let what = format!("say in a comment above the function what it {}", missing.join(", what it "));
            findings.push(Finding::new(&file.path, *line, what));
        }
    }
    findings
}

fn misplaced(files: &[File]) -> Vec<Finding> {
    let is_tables = |file: &File| file.path.starts_with("migrations/0");
    let tables: Vec<Vec<Word>> =
        files.iter().filter(|file| is_tables(file)).map(|file| sql::words(&file.text)).collect();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !file.path.starts_with(FOLDER)) {
        let words = sql::words(&file.text);
        for at in sql::created(&words) {
            let name = sql::bare(&words[at].text);
            if !is_tables(file) || !tables.iter().any(|words| a_table_calls(words, name)) {
                let what = format!(
                    "move {name} to {FOLDER}{name}.sql: no constraint, index or trigger of a table calls it"
                );
                findings.push(Finding::new(&file.path, words[at].line, what));
            }
        }
    }
    findings
}

/// Whether a `CREATE TABLE` or an `ALTER TABLE` of `words` calls the function, in a check, a default, a generated column; or a
/// `CREATE INDEX`, or a `CREATE TRIGGER`.
fn a_table_calls(words: &[Word], name: &str) -> bool {
    let outside: Vec<Word> = words.iter().filter(|word| !word.in_body).cloned().collect();
    outside.split(|word| word.text == ";").any(|statement| {
        let is = |at: usize, text: &str| statement.get(at).is_some_and(|word| word.text == text);
        let is_table = (is(0, "create") || is(0, "alter")) && is(1, "table");
        (is_table || is(0, "create") && (is(1, "index") || is(1, "trigger"))) && sql::calls(statement, name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMENT: &str = "-- Returns the order. Locks its row. Commits at once.\n";

    fn untidy_in(name: &str, text: &str) -> Vec<String> {
        untidy(&[File::new(&format!("{FOLDER}{name}.sql"), text)]).iter().map(Finding::to_string).collect()
    }

    fn misplaced_in(path: &str, text: &str) -> usize {
        misplaced(&[File::new(path, text)]).len()
    }

    #[test]
    fn a_function_in_its_own_file_under_its_comment_is_tidy() {
        let text = format!("{COMMENT}CREATE FUNCTION a() RETURNS int AS $$ SELECT 1 $$;");
        assert_eq!(untidy_in("a", &text), [""; 0]);
    }

    #[test]
    fn another_name_two_functions_none_and_a_silent_comment_are_found() {
        let function = "CREATE OR REPLACE FUNCTION a() RETURNS int AS $$ SELECT 1 $$;\n";
        let found = untidy_in("b", &format!("{COMMENT}{function}"));
        assert!(
            found.len() == 1 && found[0].starts_with("migrations/functions/b.sql:2: name the file a.sql"),
            "{found:?}"
        );
        let found = untidy_in("a", &format!("{COMMENT}{function}{function}"));
        assert!(found.len() == 1 && found[0].contains("a.sql:3: 2 functions"), "{found:?}");
        assert_eq!(untidy_in("a", COMMENT).len(), 1);
        let found = untidy_in("a", &format!("-- Returns one.\n{function}"));
        assert!(found.len() == 1 && found[0].ends_with("what it locks, what it commits"), "{found:?}");
    }

    #[test]
    fn a_change_that_followers_would_miss_is_found() {
        let found = |body: &str| unmarked_changes(&[File::new("migrations/functions/a.sql", body)]).len();
        assert_eq!(found("BEGIN; UPDATE orders SET updated_at = at WHERE id = 1; END"), 1);
        assert_eq!(found("UPDATE orders SET updated_at = at, changed_xid = pg_current_xact_id()"), 0);
        assert_eq!(found("INSERT INTO orders (id, updated_at) VALUES (1, at)"), 1);
        assert_eq!(
            found("INSERT INTO orders (id, updated_at, changed_xid) VALUES (1, at, pg_current_xact_id())"),
            0
        );
        assert_eq!(found("SELECT updated_at FROM orders; UPDATE orders SET attempts = 1"), 0);
    }

    #[test]
    fn a_function_elsewhere_is_found_unless_a_table_calls_it() {
        let function = "CREATE FUNCTION a(b int) RETURNS int AS $$ SELECT b $$;";
        let table = "CREATE TABLE t (b int CHECK (a(b) > 0));";
        assert_eq!(misplaced_in("migrations/0001_t.sql", function), 1);
        assert_eq!(misplaced_in("migrations/0001_t.sql", &format!("{function} SELECT a(1);")), 1);
        assert_eq!(misplaced_in("migrations/0001_t.sql", &format!("{function} {table}")), 0);
        let trigger = "CREATE TRIGGER c AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION a();";
        assert_eq!(misplaced_in("migrations/0001_t.sql", &format!("{function} {trigger}")), 0);
        let index = "CREATE INDEX c ON t (b) WHERE a(b) > 0;";
        assert_eq!(misplaced_in("migrations/0001_t.sql", &format!("{function} {index}")), 0);
        assert_eq!(misplaced_in("src/db/sql/a.sql", &format!("{function} {table}")), 1);
        assert_eq!(misplaced_in("migrations/functions/a.sql", function), 0);
    }
}
