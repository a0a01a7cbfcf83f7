//! Artifacts where the stages meet: files, and objects in S3.
//!
//! `client` reads and writes them, `error` is what that can end with; what the bytes say is left to `archive` and
//! `imagedefinitions`.

mod client;
mod error;

#[cfg(test)]
mod tests;

pub use client::{put_artifact, read_definitions};
pub use error::StoreError;
