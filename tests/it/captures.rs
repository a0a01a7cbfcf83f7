//! Every capture of `tests/captures` is judged as the line `expect` in it says: its verdict, its exit code, its cause.
//!
//! They are written from what is known of ECS, or were bug reports; none may be changed to please the judge.

use crate::cli::Bench;
use serde_json::Value;
use slipway::ecs::capture::read;
use slipway::secret::redact::redact;
use slipway::stage::explain::{Explained, recorded};
use std::fs;
use std::path::{Path, PathBuf};

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|it| it == "jsonl"))
        .collect();
    files.sort();
    files
}

/// What is wrong with the judgement of a capture; none if nothing is.
fn complaint(explained: &Explained, expect: &Value) -> Option<String> {
    let cause = explained
        .failure()
        .and_then(slipway::failure::Failure::root_cause);
    let is_expected = expect["verdict"] == explained.verdict()
        && expect["exit_code"].as_u64() == explained.exit_code().map(u64::from)
        && match (expect["cause"].as_str(), &cause) {
            (Some(part), Some(cause)) => cause.contains(part),
            (part, cause) => part.is_none() && cause.is_none(),
        };
    (!is_expected).then(|| {
        format!(
            "judged {} ({:?}), cause {cause:?}\n  expected {expect}",
            explained.verdict(),
            explained.exit_code()
        )
    })
}

#[test]
fn every_kept_capture_is_judged_as_it_must_be() {
    let files = captures();
    assert!(files.len() >= 45, "{} captures", files.len());
    let mut complaints = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let capture = read(&fs::read(&file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expect = capture
            .expect
            .clone()
            .unwrap_or_else(|| panic!("{name}: no `expect`"));
        for member in ["situation", "facts"] {
            assert!(expect[member].is_string(), "{name}: no `{member}`");
        }
        let explained = recorded(&capture, &[]).unwrap();
        let [one] = explained.as_slice() else {
            panic!("{name}: {} services", explained.len())
        };
        complaints.extend(complaint(one, &expect).map(|complaint| format!("{name}: {complaint}")));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Masking them once more changes nothing, so that a capture is explained in the words that the run told; and what is told
/// holds nothing that is masked by mistake.
#[test]
fn neither_captures_nor_what_is_told_is_changed_by_masking() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let golden = fs::read_dir(root.join("it/golden")).unwrap();
    let mut files: Vec<PathBuf> = golden.map(|entry| entry.unwrap().path()).collect();
    files.extend(captures());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let is_told = file.extension().is_some_and(|it| it == "txt");
        for line in text.lines() {
            let masked = redact(line);
            assert_eq!(redact(&masked), masked);
            // A token of `--resume` is long and random, and is no text of a far end.
            if is_told && !line.contains("sw1.") {
                assert_eq!(masked, line, "{}", file.display());
            }
        }
    }
}

/// The simulator's list of situations (shared facts on ECS, 6) has 26 of them; `facts` of a capture names its own as `6.N`.
#[test]
fn every_situation_of_the_list_has_a_capture() {
    let facts: Vec<String> = captures()
        .iter()
        .map(|file| read(&fs::read(file).unwrap()).unwrap().expect.unwrap()["facts"].to_string())
        .collect();
    let missing: Vec<u32> = (1..=26)
        .filter(|number| {
            let name = format!("6.{number}");
            let words = |facts: &String| facts.split([' ', ',', ';', '"']).any(|word| word == name);
            !facts.iter().any(words)
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?} have none");
}

/// What a user sees of some of them, and of files that are none.
#[test]
fn an_explanation_is_a_failure_block_for_people_and_json_for_programs() {
    let bench = Bench::new()
        .file(
            "lost.jsonl",
            include_str!("../captures/rollback-reuses-the-id.jsonl"),
        )
        .file(
            "healthy.jsonl",
            include_str!("../captures/stale-then-healthy.jsonl"),
        )
        .file("killed.jsonl", include_str!("../captures/young-and-killed.jsonl"));
    bench.golden("explain-lost", "explain lost.jsonl --timeline");
    bench.golden("explain-lost-json", "explain lost.jsonl --log-format json");
    bench.golden("explain-healthy", "explain healthy.jsonl --service web");
    bench.golden("explain-killed", "explain killed.jsonl");
}

#[test]
fn a_file_that_is_no_capture_is_refused_with_what_to_do() {
    let newer = r#"{"capture":{"format":"slipway","version":9,"slipway":"12.0.0"}}"#;
    let bench = Bench::new()
        .file("journal.jsonl", "{\"time\":1,\"service\":\"ecs\"}\n")
        .file("newer.jsonl", &format!("{newer}\n"));
    bench.golden("explain-foreign", "explain journal.jsonl");
    bench.golden("explain-newer", "explain newer.jsonl");
    bench.golden("explain-absent", "explain absent.jsonl");
    bench.golden("explain-nothing", "explain");
    bench.golden("explain-both", "explain newer.jsonl --cluster prod");
}

#[test]
fn a_capture_that_is_there_already_is_not_overwritten() {
    let bench = Bench::new().file("capture.jsonl", "precious");
    bench.golden(
        "record-exists",
        "dry-run deploy --simulated --cluster prod --service shop --record capture.jsonl",
    );
}
