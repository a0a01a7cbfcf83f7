//! The search for canaries, which stand for secrets, in what a run printed or left in files.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Fails the test if a text shows a canary, in clear or within something that is written in base64.
pub fn clean(place: &str, text: &str, canaries: &[&str]) {
    for canary in canaries {
        for form in forms(canary) {
            assert!(!text.contains(&form), "{place} shows {canary} as {form}:\n{text}");
        }
    }
}

/// A canary as it is, and what base64 makes of it whatever stands before and behind it: three bytes are four characters,
/// so it can begin at any of three places.
fn forms(canary: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([canary.to_owned()]);
    for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&vec![0; before], canary.as_bytes()].concat();
        // Characters with a bit of what stands beside it are not its own.
        let own = shared..bytes.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.insert(text[own.clone()].to_owned());
        }
    }
    forms
}

/// Every file below a folder.
pub fn files_below(root: &Path) -> BTreeSet<PathBuf> {
    let mut folders = vec![root.to_owned()];
    let mut files = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path());
            }
        }
    }
    files
}

#[test]
fn a_canary_is_found_wherever_it_is_in_base64() {
    let canary = "canary-~~~?";
    for before in ["", "A", "AW", "AWS:"] {
        for behind in ["", "x", "xyz"] {
            let whole = format!("{before}{canary}{behind}");
            for text in [
                STANDARD_NO_PAD.encode(&whole),
                URL_SAFE_NO_PAD.encode(&whole),
                whole,
            ] {
                let seen = forms(canary).into_iter().any(|form| text.contains(&form));
                assert!(seen, "{text}");
            }
        }
    }
    // What only begins like one is none.
    for before in ["", "A", "AW"] {
        let whole = format!("{before}canary-~~~");
        for text in [STANDARD_NO_PAD.encode(&whole), whole] {
            assert!(!forms(canary).iter().any(|form| text.contains(form)), "{text}");
        }
    }
}
