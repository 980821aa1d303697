//! No statement and no database function is left over, all statements are listed by name, and the sweep's claims have sessions of
//! their own.

use crate::files::{self, File, Finding};
use crate::{rust, sql};

const STATEMENTS: &str = "src/db/sql/";
/// The statements by which the sweep claims due work. They may take long, and hold up other background work on a shared session.
const CLAIMS: &str = "sql/claim_";
const FUNCTIONS: &str = "migrations/functions/";
/// Where the names of all statements are listed, for metrics that begin at zero.
const LIST: &str = "src/db/statement_name.rs";
/// They end sessions, and are not measured.
const NOT_MEASURED: [&str; 2] = ["end_session", "end_old_session"];
/// It calls no function of the service, and is measured under its own name.
const WITHOUT_FUNCTION: &str = "check_schema";
/// So says the comment of a function that only older copies of the service call, until none is deployed any more.
const FOR_OLD_COPIES: &str = "for copies of the version before";

#[test]
fn every_statement_is_included_in_one_place_of_the_database_room() {
    let files =
        files::read(|path| path.starts_with(STATEMENTS) || path.starts_with("src/") && path.ends_with(".rs"));
    files::assert_none(not_included_once(&files));
}

#[test]
fn every_database_function_is_called() {
    files::assert_none(uncalled(&files::read(|path| {
        (path.starts_with(STATEMENTS) || path.starts_with("migrations/")) && path.ends_with(".sql")
    })));
}

#[test]
fn every_statement_is_listed_by_the_function_that_it_calls() {
    let files = files::read(|path| path == LIST || path.starts_with(STATEMENTS) && path.ends_with(".sql"));
    files::assert_none(unlisted(&files));
}

#[test]
fn the_sweep_claims_on_sessions_of_its_own() {
    files::assert_none(sharing_claims(&files::read(|path| {
        path.starts_with("src/db/") && path.ends_with(".rs")
    })));
}

/// Claims that are not run as `query(config, Session::Own, include_str!(…), …)`.
fn sharing_claims(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let tokens = rust::tokens(file);
        for call in tokens.windows(6) {
            let [session, comma, include, _, _, statement] = call else { continue };
            let is_claim = include.ident() == Some("include_str")
                && statement.string().is_some_and(|name| name.starts_with(CLAIMS));
            if is_claim && !(session.ident() == Some("Own") && comma.is(',')) {
                let what = "a claim may take long: run it with Session::Own";
                findings.push(Finding::new(&file.path, statement.line, what));
            }
        }
    }
    findings
}

/// Statements that are not in the list, names in the list without a statement, and statements that metrics would call otherwise than
/// their file.
fn unlisted(files: &[File]) -> Vec<Finding> {
    let (lists, statements): (Vec<&File>, Vec<&File>) = files.iter().partition(|file| file.path == LIST);
    let tokens: Vec<rust::Token> = lists.into_iter().flat_map(rust::tokens).collect();
    let strings = tokens.iter().filter_map(|token| Some((token.string()?, token.line)));
    // Comments of documentation are strings, too.
    let listed: Vec<(&str, usize)> = strings.filter(|(text, _)| !text.contains(' ')).collect();
    let measured = || statements.iter().filter(|file| !NOT_MEASURED.contains(&file.stem()));
    let left_over = listed.iter().filter(|(name, _)| !measured().any(|file| file.stem() == *name));
    let mut findings: Vec<Finding> = left_over
        .map(|(name, line)| Finding::new(LIST, *line, format!("no statement has the name {name}")))
        .collect();
    for file in measured() {
        if !listed.iter().any(|(name, _)| *name == file.stem()) {
            findings.push(Finding::new(&file.path, 1, format!("it is missing in STATEMENTS of {LIST}")));
        }
        let called = file.text.split('(').next().and_then(|text| text.split_whitespace().last());
        if called != Some(file.stem()) && file.stem() != WITHOUT_FUNCTION {
            findings.push(Finding::new(&file.path, 1, "its file has another name than its function"));
        }
    }
    findings
}

fn not_included_once(files: &[File]) -> Vec<Finding> {
    let mut included: Vec<(String, &str, usize)> = Vec::new();
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let tokens = rust::tokens(file);
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for four in tokens.windows(4).filter(|four| four[0].ident() == Some("include_str")) {
            let Some(statement) = four[3].string().filter(|name| name.ends_with(".sql")) else { continue };
            let statement = resolved(folder, statement);
            if !file.path.starts_with("src/db/") {
                let what = "only src/db knows statements: ask one of its functions";
                findings.push(Finding::new(&file.path, four[0].line, what));
            } else if let Some((_, other, line)) = included.iter().find(|(known, ..)| *known == statement) {
                let what =
                    format!("{statement} is included in {other}:{line} already: call the function there");
                findings.push(Finding::new(&file.path, four[0].line, what));
            } else {
                included.push((statement, &file.path, four[0].line));
            }
        }
    }
    for file in files.iter().filter(|file| file.path.starts_with(STATEMENTS)) {
        if !included.iter().any(|(statement, ..)| *statement == file.path) {
            findings.push(Finding::new(
                &file.path,
                1,
                "nothing in src/db includes this statement: delete it",
            ));
        }
    }
    findings
}

/// The path of what a file in `folder` calls `relative`.
fn resolved(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in relative.split('/') {
        if part == ".." {
            parts.pop();
        } else if part != "." {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn uncalled(files: &[File]) -> Vec<Finding> {
    let words: Vec<(&File, Vec<sql::Word>)> =
        files.iter().map(|file| (file, sql::words(&file.text))).collect();
    let functions = files.iter().filter(|file| file.path.starts_with(FUNCTIONS));
    let unused = functions.filter(|function| {
        !function.text.contains(FOR_OLD_COPIES)
            && !words
                .iter()
                .any(|(file, words)| file.path != function.path && sql::calls(words, function.stem()))
    });
    let what = "no statement, function or table calls this function: delete it, and drop it in a migration";
    unused.map(|function| Finding::new(&function.path, 1, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn included(rust: &[(&str, &str)]) -> Vec<String> {
        let mut files: Vec<File> = rust.iter().map(|(path, text)| File::new(path, text)).collect();
        files.push(File::new("src/db/sql/a.sql", "SELECT 1"));
        not_included_once(&files).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_statement_that_is_included_never_twice_or_elsewhere_is_found() {
        let include = r#"const A: &str = include_str!("sql/a.sql");"#;
        assert_eq!(included(&[("src/db/a.rs", include)]), [""; 0]);
        let below = r#"const A: &str = include_str!("../sql/a.sql");"#;
        assert_eq!(included(&[("src/db/b/mod.rs", below)]), [""; 0]);
        assert!(
            included(&[("src/db/a.rs", &format!("// {include}"))])[0]
                .starts_with("src/db/sql/a.sql:1: nothing")
        );
        let twice = included(&[("src/db/a.rs", include), ("src/db/b.rs", &format!("\n{include}"))]);
        assert!(
            twice.len() == 1
                && twice[0].starts_with("src/db/b.rs:2: src/db/sql/a.sql is included in src/db/a.rs:1")
        );
        let elsewhere = ("src/http/a.rs", r#"const A: &str = include_str!("../db/sql/a.sql");"#);
        assert_eq!(included(&[("src/db/a.rs", include), elsewhere]).len(), 1);
    }

    #[test]
    fn a_statement_that_is_not_listed_by_its_name_is_found() {
        let files = [
            File::new(LIST, "pub const STATEMENTS: [&str; 2] = [\"load_order\", \"gone\", \"other\"];"),
            File::new("src/db/sql/load_order.sql", "SELECT load_order(p_id => $1)"),
            File::new("src/db/sql/other.sql", "SELECT a, b FROM another(p_id => $1)"),
            File::new("src/db/sql/new.sql", "SELECT new(p_id => $1)"),
            File::new("src/db/sql/end_session.sql", "SELECT pg_terminate_backend(pg_backend_pid())"),
        ];
        let found: Vec<String> = unlisted(&files).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, [LIST, "src/db/sql/other.sql", "src/db/sql/new.sql"]);
    }

    #[test]
    fn a_claim_on_a_shared_session_is_found() {
        let found = |session: &str, statement: &str| {
            let call = format!("fn f() {{ query(config, {session}, include_str!(\"{statement}\"), g) }}");
            sharing_claims(&[File::new("src/db/a.rs", &call)]).len()
        };
        assert_eq!(found("Session::Shared", "sql/claim_due_orders.sql"), 1);
        assert_eq!(found("session", "sql/claim_due_messages.sql"), 1);
        assert_eq!(found("Session::Own", "sql/claim_due_orders.sql"), 0);
        assert_eq!(found("Session::Shared", "sql/place_order.sql"), 0);
    }

    #[test]
    fn a_function_that_only_it_itself_and_comments_call_is_found() {
        let function = File::new("migrations/functions/f.sql", "CREATE FUNCTION f() AS $$ SELECT f() $$;");
        let old = format!("-- Only {FOR_OLD_COPIES}.\n{}", function.text);
        assert!(uncalled(&[File::new(&function.path, &old)]).is_empty());
        let with = |path: &str, text: &str| {
            uncalled(&[File::new(&function.path, &function.text), File::new(path, text)]).len()
        };
        assert_eq!(with("src/db/sql/a.sql", "SELECT f()"), 0);
        assert_eq!(
            with("migrations/functions/g.sql", "CREATE FUNCTION g() AS $$ SELECT f() $$;"),
            1 /* g */
        );
        assert_eq!(with("migrations/0001_t.sql", "CREATE TABLE t (a int DEFAULT f());"), 0);
        assert_eq!(with("src/db/sql/a.sql", "SELECT 1 -- f()"), 1);
        assert_eq!(with("migrations/0001_t.sql", "DROP FUNCTION f();"), 1);
    }
}
