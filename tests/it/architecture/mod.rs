//! The arrows between modules, as the map in `src/lib.rs` draws them: every mention of another module is compared with
//! one table, and so are the words that a layer must not use.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod source;
mod table;

use source::{File, mentions, strip};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use table::{Layer, RULES, Rule, TOO_LONG};

/// A module has about 400 lines of code at most, tests, comments and empty lines apart.
const MOST_LINES: usize = 420;

fn all_files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push(File::new(&relative, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.retain(|file| !file.is_test());
    files
}

/// The rule of the longest module path that covers a module; facades cover only themselves.
fn rule(module: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .filter(|rule| rule.layer.covers(rule.module, module))
        .max_by_key(|rule| rule.module.len())
}

/// Everything that is wrong with the arrows of these files.
fn complaints(files: &[File]) -> Vec<String> {
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    let mut complaints = Vec::new();
    for file in files {
        let Some(own) = rule(&file.module) else {
            complaints.push(format!("{}: `{}` has no rule", file.path, file.module));
            continue;
        };
        let code = strip(&file.text);
        for mention in mentions(&code, file) {
            let Some(target) = longest_module(&mention, &modules) else {
                continue;
            };
            let Some(theirs) = rule(target) else { continue };
            let inside = own.module == theirs.module || theirs.layer == Layer::Facade;
            if !inside && !own.may_use(theirs) {
                complaints.push(format!(
                    "{}: `{}` ({}) must not use `{target}` ({})",
                    file.path,
                    file.module,
                    own.layer.name(),
                    theirs.layer.name()
                ));
            }
        }
        for word in own.layer.forbidden() {
            if code.contains(word) && !own.except.contains(word) {
                let layer = own.layer.name();
                complaints.push(format!(
                    "{}: `{word}` has no place in `{}` ({layer})",
                    file.path, file.module
                ));
            }
        }
        let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > MOST_LINES && TOO_LONG.iter().all(|(path, _)| *path != file.path) {
            complaints.push(format!(
                "{}: {lines} lines of code, {MOST_LINES} are enough",
                file.path
            ));
        }
    }
    complaints.sort();
    complaints.dedup();
    complaints
}

/// `ecs::rollout` of the mention `ecs::rollout::Verdict::Wait`.
fn longest_module<'a>(mention: &str, modules: &BTreeSet<&'a str>) -> Option<&'a str> {
    let mut path = mention;
    loop {
        if let Some(module) = modules.get(path) {
            return Some(module);
        }
        path = path.rsplit_once("::")?.0;
    }
}

#[test]
fn every_arrow_points_the_way_of_the_map() {
    let complaints = complaints(&all_files());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_rule_has_a_module_and_every_long_file_exists() {
    let files = all_files();
    for rule in RULES {
        let covered = files
            .iter()
            .any(|file| rule.layer.covers(rule.module, &file.module));
        assert!(covered, "`{}` is no module any more", rule.module);
    }
    for (path, _) in TOO_LONG {
        assert!(
            files.iter().any(|file| file.path == *path),
            "{path} is no file any more"
        );
    }
}

#[test]
fn the_map_in_lib_rs_is_this_table() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for layer in [
        Layer::Vocabulary,
        Layer::Decisions,
        Layer::Rim,
        Layer::Stories,
        Layer::Shell,
    ] {
        let row = map
            .lines()
            .find_map(|line| line.strip_prefix(&format!("//! | {} |", layer.name())))
            .unwrap_or_else(|| panic!("no row for {}", layer.name()));
        let cell = row.split('|').next().unwrap();
        let drawn: BTreeSet<String> = cell
            .split('`')
            .skip(1)
            .step_by(2)
            .flat_map(source::expand)
            .collect();
        let of_layer = RULES.iter().filter(|rule| rule.layer.row() == layer);
        let ruled: BTreeSet<String> = of_layer.map(|rule| rule.module.to_owned()).collect();
        assert_eq!(drawn, ruled, "the row of {}", layer.name());
    }
}

fn complaints_of(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    complaints(&files)
}

#[test]
fn a_bad_arrow_is_found_however_it_is_written() {
    for text in [
        "use crate::aws::Aws;",
        "use crate::{name::Arn, aws::{Aws, sort}};",
        "fn f() { let _ = crate::aws::Aws::connect; }",
        "use super::super::aws;",
    ] {
        let found = complaints_of(&[
            ("ecs/rollout/mod.rs", text),
            ("aws/mod.rs", ""),
            ("name/mod.rs", ""),
        ]);
        let expected = "ecs/rollout/mod.rs: `ecs::rollout` (decisions) must not use `aws` (rim)";
        assert_eq!(found, [expected], "{text}");
    }
    let judge = [
        ("sandbox/world/mod.rs", "use crate::ecs::rollout::judge;"),
        ("ecs/rollout/mod.rs", ""),
    ];
    assert_eq!(
        complaints_of(&judge),
        ["sandbox/world/mod.rs: `sandbox::world` (sandbox) must not use `ecs::rollout` (decisions)"]
    );
}

#[test]
fn a_forbidden_word_a_missing_rule_and_a_long_file_are_found() {
    assert_eq!(
        complaints_of(&[("ecs/rollout/mod.rs", "fn f() { tokio::task::yield_now(); }")]),
        ["ecs/rollout/mod.rs: `tokio::` has no place in `ecs::rollout` (decisions)"]
    );
    assert_eq!(
        complaints_of(&[("helpers.rs", "")]),
        ["helpers.rs: `helpers` has no rule"]
    );
    let long = "fn f() {}\n".repeat(MOST_LINES + 1);
    assert_eq!(
        complaints_of(&[("clock.rs", long.as_str())]),
        ["clock.rs: 421 lines of code, 420 are enough"]
    );
}

#[test]
fn comments_texts_and_tests_draw_no_arrows() {
    let text = r##"
        //! Like `crate::aws::Aws`, and tokio::spawn.
        /* crate::aws */
        const TEXT: &str = "crate::aws::Aws \" tokio::";
        const RAW: &str = r#"crate::aws " "#;
        const QUOTE: char = '"';
        fn f<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        mod tests { use crate::aws::Aws; fn g() { { tokio::spawn() } } }
    "##;
    let found = complaints_of(&[("ecs/rollout/mod.rs", text), ("aws/mod.rs", "")]);
    assert!(found.is_empty(), "{found:?}");
}
