//! The files between the stages: imagedefinitions.json and its companions.
//!
//! `imagedefinitions` and `outputs` decide what the files say; `write`, `archive` and `store` move bytes.

pub mod archive;
pub mod imagedefinitions;
pub mod outputs;
pub mod store;
pub mod write;
