//! The files between the stages: imagedefinitions.json and its companions.

pub mod archive;
pub mod imagedefinitions;
pub mod outputs;
pub mod store;
pub mod write;
