//! Tests that need a Docker Engine: `cargo test --test engine`. They use `DOCKER_HOST` like the Engine's own client.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that called them"
)]

mod bench;
mod build;
mod canaries;
mod dryrun;
mod endings;
mod image;
mod leftovers;
mod registry;
mod roll;
#[path = "../shared/search.rs"]
mod search;
mod stage;
mod support;
mod tasks;
