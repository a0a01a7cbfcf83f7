//! ECR: repositories, manifests and tags; blobs lie in files that `wire::registry` wrote.

mod images;
pub use images::tag_taken;
pub mod manifest;
mod repositories;
pub mod repository;

use super::WorldConfig;
use super::error::ApiError;
use super::input::{Input, epoch, unknown_operation};
use crate::sandbox::ACCOUNT;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use repository::{Image, Repository};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an authorisation token lives (GetAuthorizationToken).
const TOKEN_LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// The architecture of the sandbox's machine, as manifests name it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

/// The state of ECR.
#[derive(Debug)]
pub struct Ecr {
    region: String,
    registry_host: String,
    repositories: BTreeMap<String, Repository>,
    tokens: BTreeMap<String, Duration>,
    settings: BTreeMap<String, String>,
}

/// An image as a puller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// What the reference names; the digest of an index, if it is one.
    pub digest: String,
    /// The image manifest for linux on the sandbox's architecture; the same digest unless `digest` is an index.
    pub platform_digest: String,
}

/// What the registry makes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is valid.
    Granted,
    /// It was given out, more than 12 hours ago.
    Expired,
    /// It was never given out.
    Unknown,
}

impl Ecr {
    /// No repositories yet.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        Self {
            region: config.region.clone(),
            registry_host: config.registry_host.clone(),
            repositories: BTreeMap::new(),
            tokens: BTreeMap::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Answers one operation with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(&mut self, now: Duration, operation: &str, input: &Value) -> Result<Value, ApiError> {
        let input = Input(input);
        match operation {
            "GetAuthorizationToken" => Ok(self.authorize(now)),
            "CreateRepository" => self.create_repository(now, input),
            "DescribeRepositories" => self.describe_repositories(input),
            "DeleteRepository" => self.delete_repository(input),
            "PutImageTagMutability" => self.put_image_tag_mutability(input),
            "TagResource" => self.tag_resource(input),
            "ListTagsForResource" => self.list_tags_for_resource(input),
            "PutAccountSetting" => self.put_account_setting(input),
            "GetAccountSetting" => self.get_account_setting(input),
            "BatchGetImage" => self.batch_get_image(input),
            "DescribeImages" => self.describe_images(input),
            "ListImages" => self.list_images(input),
            "PutImage" => self.put_image(now, input),
            "BatchDeleteImage" => self.batch_delete_image(input),
            "BatchCheckLayerAvailability" => self.batch_check_layer_availability(input),
            "GetDownloadUrlForLayer" => self.download_url_for_layer(input),
            unknown => Err(unknown_operation("ECR", unknown)),
        }
    }

    /// Looks up an image reference (`host/repository:tag` or `@digest`) of this registry: `None` when the reference is
    /// of another registry, an error with the puller's words when this one lacks it.
    ///
    /// The words lack the agent's own beginning (`CannotPullContainerError: ...`).
    #[must_use]
    pub fn resolve(&self, image: &str) -> Option<Result<ResolvedImage, String>> {
        let rest = image
            .strip_prefix(self.registry_host.as_str())?
            .strip_prefix('/')?;
        Some(self.resolve_here(rest).map_err(|problem| match problem {
            Unresolved::NotFound => format!("failed to resolve ref {image}: {image}: not found"),
            Unresolved::NoPlatform => {
                format!("image Manifest does not contain descriptor matching platform 'linux/{ARCHITECTURE}'")
            }
        }))
    }

    fn resolve_here(&self, rest: &str) -> Result<ResolvedImage, Unresolved> {
        let (name, reference) = match rest.split_once('@') {
            // `repository:tag@digest`: the digest decides.
            Some((name, digest)) => (name.split_once(':').map_or(name, |(name, _)| name), digest),
            None => rest.split_once(':').unwrap_or((rest, "latest")),
        };
        let repository = self.repositories.get(name).ok_or(Unresolved::NotFound)?;
        let image = repository.find(reference).ok_or(Unresolved::NotFound)?;
        let children = image.manifest.children();
        let platform_digest = if matches!(image.manifest.content, manifest::Content::Image { .. }) {
            image.digest.clone()
        } else {
            children
                .iter()
                .filter(|child| !child.attestation && child.os.as_deref() == Some("linux"))
                .find(|child| child.architecture.as_deref() == Some(ARCHITECTURE))
                .map(|child| child.digest.clone())
                .ok_or(Unresolved::NoPlatform)?
        };
        Ok(ResolvedImage {
            digest: image.digest.clone(),
            platform_digest,
        })
    }

    /// Finds a repository.
    ///
    /// # Errors
    /// `RepositoryNotFoundException`.
    pub fn repository(&self, name: &str) -> Result<&Repository, ApiError> {
        self.repositories
            .get(name)
            .ok_or_else(|| repository_not_found(name))
    }

    /// Finds a repository, to change it.
    ///
    /// # Errors
    /// `RepositoryNotFoundException`.
    pub fn repository_mut(&mut self, name: &str) -> Result<&mut Repository, ApiError> {
        self.repositories
            .get_mut(name)
            .ok_or_else(|| repository_not_found(name))
    }

    /// All repositories, by name.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        self.repositories.values()
    }

    /// Whether a blob of one repository may be mounted into another: only when the account setting `BLOB_MOUNTING`
    /// is on, both use the same key, and a manifest of the source refers to the blob.
    #[must_use]
    pub fn can_mount(&self, from: &str, to: &str, digest: &str) -> Option<u64> {
        let (from, to) = (self.repositories.get(from)?, self.repositories.get(to)?);
        let on = self
            .settings
            .get("BLOB_MOUNTING")
            .is_some_and(|value| value == "ENABLED");
        (on && from.kms_key == to.kms_key && from.refers_to(digest))
            .then(|| from.blobs.get(digest).copied())
            .flatten()
    }

    /// Whether a token opens the registry.
    #[must_use]
    pub fn admits(&self, now: Duration, token: &str) -> Admission {
        match self.tokens.get(token) {
            Some(expires) if now < *expires => Admission::Granted,
            Some(_) => Admission::Expired,
            None => Admission::Unknown,
        }
    }

    /// A token of the sandbox's own agent, which never has to renew it.
    pub fn agent_token(&mut self) -> Secret<String> {
        let token = "sandbox-agent-token";
        self.tokens.insert(token.to_owned(), Duration::MAX);
        Secret::new(token.to_owned())
    }

    fn authorize(&mut self, now: Duration) -> Value {
        let token = format!("sandbox-registry-token-{}", self.tokens.len() + 1);
        let expires = now + TOKEN_LIFE;
        let encoded = STANDARD.encode(format!("AWS:{token}"));
        self.tokens.insert(token, expires);
        json!({ "authorizationData": [{
            "authorizationToken": encoded,
            "expiresAt": epoch(expires),
            "proxyEndpoint": format!("http://{}", self.registry_host),
        }]})
    }

    /// The URL of a blob, as a presigned one of the bucket behind the registry.
    #[must_use]
    pub fn download_url(&self, repository: &str, digest: &str) -> String {
        format!(
            "http://{}/prod-{}-starport-layer-bucket/{repository}/{digest}?X-Amz-Expires=3600&X-Amz-Signature=sandbox",
            self.registry_host, self.region
        )
    }

    /// The path prefix of [`Self::download_url`].
    #[must_use]
    pub fn layer_bucket(region: &str) -> String {
        format!("/prod-{region}-starport-layer-bucket/")
    }

    fn repository_arn(&self, name: &str) -> String {
        format!("arn:aws:ecr:{}:{ACCOUNT}:repository/{name}", self.region)
    }
}

enum Unresolved {
    NotFound,
    NoPlatform,
}

fn repository_not_found(name: &str) -> ApiError {
    ApiError::new(
        "RepositoryNotFoundException",
        format!("The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"),
    )
}

/// The text of `ImageNotFoundException`.
fn image_not_found(repository: &str, digest: Option<&str>, tag: Option<&str>) -> ApiError {
    ApiError::new(
        "ImageNotFoundException",
        format!(
            "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with \
             name '{repository}' in the registry with id '{ACCOUNT}'",
            digest.unwrap_or("null"),
            tag.unwrap_or("null"),
        ),
    )
}

/// An image identifier of the API: digest and tag, as far as they are known.
fn image_id(image: &Image, tag: Option<&str>) -> Value {
    match tag {
        Some(tag) => json!({ "imageDigest": image.digest, "imageTag": tag }),
        None => json!({ "imageDigest": image.digest }),
    }
}

#[cfg(test)]
mod tests;
