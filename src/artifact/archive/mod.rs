//! Zips between the stages: finding imagedefinitions.json in one, and packing one with the same bytes every time.

mod error;
mod find;
mod pack;

#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use find::find_definitions;
pub use pack::pack;
