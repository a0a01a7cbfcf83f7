//! The search for canaries, which stand for secrets, in what a run printed or left in files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Fails the test if a text shows a canary.
pub fn clean(place: &str, text: &str, canaries: &[&str]) {
    for canary in canaries {
        assert!(!text.contains(canary), "{place} shows {canary}:\n{text}");
    }
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
