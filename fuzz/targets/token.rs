//! Tokens of runs under way, and those that hand a job on: whatever is read is written again, and read as the same.
//!
//! The first byte of an input says what the rest is: `=` texts of tokens, one a line; `#` a continuation without its check;
//! else what is in a token of a run, which is packed here. Checks are added here as well: no search would guess one.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateEncoder;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use slipway_fuzz::ecs::resume::Resume;
use slipway_fuzz::pipeline::token::{Continuation, Step};
use std::io::Read as _;

/// Bytes of one service that are not deflated.
const BYTES: usize = 17;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind {
        b'=' => {
            let tokens: Vec<String> = String::from_utf8_lossy(rest).lines().map(str::to_owned).collect();
            read_run(&tokens);
            tokens.iter().for_each(|token| read_continuation(token));
        }
        b'#' => read_continuation(&checked(&format!("swj1.{}", String::from_utf8_lossy(rest)))),
        _ => {
            let token = packed(usize::from(*kind % 8), rest);
            read_continuation(&checked(&format!("swj1.1767225600.w.{token}")));
            read_run(&[token]);
        }
    }
});

fn read_run(tokens: &[String]) {
    let Ok(read) = Resume::read(tokens) else {
        return;
    };
    // What no run of ours says, such as a number that ECS never gives, is read and not written so; but then it is settled.
    if let Ok(again) = Resume::read(&read.tokens()) {
        assert_eq!(again.services.len(), read.services.len());
        assert_eq!(Resume::read(&again.tokens()), Ok(again));
    }
}

fn read_continuation(token: &str) {
    let Ok(read) = Continuation::read(token) else {
        return;
    };
    let Ok(written) = read.token() else {
        return;
    };
    assert!(written.len() <= 2048, "a token that CodePipeline does not take");
    if let Ok(again) = Continuation::read(&written) {
        assert_eq!(again.began, read.began);
    } else {
        assert!(matches!(read.step, Step::Watch(_)), "{written}");
    }
}

/// A text and its check.
fn checked(said: &str) -> String {
    format!("{said}.{}", check(said))
}

fn check(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The token of some services, whose bytes are followed by JSON.
fn packed(services: usize, bytes: &[u8]) -> String {
    let (fixed, json) = bytes.split_at(bytes.len().min(services * BYTES));
    let count = u16::try_from(services).unwrap_or_default();
    let mut packed = [&count.to_be_bytes()[..], fixed].concat();
    DeflateEncoder::new(json, Compression::fast())
        .read_to_end(&mut packed)
        .expect("reading from memory");
    let payload = URL_SAFE_NO_PAD.encode(packed);
    format!("sw1.{payload}.{}", check(&payload))
}
