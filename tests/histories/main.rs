//! Random histories against the sandbox's world, on a clock that only the test moves: no success that was none, no
//! failure that was none, by a definition of healthy that shares nothing with the judge.
//!
//! A plain `cargo test` plays some, `scripts/test` a hundred thousand in an optimised build, and `SLIPWAY_HISTORIES=1000000`
//! as many as one likes; `SLIPWAY_HISTORIES_SEED=7` plays others, and `SLIPWAY_HISTORIES_FROM=4595` begins with that one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test, and tell what they found"
)]

mod careless;
mod coverage;
mod place;
mod play;
mod referee;
mod runner;
mod script;
mod shrink;
mod wire;

use coverage::Coverage;
use script::Script;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Histories that are played where nobody says otherwise.
const HISTORIES: u64 = 2_000;
/// So that every run of a commit plays the same ones.
const SEED: u64 = 20_261_121;
const THREADS: usize = 2;
/// Counterexamples that are shrunk and shown; then it ends.
const SHOWN: usize = 4;

#[expect(clippy::disallowed_methods, reason = "settings of a test, not of the program")]
fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

fn draw(seed: u64, number: u64) -> Script {
    Script::draw(&mut fastrand::Rng::with_seed(
        seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    ))
}

fn objection(script: &Script) -> Option<String> {
    referee::object(script, &mut play::play(script, false)).err()
}

/// A counterexample as a reader can follow it.
fn told(seed: u64, number: u64, script: &Script, objection: &str) -> String {
    let (script, objection) = shrink::shrink(script, objection, self::objection);
    let mut ended = play::play(&script, true);
    let mut text = format!("\nhistory {number} of seed {seed}, shrunk: {objection}\n{script:#?}\n");
    for line in ended.place.log.take().unwrap() {
        let _ = writeln!(text, "{line}");
    }
    text
}

#[test]
fn no_history_ends_in_a_false_verdict() {
    let (count, seed) = (
        setting("SLIPWAY_HISTORIES", HISTORIES),
        setting("SLIPWAY_HISTORIES_SEED", SEED),
    );
    println!("{count} histories of seed {seed}");
    let first = setting("SLIPWAY_HISTORIES_FROM", 0);
    let next = AtomicU64::new(first);
    let found: Mutex<Vec<String>> = Mutex::default();
    let all: Mutex<Coverage> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut coverage = Coverage::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count || found.lock().unwrap().len() >= SHOWN {
                        break;
                    }
                    let script = draw(seed, number);
                    let mut ended = play::play(&script, false);
                    coverage.count(&script, &ended);
                    if let Err(objection) = referee::object(&script, &mut ended) {
                        let text = told(seed, number, &script, &objection);
                        found.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
                all.lock().unwrap().add(coverage);
            });
        }
    });
    let coverage = all.into_inner().unwrap();
    for (kind, times) in &coverage.0 {
        println!("{times:>8}  {kind}");
    }
    let found = found.into_inner().unwrap();
    assert!(
        found.is_empty(),
        "{} false verdicts:\n{}",
        found.len(),
        found.concat()
    );
    let seldom = coverage.too_seldom(count);
    assert!(
        seldom.is_empty(),
        "{count} histories are too much alike: {seldom:?}"
    );
}
