//! Archives between the stages: what an artifact is, finding imagedefinitions.json in one, and packing a zip with the same
//! bytes every time.

pub mod advice;
mod error;
mod find;
mod pack;
mod recognise;
pub mod zip;

#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use find::{find_definitions, shown};
pub use pack::{Content, Entry, pack, pack_into};
pub use recognise::{START, Shape, is_clone_reference, recognise, sums};
pub use zip::WriteFault;
