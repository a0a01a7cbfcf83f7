//! Names that are parsed once: image references and their parts, ARNs, and ECS names.
//!
//! A value of one of these types is well-formed; whether it exists is for the adapters to find out.

mod arn;
mod image_ref;
mod plain;

pub use arn::{Arn, ArnError};
pub use image_ref::{Digest, ImageRef, RegistryHost, Repository, Tag};
pub use plain::{ClusterName, ContainerName, ServiceName, TaskName};

use std::fmt;

/// Why a text is not the name that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    /// What was expected: `image tag`, `container name`.
    pub what: &'static str,
    /// The text that was given.
    pub input: String,
    /// What is wrong with it, with the position where one is to blame.
    pub problem: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a valid {}: {}",
            self.input, self.what, self.problem
        )
    }
}

impl std::error::Error for NameError {}

fn wrong(what: &'static str, input: &str, problem: impl Into<String>) -> NameError {
    NameError {
        what,
        input: input.to_owned(),
        problem: problem.into(),
    }
}
