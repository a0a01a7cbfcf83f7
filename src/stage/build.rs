//! The build stage: images built, pushed, confirmed, and imagedefinitions.json written last.

use super::Tools;
use crate::config::settings::{ImageSettings, Outputs};
use crate::failure::Failure;
use crate::name::{Digest, ImageRef};
use std::path::PathBuf;

/// What to build and what to write.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// The images, built and pushed concurrently.
    pub images: Vec<ImageSettings>,
    /// The files to write when all are pushed.
    pub outputs: Outputs,
}

/// An image that is in its registry, with the digest that the registry confirmed. Only `stage::build` makes one, and
/// it is the only thing that imagedefinitions.json is written from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedImage {
    /// The image's table name.
    pub image: String,
    /// `registry/repository@digest`.
    pub reference: ImageRef,
    /// The digest that the registry confirmed; of an index, if the push gave one.
    pub digest: Digest,
    /// The tags.
    pub tags: Vec<String>,
}

/// What a build did.
#[derive(Debug)]
#[must_use]
pub struct Built {
    /// The images, in the plan's order.
    pub images: Vec<PushedImage>,
    /// The files that were written.
    pub written: Vec<PathBuf>,
}

/// Builds, pushes, confirms and writes.
///
/// # Errors
/// One [`Failure`] for the first image that failed; nothing is written then.
pub async fn build(_tools: &Tools, _plan: &BuildPlan) -> Result<Built, Failure> {
    todo!()
}
