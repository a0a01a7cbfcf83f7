//! The files between the stages: imagedefinitions.json and its companions.
//!
//! `imagedefinitions` and `outputs` decide what the files say; `write`, `archive` and `store` move bytes; `unpack` opens
//! the artifacts of a pipeline, and `transfer` carries them from and to S3.

pub mod archive;
pub mod imagedefinitions;
pub mod outputs;
pub mod store;
pub mod transfer;
pub mod unpack;
pub mod write;
