//! What a call to ECR can end with.

use super::download::DownloadError;
use super::token::TokenError;
use crate::aws::sort::{CallError, Sorted};
use crate::name::{Digest, NameError, Repository, Tag};

/// Why ECR did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EcrError {
    /// No authorisation token was given.
    #[error("get an authorization token from ECR")]
    Authorize(#[source] Box<CallError>),
    /// The token cannot be used.
    #[error("read the authorization token that ECR gave")]
    Token(#[source] TokenError),
    /// The repository could not be looked up.
    #[error("find the ECR repository `{repository}`")]
    FindRepository {
        /// The repository.
        repository: Repository,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// The repository does not exist.
    #[error("the ECR repository `{repository}` does not exist")]
    NoRepository {
        /// The repository.
        repository: Repository,
    },
    /// The repository could not be created.
    #[error("create the ECR repository `{repository}`")]
    CreateRepository {
        /// The repository.
        repository: Repository,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// ECR described a repository without a usable address.
    #[error("the address that ECR gives for the repository `{repository}` is not usable")]
    Address {
        /// The repository.
        repository: Repository,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// A tag could not be looked up.
    #[error("find out what tag `{tag}` of `{repository}` is")]
    ReadTag {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// A manifest could not be fetched.
    #[error("read the manifest `{digest}` of `{repository}`")]
    ReadManifest {
        /// The repository.
        repository: Repository,
        /// The manifest's digest.
        digest: Digest,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// ECR did not say where an image's config is.
    #[error("find the config `{digest}` of `{repository}`")]
    FindConfig {
        /// The repository.
        repository: Repository,
        /// The config's digest.
        digest: Digest,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// An image's config could not be downloaded.
    #[error("download the config `{digest}` of `{repository}`")]
    ReadConfig {
        /// The repository.
        repository: Repository,
        /// The config's digest.
        digest: Digest,
        /// What went wrong.
        #[source]
        source: DownloadError,
    },
    /// A tag could not be given to an image that is there.
    #[error("tag an image of `{repository}` as `{tag}`")]
    PutTag {
        /// The repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// ECR answered for an image with a failure other than that it does not exist.
    #[error("ECR cannot give `{image}` of `{repository}`: {code}")]
    ImageFailure {
        /// The repository.
        repository: Repository,
        /// The tag or digest that was asked for.
        image: String,
        /// ECR's failure code: `KmsError`, `ImageInaccessible`.
        code: String,
    },
    /// ECR's answer for an image has no digest, or none that is one.
    #[error("ECR gave no digest for `{image}` of `{repository}`")]
    NoDigest {
        /// The repository.
        repository: Repository,
        /// The tag or digest that was asked for.
        image: String,
    },
    /// A digest could not be looked up.
    #[error("confirm the digest `{digest}` in `{repository}`")]
    Confirm {
        /// The repository.
        repository: Repository,
        /// The digest.
        digest: Digest,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
}

impl EcrError {
    /// Whether ECR refused to move a tag.
    #[must_use]
    pub fn is_immutable_tag(&self) -> bool {
        let sorted = self.call().map(|call| &call.sorted);
        matches!(sorted, Some(Sorted::Refused { code, .. }) if code == "ImageTagAlreadyExistsException")
    }

    /// The call that failed, if it was one.
    #[must_use]
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Authorize(source)
            | Self::FindRepository { source, .. }
            | Self::CreateRepository { source, .. }
            | Self::ReadTag { source, .. }
            | Self::ReadManifest { source, .. }
            | Self::FindConfig { source, .. }
            | Self::PutTag { source, .. }
            | Self::Confirm { source, .. } => Some(source),
            Self::Token(_)
            | Self::NoRepository { .. }
            | Self::Address { .. }
            | Self::ReadConfig { .. }
            | Self::ImageFailure { .. }
            | Self::NoDigest { .. } => None,
        }
    }
}
