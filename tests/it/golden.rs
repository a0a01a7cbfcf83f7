//! Whole outputs, compared with files; `UPDATE_GOLDEN=1` rewrites them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::Path;

/// Compares a text with a file of the repository.
pub fn check(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the tests, which slipway itself never reads"
    )]
    let update = std::env::var("UPDATE_GOLDEN").is_ok();
    if update {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let golden =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}; run with UPDATE_GOLDEN=1"));
    assert!(
        golden == text,
        "{path} differs; if it should, run with UPDATE_GOLDEN=1\n--- golden\n{golden}\n--- actual\n{text}"
    );
}
