//! ECR: repositories, manifests and tags; blobs lie in files that `wire::registry` wrote.

use super::WorldConfig;
use super::error::ApiError;
use serde_json::Value;
use std::time::Duration;

/// The state of ECR.
#[derive(Debug)]
pub struct Ecr {}

/// An image as a puller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// What the reference names; the digest of an index, if it is one.
    pub digest: String,
    /// The image manifest for linux on the sandbox's architecture; the same digest unless `digest` is an index.
    pub platform_digest: String,
}

impl Ecr {
    /// No repositories yet.
    #[must_use]
    pub fn new(_config: &WorldConfig) -> Self {
        Self {}
    }

    /// Answers one operation with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(&mut self, _now: Duration, _operation: &str, _input: &Value) -> Result<Value, ApiError> {
        todo!()
    }

    /// Looks up an image reference (`host/repository:tag` or `@digest`) of this registry: `None` when the reference is
    /// of another registry, an error with the puller's words when this one lacks it.
    #[must_use]
    pub fn resolve(&self, _image: &str) -> Option<Result<ResolvedImage, String>> {
        todo!()
    }
}
