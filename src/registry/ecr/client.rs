//! The calls to ECR, and its answers as plain types.

use super::error::EcrError;
use super::token::{Token, TokenError};
use crate::aws::sort::{CallError, Sorted};
use crate::clock::Clock;
use crate::image::daemon::RegistryAuth;
use crate::name::{Digest, ImageRef, Repository, Tag};
use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::Region;
use aws_sdk_ecr::types::{
    ImageFailureCode, ImageIdentifier, ImageScanningConfiguration, ImageTagMutability,
    Repository as DescribedRepository,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The media types that BatchGetImage may answer with; without them an index is answered with one of its images.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// ECR in one region, with the token that it gave.
#[derive(Clone)]
pub struct Ecr {
    pub(super) client: Client,
    clock: Clock,
    token: Arc<Mutex<Option<Token>>>,
}

/// A repository that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrRepository {
    /// Its name below the registry.
    pub name: Repository,
    /// The account that the registry belongs to; the caller's own if ECR does not say.
    pub account: Option<String>,
    /// `registry/repository`, to push to and to pull from.
    pub uri: ImageRef,
    /// Whether a tag can move.
    pub mutability: TagMutability,
}

/// Whether the tags of a repository can move to another image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagMutability {
    /// All can.
    Mutable,
    /// None can.
    Immutable,
    /// Some can, by filters: only a push finds out.
    Filtered,
    /// A value that this version does not know.
    Unrecognised(String),
}

impl EcrRepository {
    /// The repository that an image's reference names, which nobody has looked at.
    #[must_use]
    pub fn unseen(image: &ImageRef, account: &str) -> Self {
        Self {
            name: image.repository.clone(),
            account: Some(account.to_owned()),
            uri: ImageRef {
                tag: None,
                digest: None,
                ..image.clone()
            },
            mutability: TagMutability::Unrecognised("unknown".to_owned()),
        }
    }
}

/// What to do about a repository that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Say so.
    Refuse,
    /// Create it, with scan on push and immutable tags.
    Create,
}

/// What a tag stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldImage {
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The manifest's text.
    pub manifest: String,
    /// Its media type, which its text need not say.
    pub media_type: Option<String>,
}

impl Ecr {
    /// ECR as a client reaches it.
    #[must_use]
    pub fn new(client: &Client, clock: Clock) -> Self {
        Self {
            client: client.clone(),
            clock,
            token: Arc::default(),
        }
    }

    /// The same account's view of ECR in another region, with a token of its own.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let config = self.client.config();
        if config.region().is_some_and(|ours| ours.as_ref() == region) {
            return self.clone();
        }
        let config = config.to_builder().region(Region::new(region.to_owned())).build();
        Self::new(&Client::from_conf(config), self.clock.clone())
    }

    /// Credentials for `server`, any registry host that the caller may use in this region. The token is kept in memory
    /// until half an hour before it expires.
    ///
    /// # Errors
    /// [`EcrError::Authorize`], [`EcrError::Token`].
    pub async fn authorize(&self, server: &str) -> Result<RegistryAuth, EcrError> {
        // Held across the call, so that concurrent pushes ask once.
        let mut held = self.token.lock().await;
        match held.as_ref() {
            Some(token) if token.is_good_at(self.clock.now()) => Ok(token.for_server(server)),
            _ => {
                let token = self.fetch_token().await?;
                Ok(held.insert(token).for_server(server))
            }
        }
    }

    /// Forgets the token: a registry refused it.
    pub async fn forget_token(&self) {
        *self.token.lock().await = None;
    }

    async fn fetch_token(&self) -> Result<Token, EcrError> {
        let answer = self
            .client
            .get_authorization_token()
            .send()
            .await
            .map_err(CallError::of("ecr:GetAuthorizationToken"))
            .map_err(|source| EcrError::Authorize(source.into()))?;
        let data = answer.authorization_data().first();
        let text = data.and_then(|data| data.authorization_token());
        let expires = data
            .and_then(|data| data.expires_at())
            .and_then(|at| u64::try_from(at.secs()).ok())
            .map(Duration::from_secs);
        text.ok_or(TokenError::Missing)
            .and_then(|text| Token::decode(text, expires))
            .map_err(EcrError::Token)
    }

    /// Finds a repository, in the registry of `account` or in the caller's own; a missing one is created if asked for.
    ///
    /// # Errors
    /// [`EcrError::NoRepository`] when it is missing and not to be created.
    pub async fn find_repository(
        &self,
        name: &Repository,
        account: Option<&str>,
        if_missing: IfMissing,
    ) -> Result<EcrRepository, EcrError> {
        match self.describe_repository(name, account).await? {
            Some(found) => Ok(found),
            None if if_missing == IfMissing::Create => self.create_repository(name, account).await,
            None => Err(EcrError::NoRepository {
                repository: name.clone(),
            }),
        }
    }

    async fn describe_repository(
        &self,
        name: &Repository,
        account: Option<&str>,
    ) -> Result<Option<EcrRepository>, EcrError> {
        let answer = self
            .client
            .describe_repositories()
            .set_registry_id(account.map(str::to_owned))
            .repository_names(name.as_str())
            .send()
            .await
            .map_err(CallError::of("ecr:DescribeRepositories"));
        match answer {
            Ok(answer) => answer
                .repositories()
                .first()
                .map(|found| read_repository(name, found))
                .transpose(),
            Err(error) if is_missing(&error, "RepositoryNotFoundException") => Ok(None),
            Err(source) => Err(EcrError::FindRepository {
                repository: name.clone(),
                source: source.into(),
            }),
        }
    }

    /// A run beside ours may create it first, which is as good.
    async fn create_repository(
        &self,
        name: &Repository,
        account: Option<&str>,
    ) -> Result<EcrRepository, EcrError> {
        let scan = ImageScanningConfiguration::builder().scan_on_push(true).build();
        let answer = self
            .client
            .create_repository()
            .set_registry_id(account.map(str::to_owned))
            .repository_name(name.as_str())
            .image_tag_mutability(ImageTagMutability::Immutable)
            .image_scanning_configuration(scan)
            .send()
            .await
            .map_err(CallError::of("ecr:CreateRepository"));
        let found = match answer {
            Ok(answer) => answer
                .repository()
                .map(|made| read_repository(name, made))
                .transpose()?,
            Err(error) if is_refused(&error, "RepositoryAlreadyExistsException") => {
                self.describe_repository(name, account).await?
            }
            Err(source) => {
                return Err(EcrError::CreateRepository {
                    repository: name.clone(),
                    source: source.into(),
                });
            }
        };
        found.ok_or_else(|| EcrError::NoRepository {
            repository: name.clone(),
        })
    }

    /// What a tag stands for; none if the repository does not have the tag.
    ///
    /// # Errors
    /// [`EcrError::ReadTag`] and what ECR says of one image.
    pub async fn held_at(
        &self,
        repository: &EcrRepository,
        tag: &Tag,
    ) -> Result<Option<HeldImage>, EcrError> {
        let id = ImageIdentifier::builder().image_tag(tag.as_str()).build();
        self.batch_get_image(repository, id, tag.as_str())
            .await?
            .map_err(|source| EcrError::ReadTag {
                repository: repository.name.clone(),
                tag: tag.clone(),
                source: source.into(),
            })
    }

    /// The text of a manifest; none if the repository does not have it.
    ///
    /// # Errors
    /// [`EcrError::ReadManifest`] and what ECR says of one image.
    pub async fn manifest_of(
        &self,
        repository: &EcrRepository,
        digest: &Digest,
    ) -> Result<Option<HeldImage>, EcrError> {
        let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        self.batch_get_image(repository, id, digest.as_str())
            .await?
            .map_err(|source| EcrError::ReadManifest {
                repository: repository.name.clone(),
                digest: digest.clone(),
                source: source.into(),
            })
    }

    /// The outer error is about the image, the inner one about the call.
    async fn batch_get_image(
        &self,
        repository: &EcrRepository,
        id: ImageIdentifier,
        asked: &str,
    ) -> Result<Result<Option<HeldImage>, CallError>, EcrError> {
        let answer = self
            .client
            .batch_get_image()
            .set_registry_id(repository.account.clone())
            .repository_name(repository.name.as_str())
            .image_ids(id)
            .set_accepted_media_types(Some(MEDIA_TYPES.map(str::to_owned).to_vec()))
            .send()
            .await
            .map_err(CallError::of("ecr:BatchGetImage"));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(image) = answer.images().first() {
            let digest = image.image_id().and_then(|id| id.image_digest());
            let Some(digest) = digest.and_then(|digest| digest.parse().ok()) else {
                return Err(EcrError::NoDigest {
                    repository: repository.name.clone(),
                    image: asked.to_owned(),
                });
            };
            let manifest = image.image_manifest().unwrap_or_default().to_owned();
            let media_type = image.image_manifest_media_type().map(str::to_owned);
            return Ok(Ok(Some(HeldImage {
                digest,
                manifest,
                media_type,
            })));
        }
        match answer
            .failures()
            .first()
            .and_then(|failure| failure.failure_code())
        {
            None | Some(ImageFailureCode::ImageNotFound) => Ok(Ok(None)),
            Some(code) => Err(EcrError::ImageFailure {
                repository: repository.name.clone(),
                image: asked.to_owned(),
                code: code.as_str().to_owned(),
            }),
        }
    }

    /// Whether the repository lists an image with this digest. It may take a moment after a push.
    ///
    /// # Errors
    /// [`EcrError::Confirm`].
    pub async fn lists(&self, repository: &EcrRepository, digest: &Digest) -> Result<bool, EcrError> {
        let answer = self
            .client
            .describe_images()
            .set_registry_id(repository.account.clone())
            .repository_name(repository.name.as_str())
            .image_ids(ImageIdentifier::builder().image_digest(digest.as_str()).build())
            .send()
            .await
            .map_err(CallError::of("ecr:DescribeImages"));
        match answer {
            Ok(answer) => Ok(answer
                .image_details()
                .iter()
                .any(|image| image.image_digest() == Some(digest.as_str()))),
            Err(error) if is_missing(&error, "ImageNotFoundException") => Ok(false),
            // A role that may push need not have DescribeImages; BatchGetImage says the same.
            Err(error) if error.sorted == Sorted::Denied => {
                let held = self.manifest_of(repository, digest).await?;
                Ok(held.is_some_and(|held| held.digest == *digest))
            }
            Err(source) => Err(EcrError::Confirm {
                repository: repository.name.clone(),
                digest: digest.clone(),
                source: source.into(),
            }),
        }
    }
}

impl fmt::Debug for Ecr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ecr")
    }
}

fn read_repository(name: &Repository, found: &DescribedRepository) -> Result<EcrRepository, EcrError> {
    let uri = found
        .repository_uri()
        .unwrap_or_default()
        .parse()
        .map_err(|source| EcrError::Address {
            repository: name.clone(),
            source,
        })?;
    let mutability = match found.image_tag_mutability() {
        None | Some(ImageTagMutability::Mutable) => TagMutability::Mutable,
        Some(ImageTagMutability::Immutable) => TagMutability::Immutable,
        Some(ImageTagMutability::ImmutableWithExclusion | ImageTagMutability::MutableWithExclusion) => {
            TagMutability::Filtered
        }
        Some(other) => TagMutability::Unrecognised(other.as_str().to_owned()),
    };
    Ok(EcrRepository {
        name: name.clone(),
        account: found.registry_id().map(str::to_owned),
        uri,
        mutability,
    })
}

fn is_missing(error: &CallError, wanted: &str) -> bool {
    matches!(&error.sorted, Sorted::Missing { code } if code == wanted)
}

pub(super) fn is_refused(error: &CallError, wanted: &str) -> bool {
    matches!(&error.sorted, Sorted::Refused { code, .. } if code == wanted)
}
