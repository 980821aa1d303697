//! A room of `src/` uses only rooms on lower floors, and no modules use each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::files::{self, File, Finding};
use crate::rust::{Named, named};

/// The rooms, from the lowest floor up. A room may use itself and what is on lower floors, its tests included, and so
/// none on its own floor. `lib.rs` may use all.
const FLOORS: &[&[&str]] = &[
    &["domain", "jose"],
    &["runtime"],
    &["telemetry"],
    &["config"],
    &["db", "peers"],
    &["commands", "queries"],
    &["auth"],
    &["http"],
];

#[test]
fn a_room_uses_only_rooms_on_lower_floors() {
    files::assert_none(upward_uses(&files::sources()));
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    files::assert_none(circles(&files::sources()));
}

/// A module's path from the crate's root; the root's is empty.
type Module = Vec<String>;

/// One file's use of another: who, whom, and the line.
#[derive(PartialEq)]
struct Use {
    by: Module,
    of: Module,
    line: usize,
}

struct Crate<'a> {
    files: BTreeMap<Module, &'a File>,
    named: BTreeMap<Module, Vec<Named>>,
}

impl<'a> Crate<'a> {
    fn read(files: &'a [File]) -> Self {
        let files: BTreeMap<Module, &File> = files.iter().map(|file| (module(&file.path), file)).collect();
        let named = files.iter().map(|(module, file)| (module.clone(), named(module, file))).collect();
        Self { files, named }
    }

    /// Every use of one file by another. What a module only offers to others (`pub use`) it does not use itself: who uses
    /// it by that name uses the file where it stands.
    fn uses(&self) -> Vec<Use> {
        let mut uses: Vec<Use> = Vec::new();
        for (by, named) in &self.named {
            for named in named {
                let of = self.owner(&named.path, 0);
                let offers_child = named.offered_as.is_some() && of.len() > by.len() && of.starts_with(by);
                let this = Use { by: by.clone(), of, line: named.line };
                // `use crate::wire::{self, Body}` is one use.
                if this.of != *by && !offers_child && uses.last() != Some(&this) {
                    uses.push(this);
                }
            }
        }
        uses
    }

    /// The module whose file holds what `path` names.
    fn owner(&self, path: &[String], depth: usize) -> Module {
        let known = (0..=path.len()).rev().find(|&parts| self.files.contains_key(&path[..parts]));
        let (module, rest) = path.split_at(known.unwrap_or(0));
        let offered = self.named.get(module).into_iter().flatten().find(|named| {
            named.offered_as.is_some() && named.offered_as.as_ref() == rest.first() && named.path != path
        });
        match offered {
            // A chain of offers ends; the bound is for circles of them.
            Some(named) if depth < 8 => self.owner(&[&named.path, &rest[1..]].concat(), depth + 1),
            _ => module.to_vec(),
        }
    }

    fn path(&self, module: &[String]) -> &str {
        self.files.get(module).map_or("src/lib.rs", |file| &file.path)
    }
}

/// `src/db/mod.rs` is `db`, `src/db/orders.rs` is `db::orders`; `saga_tests.rs` holds the tests of `saga.rs`.
fn module(path: &str) -> Module {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Module = path.split('/').map(str::to_owned).collect();
    if let Some(tested) = parts.last().and_then(|last| last.strip_suffix("_tests")).map(str::to_owned) {
        parts.pop();
        parts.extend([tested, "tests".to_owned()]);
    }
    parts.pop_if(|last| *last == "mod" || (*last == "lib" && path == "lib"));
    parts
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn upward_uses(files: &[File]) -> Vec<Finding> {
    let the_crate = Crate::read(files);
    let mut findings = Vec::new();
    for (module, file) in &the_crate.files {
        if module.first().is_some_and(|room| floor(room).is_none()) {
            let what =
                "this is in no room: move it into one, or give its room a floor in tests/tidy/rooms.rs";
            findings.push(Finding::new(&file.path, 1, what));
        }
    }
    for Use { by, of, line } in the_crate.uses() {
        let Some(room) = by.first() else { continue };
        let used = of.first().map_or("lib.rs", String::as_str);
        if used == room || floor(used) < floor(room) && floor(used).is_some() {
            continue;
        }
        // A file in no room has a finding already.
        if let Some(own) = floor(room) {
            let lower = FLOORS[..own].concat().join(", ");
            let what = format!(
                "{room} uses {used} ({}), but may use only {}: move what they share down, or this up",
                the_crate.path(&of),
                if lower.is_empty() { "itself" } else { &lower },
            );
            findings.push(Finding::new(the_crate.path(&by), line, what));
        }
    }
    findings
}

fn circles(files: &[File]) -> Vec<Finding> {
    let the_crate = Crate::read(files);
    let mut users: BTreeMap<Module, BTreeMap<Module, usize>> = BTreeMap::new();
    for Use { by, of, line } in the_crate.uses() {
        users.entry(by).or_default().entry(of).or_insert(line);
    }
    let mut told: BTreeSet<Module> = BTreeSet::new();
    let mut findings = Vec::new();
    for start in users.keys() {
        if told.contains(start) {
            continue;
        }
        let Some(way) = shortest_way_back(start, &users) else { continue };
        let names: Vec<String> = way.iter().chain([start]).map(|module| module.join("::")).collect();
        let what = format!(
            "modules use each other in a circle: {}; move what they share into a module below them",
            names.join(" → ")
        );
        let next = way.get(1).unwrap_or(start);
        findings.push(Finding::new(the_crate.path(start), users[start][next], what));
        told.extend(way);
    }
    findings
}

/// The shortest circle through `start`, without its repetition at the end.
fn shortest_way_back(
    start: &Module,
    users: &BTreeMap<Module, BTreeMap<Module, usize>>,
) -> Option<Vec<Module>> {
    let mut before: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for next in users.get(module).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![module.clone()];
                let mut at = module;
                while at != start {
                    at = before[at];
                    way.insert(0, at.clone());
                }
                return Some(way);
            }
            if !before.contains_key(next) {
                before.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<File> {
        texts.iter().map(|(path, text)| File::new(path, text)).collect()
    }

    fn upward(texts: &[(&str, &str)]) -> Vec<String> {
        upward_uses(&files(texts)).iter().map(Finding::to_string).collect()
    }

    fn circle(texts: &[(&str, &str)]) -> Vec<String> {
        circles(&files(texts)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_use_of_a_higher_room_is_found() {
        let found = upward(&[
            ("src/domain/seats.rs", "\nuse crate::config::Config;"),
            ("src/config.rs", "use crate::domain::seats;"),
            ("src/lib.rs", "mod config; mod domain;\nfn f() { config::g(); crate::domain::h() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("src/domain/seats.rs:2: domain uses config (src/config.rs)"),
            "{found:?}"
        );
    }

    #[test]
    fn a_use_of_a_room_on_the_same_floor_is_found_in_tests_and_inline_too() {
        let texts = |text| [("src/db/mod.rs", text), ("src/peers/mod.rs", ""), ("src/http/mod.rs", "")];
        assert_eq!(upward(&texts("fn f() { crate::peers::g() }")).len(), 1);
        assert_eq!(upward(&texts("mod tests { use super::super::peers; }")).len(), 1);
        assert_eq!(upward(&texts("use crate::{http::A, peers::{B}};")).len(), 2);
        assert_eq!(upward(&texts("// crate::peers::g\n")).len(), 0);
    }

    #[test]
    fn a_file_in_no_room_is_found_and_so_is_a_use_of_it_or_of_the_root() {
        let found = upward(&[("src/db/mod.rs", "use crate::wire;\nuse crate::Thing;"), ("src/wire.rs", "")]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("src/wire.rs:1: this is in no room"), "{found:?}");
    }

    #[test]
    fn a_circle_of_files_is_found_once() {
        let found = circle(&[
            ("src/db/mod.rs", "mod a; mod b; mod c;"),
            ("src/db/a.rs", "\nuse super::b;"),
            ("src/db/b.rs", "fn f() { super::c::g() }"),
            ("src/db/c.rs", "use crate::db::a::A;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/db/a.rs:2: "), "{found:?}");
        assert!(found[0].contains("db::a → db::b → db::c → db::a"), "{found:?}");
    }

    #[test]
    fn a_module_that_uses_its_child_is_in_a_circle_when_the_child_uses_it() {
        let child = ("src/db/a.rs", "use super::Row;");
        assert_eq!(circle(&[("src/db/mod.rs", "mod a; fn f() { a::g() }"), child]).len(), 1);
        assert_eq!(circle(&[("src/db/mod.rs", "mod a; pub use a::g;"), child]).len(), 0);
    }

    #[test]
    fn what_a_module_offers_is_used_where_it_stands() {
        let found = circle(&[
            ("src/db/mod.rs", "mod a; mod b; pub use a::{A as First}; pub use b::B;"),
            ("src/db/a.rs", "use super::B;"),
            ("src/db/b.rs", "use crate::db::First;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("db::a → db::b → db::a"), "{found:?}");
    }
}
