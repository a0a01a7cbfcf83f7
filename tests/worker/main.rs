//! Workers against the sandbox: whatever happens to a worker, to the network or to a pipeline, no job is ever lost.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]
#![expect(
    clippy::print_stdout,
    reason = "a run says how many cases it played, and what broke a rule"
)]

mod again;
mod bench;
mod called_off;
mod canaries;
mod child;
mod denied;
#[path = "../shared/engine/mod.rs"]
mod engine;
mod fleet;
mod good;
mod inputs;
mod interrupt;
mod lost;
mod modes;
#[path = "../shared/search.rs"]
mod search;
mod signals;
