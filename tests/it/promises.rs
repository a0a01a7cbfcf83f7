//! Every promise of `docs/semantics.md` names what holds it, and what is named exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The numbered paragraphs of the page.
fn promises(page: &str) -> Vec<String> {
    let mut promises: Vec<String> = Vec::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let numbered = line
            .split_once(". **")
            .is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        match promises.last_mut() {
            _ if numbered => promises.push(line.to_owned()),
            Some(last) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            None => {}
        }
    }
    promises
}

/// What stands in backticks after `Tests:`.
fn witnesses(promise: &str) -> Vec<&str> {
    let named = promise.rsplit_once("Tests:").map_or("", |(_, named)| named);
    named.split('`').skip(1).step_by(2).collect()
}

/// The names of all test functions below a folder: functions whose attribute ends in `test]`, or of a property test.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                if line.starts_with("#[") {
                    is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                } else if let Some((head, _)) = line.split_once('(') {
                    let name = head.rsplit(' ').next().unwrap_or_default();
                    if is_test && head.contains("fn ") {
                        names.insert(name.to_owned());
                    }
                    is_test = false;
                }
            }
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/semantics.md")).unwrap();
    let promises = promises(&page);
    assert!(promises.len() > 20, "{} promises were read", promises.len());
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        tests_below(&root.join(folder), &mut tests);
    }
    for promise in promises {
        let witnesses = witnesses(&promise);
        assert!(!witnesses.is_empty(), "no test is named: {promise}");
        for witness in witnesses {
            let exists = tests.contains(witness) || (witness.contains('/') && root.join(witness).exists());
            assert!(exists, "`{witness}` does not exist: {promise}");
        }
    }
}
