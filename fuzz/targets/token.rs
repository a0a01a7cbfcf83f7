//! Tokens of runs under way: whatever is read is written again, and read as the same.
//!
//! The first byte of an input says what the rest is: texts of tokens, one a line, or what is in a token, which is packed
//! and given its check here: no search would guess a checksum.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateEncoder;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use slipway_fuzz::ecs::resume::Resume;
use std::io::Read as _;

/// Bytes of one service that are not deflated.
const BYTES: usize = 17;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let tokens: Vec<String> = match kind {
        b'=' => String::from_utf8_lossy(rest).lines().map(str::to_owned).collect(),
        _ => vec![packed(usize::from(*kind % 8), rest)],
    };
    let Ok(read) = Resume::read(&tokens) else {
        return;
    };
    let again = Resume::read(&read.tokens());
    // A number of a deployment that ECS never gives, or a name with a space, is read and not written so.
    if let Ok(again) = again {
        assert_eq!(again.services.len(), read.services.len());
        assert_eq!(Resume::read(&again.tokens()), Ok(again));
    }
});

/// The token of some services, whose bytes are followed by JSON.
fn packed(services: usize, bytes: &[u8]) -> String {
    let (fixed, json) = bytes.split_at(bytes.len().min(services * BYTES));
    let count = u16::try_from(services).unwrap_or_default();
    let mut packed = [&count.to_be_bytes()[..], fixed].concat();
    DeflateEncoder::new(json, Compression::fast())
        .read_to_end(&mut packed)
        .expect("reading from memory");
    let payload = URL_SAFE_NO_PAD.encode(packed);
    let check = Sha256::digest(payload.as_bytes());
    let check: String = check.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("sw1.{payload}.{check}")
}
