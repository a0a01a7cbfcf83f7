//! The Docker Engine, through bollard: build, tag and push.
//!
//! It streams the context, folds the Engine's messages with `transcript`, and tells progress; it decides nothing.

use super::endpoint::EngineEnv;
use crate::config::settings::ImageSettings;
use crate::name::{Digest, ImageRef};
use crate::report::event::Tell;
use crate::secret::Secret;
use crate::shutdown::Shutdown;
use std::collections::BTreeMap;

/// A connection to an Engine, its API version negotiated.
#[derive(Debug, Clone)]
pub struct Engine {}

/// Credentials for one registry.
#[derive(Debug, Clone)]
pub struct RegistryAuth {
    /// User name; `AWS` for ECR.
    pub username: String,
    /// Password or token.
    pub password: Secret<String>,
    /// The registry's address.
    pub server: String,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The image's settings: context, Dockerfile, arguments, target, platform, secrets, cache, builder.
    pub image: ImageSettings,
    /// All labels, the OCI annotations included.
    pub labels: BTreeMap<String, String>,
    /// Names to give the result: `registry/repository:tag`.
    pub names: Vec<ImageRef>,
    /// Credentials for pulling bases, by registry host.
    pub auth: BTreeMap<String, RegistryAuth>,
}

/// What the Engine built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct BuiltImage {
    /// The Engine's image id: the config's digest, or the index's on the containerd store.
    pub id: String,
    /// `os/architecture[/variant]` of the result.
    pub platform: String,
    /// Its size on disk, in bytes.
    pub size: u64,
}

/// What the Engine could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {}

impl Engine {
    /// Connects and negotiates the API version.
    ///
    /// # Errors
    /// [`EngineError`] when no Engine answers at the endpoint.
    pub async fn connect(_env: &EngineEnv) -> Result<Self, EngineError> {
        todo!()
    }

    /// Builds an image and gives it its names. Winding down stops the build and leaves nothing.
    ///
    /// # Errors
    /// [`EngineError`]; a failed step carries its name, its Dockerfile line where known, and its last lines.
    pub async fn build(
        &self,
        _request: &BuildRequest,
        _tell: &Tell,
        _shutdown: &Shutdown,
    ) -> Result<BuiltImage, EngineError> {
        todo!()
    }

    /// Pushes one name (with a tag) of an image and returns the digest that the push reported.
    ///
    /// # Errors
    /// [`EngineError`]; a tag that the registry keeps immutable is a variant of its own.
    pub async fn push(
        &self,
        _image: &str,
        _name: &ImageRef,
        _auth: Option<&RegistryAuth>,
        _tell: &Tell,
        _shutdown: &Shutdown,
    ) -> Result<Digest, EngineError> {
        todo!()
    }

    /// Asks the registry, through the Engine, for the digest behind a name; for registries other than ECR.
    ///
    /// # Errors
    /// [`EngineError`] when the registry does not answer or lacks the name.
    pub async fn registry_digest(
        &self,
        _name: &ImageRef,
        _auth: Option<&RegistryAuth>,
    ) -> Result<Digest, EngineError> {
        todo!()
    }
}
