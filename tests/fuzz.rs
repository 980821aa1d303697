//! Every target of `fuzz/` reads its kept corpus, and mutations of it, without a panic. The long runs are cargo-fuzz's: fuzz/README.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use order_service::{config, http, jose, peers, telemetry};
use proptest::prelude::*;
use proptest::sample::Index;

type Target = fn(&[u8]);

/// By name, as the files in `fuzz/targets/`.
const TARGETS: &[(&str, Target)] = &[
    ("config_values", config::fuzz::values),
    ("http_content_type", http::fuzz::content_type),
    ("http_header_values", http::fuzz::header_values),
    ("http_idempotency_key", http::fuzz::idempotency_key),
    ("http_list_query", http::fuzz::list_query),
    ("http_other_bodies", http::fuzz::other_bodies),
    ("http_page_token", http::fuzz::page_token),
    ("http_path", http::fuzz::path),
    ("http_place_order", http::fuzz::place_order),
    ("http_request_id", http::fuzz::request_id),
    ("http_webhook_signature", http::fuzz::webhook_signature),
    ("jose_claims", jose::fuzz::claims),
    ("jose_key_set", jose::fuzz::key_set),
    ("jose_token", jose::fuzz::token),
    ("peers_catalog", peers::fuzz::catalog),
    ("peers_event_sinks", peers::fuzz::event_sinks),
    ("peers_notification", peers::fuzz::notification),
    ("peers_payment", peers::fuzz::payment),
    ("peers_retry_after", peers::fuzz::retry_after),
    ("peers_seating", peers::fuzz::seating),
    ("peers_user", peers::fuzz::user),
    ("telemetry_trace_context", telemetry::fuzz::trace_context),
];

/// How often a kept input is changed and read again.
const MUTATIONS: u32 = 2_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |path: PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    entries.filter_map(|entry| name(entry.ok()?.path())).collect()
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder().join("corpus").join(target)).expect("a corpus");
    entries.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file")).collect()
}

#[test]
fn every_target_is_fuzzed_has_a_corpus_and_is_replayed_here() {
    let here: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let manifest: toml::Table =
        std::fs::read_to_string(folder().join("Cargo.toml")).expect("a manifest").parse().expect("TOML");
    let binaries = manifest["bin"].as_array().expect("[[bin]]");
    let binaries = binaries.iter().map(|bin| bin["name"].as_str().expect("a name").to_owned()).collect();
    for there in [names(&folder().join("targets")), names(&folder().join("corpus")), binaries] {
        assert_eq!(here, there);
    }
    assert!(TARGETS.iter().all(|(name, _)| !corpus(name).is_empty()));
}

#[test]
fn every_kept_input_is_read_without_a_panic() {
    for (name, target) in TARGETS {
        for input in corpus(name) {
            let shown = String::from_utf8_lossy(&input).into_owned();
            let read = std::panic::catch_unwind(|| target(&input));
            assert!(read.is_ok(), "{name} panics at {shown:?}");
        }
    }
}

/// One change of an input: bytes are replaced, left out, repeated or put in.
#[derive(Clone, Debug)]
struct Change {
    at: Index,
    length: usize,
    bytes: Vec<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    // What has a meaning in JSON, headers and paths comes often.
    let word = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..4),
        r#"[\[\]{}",:.eE0-9tfn\\u/%=; -]{1,3}"#.prop_map(String::into_bytes),
        Just(b"1e999".to_vec()),
        Just("\u{feff}\u{0}\u{202e}".as_bytes().to_vec()),
        Just(b"9223372036854775808".to_vec()),
    ];
    (any::<Index>(), 0_usize..6, word).prop_map(|(at, length, bytes)| Change { at, length, bytes })
}

#[test]
fn changed_inputs_are_read_without_a_panic() {
    let corpora: BTreeMap<&str, Vec<Vec<u8>>> =
        TARGETS.iter().map(|(name, _)| (*name, corpus(name))).collect();
    for (name, target) in TARGETS {
        let inputs = &corpora[name];
        let config =
            ProptestConfig { cases: MUTATIONS, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |(chosen in any::<Index>(), changes in proptest::collection::vec(change(), 1..5))| {
            let mut input = chosen.get(inputs).clone();
            for Change { at, length, bytes } in changes {
                let begin = at.index(input.len() + 1);
                let end = (begin + length).min(input.len());
                input.splice(begin..end, bytes);
            }
            target(&input);
        });
    }
}
