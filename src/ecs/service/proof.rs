//! What proves an image.

use super::Ecs;
use crate::ecs::rollout::Expected;
use crate::name::{Digest, ImageRef, RegistryHost};
use crate::registry::manifest::platform_digests;
use aws_sdk_ecr::types::ImageIdentifier;

impl Ecs {
    /// The digests that a running container may report for an image: the one that is deployed, or a platform's
    /// manifest if that is an index. None if the reference has no digest.
    ///
    /// The manifest is asked of ECR by its digest and checked against it, so it does not matter which registry the
    /// reference names: an equal digest is an equal manifest. Where ECR does not have it, only equality proves.
    pub async fn expected(&self, image: &ImageRef) -> Option<Expected> {
        let deployed = image.digest.clone()?;
        let manifest = self.manifest(image, &deployed).await;
        let manifest = manifest.filter(|manifest| Digest::of(manifest.as_bytes()) == deployed);
        Some(Expected {
            platforms: manifest
                .as_deref()
                .map(platform_digests)
                .unwrap_or_default()
                .into_iter()
                .collect(),
            resolved: manifest.is_some(),
            deployed,
        })
    }

    async fn manifest(&self, image: &ImageRef, digest: &Digest) -> Option<String> {
        let parts = image.registry.as_ref().and_then(RegistryHost::ecr_parts);
        let region = parts.map_or(self.aws.region(), |(_, region)| region).to_owned();
        let region = aws_sdk_ecr::config::Region::new(region);
        let answer = self
            .aws
            .ecr
            .batch_get_image()
            .set_registry_id(parts.map(|(account, _)| account.to_owned()))
            .repository_name(image.repository.as_str())
            .image_ids(ImageIdentifier::builder().image_digest(digest.as_str()).build())
            .customize()
            .config_override(aws_sdk_ecr::config::Builder::new().region(region))
            .send()
            .await
            .ok()?;
        answer.images().first()?.image_manifest().map(str::to_owned)
    }
}
