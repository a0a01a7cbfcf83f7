//! What proves an image.

use super::Ecs;
use crate::aws::Aws;
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
        let is_it = |manifest: &String| Digest::of(manifest.as_bytes()) == deployed;
        let manifest = self::manifest(&self.home, image, &deployed).await.filter(is_it);
        let manifest = match manifest {
            Some(manifest) => Some(manifest),
            None if self.home.place() == self.aws.place() => None,
            None => self::manifest(&self.aws, image, &deployed).await.filter(is_it),
        };
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
}

async fn manifest(aws: &Aws, image: &ImageRef, digest: &Digest) -> Option<String> {
    let parts = image.registry.as_ref().and_then(RegistryHost::ecr_parts);
    let region = parts.map_or(aws.region(), |(_, region)| region).to_owned();
    let region = aws_sdk_ecr::config::Region::new(region);
    let answer = aws
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
