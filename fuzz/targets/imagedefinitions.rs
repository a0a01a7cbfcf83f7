//! imagedefinitions.json: whatever is read is written again, and read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slipway_fuzz::artifact::imagedefinitions::{Definitions, MAX_BYTES};

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = Definitions::parse(bytes) else {
        return;
    };
    assert!(bytes.len() <= MAX_BYTES, "a file that is too long was read");
    assert!(!read.entries().is_empty(), "a file without images was read");
    let written = read.to_json();
    // What is short with escapes may be long without.
    if written.len() <= MAX_BYTES {
        let again = Definitions::parse(written.as_bytes());
        let again = again.unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(format!("{:?}", read.entries()), format!("{:?}", again.entries()));
    }
});
