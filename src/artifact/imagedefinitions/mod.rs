//! imagedefinitions.json: which container gets which image.
//!
//! `definitions` holds the types and the one text that is written, `parse` the checks of a text that was read, and
//! `error` what can be wrong with one. Files, zips and S3 are left to `write`, `archive` and `store`.

mod definitions;
mod error;
mod parse;

#[cfg(test)]
mod tests;

pub use definitions::{Definition, Definitions, FILE_NAME, MAX_BYTES, PushedImage, SCHEMA};
pub use error::DefinitionsError;
