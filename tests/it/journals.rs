//! Where a test's sandbox keeps its journal, for the referees to read (`tests/referees/run.py`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

/// The journal of the next sandbox of the running test: `target/journals/it-TEST.jsonl`, numbered from the second on.
/// A scenario with faults has none, because its errors are not AWS's.
pub fn journal(scenario: &str) -> Option<PathBuf> {
    static KEPT: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
    if scenario.contains("[[fault]]") {
        return None;
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap().replace("::", "-");
    let mut kept = KEPT.lock().unwrap();
    let number = kept.entry(test.clone()).or_default();
    *number += 1;
    let suffix = match number {
        1 => String::new(),
        n => format!("-{n}"),
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("journals");
    std::fs::create_dir_all(&folder).unwrap();
    Some(folder.join(format!("it-{test}{suffix}.jsonl")))
}
