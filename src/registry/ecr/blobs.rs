//! What a repository holds below its manifests, and tags for what it holds already.

use super::client::{Ecr, EcrRepository, HeldImage, is_refused};
use super::download::download;
use super::error::EcrError;
use crate::aws::sort::CallError;
use crate::name::{Digest, Tag};

impl Ecr {
    /// The text of an image's config.
    ///
    /// # Errors
    /// [`EcrError::FindConfig`], [`EcrError::ReadConfig`].
    pub async fn config_of(&self, repository: &EcrRepository, config: &Digest) -> Result<Vec<u8>, EcrError> {
        const ACTION: &str = "ecr:GetDownloadUrlForLayer";
        let failed = |source: CallError| EcrError::FindConfig {
            repository: repository.name.clone(),
            digest: config.clone(),
            source: source.into(),
        };
        let answer = self
            .client
            .get_download_url_for_layer()
            .set_registry_id(repository.account.clone())
            .repository_name(repository.name.as_str())
            .layer_digest(config.as_str())
            .send()
            .await
            .map_err(CallError::of(ACTION))
            .map_err(failed)?;
        let url = answer
            .download_url()
            .ok_or_else(CallError::lacking(ACTION, "downloadUrl"))
            .map_err(failed)?;
        download(url, config)
            .await
            .map_err(|source| EcrError::ReadConfig {
                repository: repository.name.clone(),
                digest: config.clone(),
                source,
            })
    }

    /// Makes a tag stand for an image that the repository has. One that does already is as good.
    ///
    /// # Errors
    /// [`EcrError::PutTag`]; `ImageTagAlreadyExistsException` where the tag is another image and cannot move.
    pub async fn put_tag(
        &self,
        repository: &EcrRepository,
        tag: &Tag,
        held: &HeldImage,
    ) -> Result<(), EcrError> {
        let answer = self
            .client
            .put_image()
            .set_registry_id(repository.account.clone())
            .repository_name(repository.name.as_str())
            .image_manifest(&held.manifest)
            .set_image_manifest_media_type(held.media_type.clone())
            .image_digest(held.digest.as_str())
            .image_tag(tag.as_str())
            .send()
            .await
            .map_err(CallError::of("ecr:PutImage"));
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_refused(&error, "ImageAlreadyExistsException") => Ok(()),
            Err(source) => Err(EcrError::PutTag {
                repository: repository.name.clone(),
                tag: tag.clone(),
                source: source.into(),
            }),
        }
    }
}
