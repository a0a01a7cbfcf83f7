//! The operations on images and layers.

use super::super::error::ApiError;
use super::super::input::{Input, epoch, invalid, page};
use super::repositories::{size_of_page, with_token};
use super::repository::{Image, Put, Refusal, Repository, is_tag};
use super::{Ecr, image_id, image_not_found, manifest};
use crate::sandbox::ACCOUNT;
use serde_json::{Value, json};
use std::time::Duration;

/// An identifier in a request: a digest, a tag, or both.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    digest: Option<&'a str>,
    tag: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(item: &'a Value) -> Result<Self, ApiError> {
        Ok(Self {
            digest: Input(item).text("imageDigest")?,
            tag: Input(item).text("imageTag")?,
        })
    }

    fn find(self, repository: &'a Repository) -> Option<&'a Image> {
        match (self.digest, self.tag) {
            (Some(digest), Some(tag)) => repository.find(tag).filter(|image| image.digest == digest),
            (Some(one), None) | (None, Some(one)) => repository.find(one),
            (None, None) => None,
        }
    }

    /// A failure of a batch, as BatchGetImage and BatchDeleteImage list them.
    fn failure(self, code: &str, reason: &str) -> Value {
        let mut id = json!({});
        if let Some(digest) = self.digest {
            id["imageDigest"] = Value::from(digest);
        }
        if let Some(tag) = self.tag {
            id["imageTag"] = Value::from(tag);
        }
        json!({ "imageId": id, "failureCode": code, "failureReason": reason })
    }

    /// What is wrong with the identifier itself, as a failure.
    fn problem(self) -> Option<Value> {
        match (self.digest, self.tag) {
            (None, None) => Some(self.failure(
                "MissingDigestAndTag",
                "Invalid request parameters: both tag and digest cannot be null",
            )),
            (Some(digest), _) if !manifest::is_digest(digest) => Some(self.failure(
                "InvalidImageDigest",
                "Invalid request parameters: image digest is invalid",
            )),
            (_, Some(tag)) if !is_tag(tag) => Some(self.failure(
                "InvalidImageTag",
                "Invalid request parameters: image tag is invalid",
            )),
            _ => None,
        }
    }
}

fn read_ids(input: Input<'_>) -> Result<Vec<Wanted<'_>>, ApiError> {
    let items = input
        .list("imageIds")?
        .ok_or_else(|| invalid("imageIds", "Member must not be null"))?;
    if items.is_empty() || items.len() > 100 {
        return Err(invalid("imageIds", "Member must have length between 1 and 100"));
    }
    items.iter().map(Wanted::read).collect()
}

impl Ecr {
    pub(super) fn batch_get_image(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let repository = self.repository(input.required("repositoryName")?)?;
        let accepted = input.texts("acceptedMediaTypes")?.unwrap_or_default();
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for wanted in read_ids(input)? {
            if let Some(problem) = wanted.problem() {
                failures.push(problem);
                continue;
            }
            let found = wanted.find(repository);
            let served = found.filter(|image| {
                accepted.is_empty() || accepted.contains(&image.manifest.media_type.as_str())
            });
            match (served, found, wanted.digest, wanted.tag) {
                (Some(image), ..) => images.push(show_image(repository, image, wanted.tag)),
                (None, Some(_), ..) => failures.push(wanted.failure(
                    "ImageNotFound",
                    "Requested image is not available in any of the accepted media types",
                )),
                (None, None, Some(digest), Some(tag)) if repository.find(tag).is_some() && digest != tag => {
                    failures.push(wanted.failure(
                        "ImageTagDoesNotMatchDigest",
                        "Requested image's tag does not refer to the requested digest",
                    ));
                }
                (None, None, ..) => {
                    failures.push(wanted.failure("ImageNotFound", "Requested image not found"));
                }
            }
        }
        Ok(json!({ "images": images, "failures": failures }))
    }

    pub(super) fn describe_images(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("repositoryName")?;
        let repository = self.repository(name)?;
        let size = input.number("maxResults", 1..=1000)?;
        if input.list("imageIds")?.is_some() {
            if size.is_some() || input.member("nextToken").is_some() {
                return Err(invalid("maxResults", "must not be given together with imageIds"));
            }
            let mut details = Vec::new();
            for wanted in read_ids(input)? {
                let found = wanted.find(repository);
                let image = found.ok_or_else(|| image_not_found(name, wanted.digest, wanted.tag))?;
                details.push(show_detail(repository, image));
            }
            return Ok(json!({ "imageDetails": details }));
        }
        let images = filtered(repository, input)?;
        let size = size_of_page(size.unwrap_or(100));
        let (images, next) = page(
            images,
            |image| image.digest.clone(),
            input.text("nextToken")?,
            size,
        )?;
        let details: Vec<Value> = images
            .into_iter()
            .map(|image| show_detail(repository, image))
            .collect();
        Ok(with_token(json!({ "imageDetails": details }), next))
    }

    pub(super) fn list_images(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let repository = self.repository(input.required("repositoryName")?)?;
        let size = size_of_page(input.number("maxResults", 1..=1000)?.unwrap_or(100));
        let mut ids = Vec::new();
        for image in filtered(repository, input)? {
            let tags = repository.tags_of(&image.digest);
            if tags.is_empty() {
                ids.push((image.digest.clone(), image_id(image, None)));
            }
            ids.extend(
                tags.into_iter()
                    .map(|tag| (format!("{}:{tag}", image.digest), image_id(image, Some(tag)))),
            );
        }
        let (ids, next) = page(ids, |(key, _)| key.clone(), input.text("nextToken")?, size)?;
        let ids: Vec<Value> = ids.into_iter().map(|(_, id)| id).collect();
        Ok(with_token(json!({ "imageIds": ids }), next))
    }

    pub(super) fn put_image(&mut self, now: Duration, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("repositoryName")?.to_owned();
        let text = input.required("imageManifest")?;
        let put = Put {
            text,
            media_type: input.text("imageManifestMediaType")?,
            tag: input.text("imageTag")?,
            digest: input.text("imageDigest")?,
        };
        if put.tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid("imageTag", "must be a valid image tag"));
        }
        let repository = self.repository_mut(&name)?;
        let stored = repository
            .put(now, put)
            .map_err(|refusal| put_error(&name, put.tag, &refusal))?;
        if stored.existed {
            let tagged = put.tag.map(|tag| format!(" and tag '{tag}'")).unwrap_or_default();
            return Err(ApiError::new(
                "ImageAlreadyExistsException",
                format!(
                    "Image with digest '{}'{tagged} already exists in the repository with name '{name}' in registry \
                     with id '{ACCOUNT}'",
                    stored.digest
                ),
            ));
        }
        let image = repository.find(&stored.digest);
        let shown = image.map(|image| show_image(repository, image, put.tag));
        Ok(json!({ "image": shown }))
    }

    pub(super) fn batch_delete_image(&mut self, input: Input<'_>) -> Result<Value, ApiError> {
        let repository = self.repository_mut(input.required("repositoryName")?)?;
        let (mut deleted, mut failures) = (Vec::new(), Vec::new());
        for wanted in read_ids(input)? {
            if let Some(problem) = wanted.problem() {
                failures.push(problem);
                continue;
            }
            let Some(digest) = wanted.find(repository).map(|image| image.digest.clone()) else {
                failures.push(wanted.failure("ImageNotFound", "Requested image not found"));
                continue;
            };
            if wanted.tag.is_none() && repository.parent_of(&digest).is_some() {
                failures.push(wanted.failure(
                    "ImageReferencedByManifestList",
                    "Requested image referenced by manifest list",
                ));
                continue;
            }
            match wanted.tag {
                Some(tag) => {
                    repository.untag(tag);
                    deleted.push(json!({ "imageDigest": digest, "imageTag": tag }));
                }
                None => {
                    let tags = repository.remove(&digest).unwrap_or_default();
                    if tags.is_empty() {
                        deleted.push(json!({ "imageDigest": digest }));
                    }
                    deleted.extend(
                        tags.iter()
                            .map(|tag| json!({ "imageDigest": digest, "imageTag": tag })),
                    );
                }
            }
        }
        Ok(json!({ "imageIds": deleted, "failures": failures }))
    }

    pub(super) fn batch_check_layer_availability(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let repository = self.repository(input.required("repositoryName")?)?;
        let digests = input.texts("layerDigests")?.unwrap_or_default();
        if digests.is_empty() || digests.len() > 100 {
            return Err(invalid(
                "layerDigests",
                "Member must have length between 1 and 100",
            ));
        }
        let (mut layers, mut failures) = (Vec::new(), Vec::new());
        for digest in digests {
            if !manifest::is_digest(digest) {
                failures.push(json!({
                    "layerDigest": digest,
                    "failureCode": "InvalidLayerDigest",
                    "failureReason": "Invalid layer digest",
                }));
                continue;
            }
            layers.push(match repository.blobs.get(digest) {
                Some(size) => json!({
                    "layerDigest": digest,
                    "layerAvailability": "AVAILABLE",
                    "layerSize": size,
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                }),
                None => json!({ "layerDigest": digest, "layerAvailability": "UNAVAILABLE" }),
            });
        }
        Ok(json!({ "layers": layers, "failures": failures }))
    }

    pub(super) fn download_url_for_layer(&self, input: Input<'_>) -> Result<Value, ApiError> {
        let name = input.required("repositoryName")?;
        let digest = input.required("layerDigest")?;
        if !self.repository(name)?.blobs.contains_key(digest) {
            return Err(ApiError::new(
                "LayersNotFoundException",
                format!(
                    "The layer with digest '{digest}' does not exist in the repository with name '{name}' in registry \
                     with id '{ACCOUNT}'"
                ),
            ));
        }
        Ok(json!({ "downloadUrl": self.download_url(name, digest), "layerDigest": digest }))
    }
}

/// The images that pass `filter.tagStatus`, by digest.
fn filtered<'a>(repository: &'a Repository, input: Input<'_>) -> Result<Vec<&'a Image>, ApiError> {
    let wants_tags = match input.structure("filter")?.text("tagStatus")? {
        None | Some("ANY") => None,
        Some("TAGGED") => Some(true),
        Some("UNTAGGED") => Some(false),
        Some(_) => {
            let rule = "Member must satisfy enum value set: [TAGGED, UNTAGGED, ANY]";
            return Err(invalid("filter.tagStatus", rule));
        }
    };
    let passes = |image: &&Image| {
        wants_tags.is_none_or(|wanted| repository.tags_of(&image.digest).is_empty() != wanted)
    };
    Ok(repository.images().filter(passes).collect())
}

fn show_image(repository: &Repository, image: &Image, tag: Option<&str>) -> Value {
    json!({
        "registryId": ACCOUNT,
        "repositoryName": repository.name,
        "imageId": image_id(image, tag),
        "imageManifest": image.text,
        "imageManifestMediaType": image.manifest.media_type,
    })
}

fn show_detail(repository: &Repository, image: &Image) -> Value {
    let mut detail = json!({
        "registryId": ACCOUNT,
        "repositoryName": repository.name,
        "imageDigest": image.digest,
        "imageSizeInBytes": repository.size_of(image),
        "imagePushedAt": epoch(image.pushed),
        "imageManifestMediaType": image.manifest.media_type,
    });
    let tags = repository.tags_of(&image.digest);
    if !tags.is_empty() {
        detail["imageTags"] = Value::from(tags);
    }
    if let Some(kind) = &image.manifest.artifact_type {
        detail["artifactMediaType"] = Value::from(kind.as_str());
    }
    detail
}

/// PutImage's error for a refused manifest.
fn put_error(repository: &str, tag: Option<&str>, refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Invalid(problem) => invalid("ImageManifest", problem),
        Refusal::DigestMismatch { actual } => ApiError::new(
            "ImageDigestDoesNotMatchException",
            format!(
                "The digest of the image manifest is '{actual}', which is not the digest that was provided"
            ),
        ),
        Refusal::TagTaken => ApiError::new("ImageTagAlreadyExistsException", tag_taken(repository, tag)),
        Refusal::LayersMissing(digests) => ApiError::new(
            "LayersNotFoundException",
            format!(
                "Images's layers with digests '[{}]' required for pushing image into repository with name \
                 '{repository}' in the registry with id '{ACCOUNT}' do not exist",
                digests.join(", ")
            ),
        ),
        Refusal::ImagesMissing(digests) => ApiError::new(
            "ReferencedImagesNotFoundException",
            format!(
                "Images with digests '[{}]' required for pushing image into repository with name '{repository}' in \
                 the registry with id '{ACCOUNT}' do not exist",
                digests.join(", ")
            ),
        ),
    }
}

/// The text about a tag that must not move; the registry uses it as well.
pub fn tag_taken(repository: &str, tag: Option<&str>) -> String {
    format!(
        "The image tag '{}' already exists in the '{repository}' repository and cannot be overwritten because the tag \
         is immutable.",
        tag.unwrap_or_default()
    )
}
