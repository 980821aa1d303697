//! What the component and the functions of `migrations/` promise each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use order_dev::{migrations, repo_root};

use crate::support::*;

/// The names of a folder's `.sql` files with their texts.
pub(super) fn sql_files(folder: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(repo_root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let sql = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sql"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    sql.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect()
}

/// The words of a statement that are followed by a parenthesis.
pub(super) fn called(statement: &str) -> BTreeSet<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = statement.match_indices('(').map(|(end, _)| &statement[..end]);
    before.map(|text| &text[text.rfind(|c| !is_word(c)).map_or(0, |at| at + 1)..]).collect()
}

/// What stands between apostrophes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_have_the_signatures_on_which_copies_of_the_version_before_rely() {
    let database = empty_database().await;
    migrations::apply(&database).await.unwrap();
    let store = Store::new(database);
    let installed = store
        .rows(
            "SELECT proname || '(' || pg_get_function_arguments(oid) || ') -> ' || pg_get_function_result(oid) AS line
             FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
        )
        .await;
    let installed: BTreeSet<&str> = installed.iter().map(|row| row["line"].as_str().unwrap()).collect();
    let list = std::fs::read_to_string(repo_root().join("migrations/functions/signatures.txt")).unwrap();
    let listed: BTreeSet<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let (gone, new): (Vec<_>, Vec<_>) =
        (listed.difference(&installed).collect(), installed.difference(&listed).collect());
    assert!(
        gone.is_empty() && new.is_empty(),
        "migrations/functions differs from migrations/functions/signatures.txt.\n\
         Not as they were any more: {gone:#?}\n\
         New: {new:#?}\n\
         A copy of the version before calls what is listed, so a line may go only when that version is deployed nowhere: \
         leave such a function as it was, and give the changed one a new name. Add the lines of new functions to the list."
    );
    let names: BTreeSet<&str> = installed.iter().map(|line| line.split('(').next().unwrap()).collect();
    assert_eq!(names.len(), installed.len(), "one function a name: /health looks for names");
    // What a constraint calls stands with the tables.
    let (files, tables) = (sql_files("migrations/functions"), sql_files("migrations"));
    let is_of_table = |name: &str| tables.values().any(|sql| sql.contains(&format!("FUNCTION {name}(")));
    let names: BTreeSet<&str> = names.into_iter().filter(|name| !is_of_table(name)).collect();
    assert_eq!(files.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
}

/// Installing the set checks no body, because functions come in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_of_every_function_can_be_read() {
    let database = empty_database().await;
    migrations::apply(&database).await.unwrap();
    let read = "SELECT count(CASE lanname WHEN 'plpgsql' THEN plpgsql_validator(p.oid)::text
                             WHEN 'sql' THEN fmgr_sql_validator(p.oid)::text END)
                FROM pg_proc p JOIN pg_language l ON l.oid = prolang WHERE pronamespace = 'public'::regnamespace";
    let functions = sql_files("migrations/functions").len() as i64;
    assert!(Store::new(database).count(read).await >= functions);
}

#[test]
fn health_asks_for_all_table_files_and_for_every_function_that_a_statement_calls() {
    let statements = sql_files("src/db/sql");
    let functions = sql_files("migrations/functions");
    let check = &statements["check_schema"];
    let tables = sql_files("migrations");
    let needed =
        tables.keys().map(String::as_str).filter(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    let others = statements.iter().filter(|(name, _)| *name != "check_schema");
    let calls = others.flat_map(|(_, statement)| called(statement));
    let needed: BTreeSet<&str> = needed.chain(calls.filter(|name| functions.contains_key(*name))).collect();
    let mut asked = quoted(check);
    // The settings that it reads, and its answers.
    for other in [
        "transaction_read_only",
        "read-only",
        "statement_timeout",
        "0",
        "no statement timeout",
        "public",
        "old schema",
    ] {
        assert!(asked.remove(other), "{other}");
    }
    assert_eq!(asked, needed, "src/db/sql/check_schema.sql must list these");
}

/// The names of a function's parameters and their types, in its order.
pub(super) fn parameters_of(function: &str) -> Vec<(String, String)> {
    let list = std::fs::read_to_string(repo_root().join("migrations/functions/signatures.txt")).unwrap();
    let line = list.lines().find_map(|line| line.strip_prefix(&format!("{function}(")));
    let (parameters, _) =
        line.unwrap_or_else(|| panic!("{function} is in the list")).split_once(") -> ").unwrap();
    let parameters =
        parameters.split(", ").filter(|parameter| !parameter.starts_with("OUT ") && !parameter.is_empty());
    let parts = parameters.map(|parameter| parameter.split_once(' ').unwrap());
    parts.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// What stands before `$1`, `$2`, …: `name => $1` or `/* name */ $1`.
fn names_in(call: &str) -> Vec<String> {
    let before = call.match_indices('$').map(|(at, _)| {
        let text = &call[..at];
        let text =
            text.strip_suffix(" => ").or_else(|| text.strip_suffix(" */ ")).expect("a named parameter");
        text.rsplit([' ', '(']).next().unwrap().to_owned()
    });
    before.collect()
}

#[test]
fn every_parameter_of_a_statement_has_the_name_that_the_function_gives_it() {
    let functions = sql_files("migrations/functions");
    let mut calls = 0;
    for (name, statement) in sql_files("src/db/sql") {
        for function in called(&statement).into_iter().filter(|name| functions.contains_key(*name)) {
            assert_eq!(name, function, "a statement has the name of its function");
            let (_, call) = statement.split_once(function).unwrap();
            let (names, _): (Vec<String>, Vec<String>) = parameters_of(function).into_iter().unzip();
            assert_eq!(names_in(call), names, "{name}");
            calls += 1;
        }
    }
    assert!(calls >= 14, "{calls}");
}
