//! Artifacts where the stages meet: files, and objects in S3.
//!
//! `client` reads and writes them by way of `transfer`, `error` is what that can end with, and `calls` reads S3's refusals;
//! what the bytes say is left to `archive` and `imagedefinitions`.

mod calls;
mod client;
mod error;

#[cfg(test)]
mod tests;

pub use calls::{VERIFY, address, refuse};
pub use client::{put_artifact, read_definitions};
pub use error::StoreError;
