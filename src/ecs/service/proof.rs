//! What proves an image, and the last lines of a container's log.

use super::Ecs;
use crate::ecs::rollout::Expected;
use crate::name::{Digest, ImageRef, RegistryHost};
use aws_sdk_ecr::types::ImageIdentifier;
use serde_json::Value;
use std::collections::BTreeSet;

/// Media types of image indexes: OCI's and Docker's.
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

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
            platforms: manifest.as_deref().map(platforms).unwrap_or_default(),
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

    /// The last lines that a container of a task wrote to CloudWatch Logs, oldest first; none if there are none or
    /// they may not be read.
    pub async fn log_tail(
        &self,
        group: &str,
        prefix: &str,
        container: &str,
        task: &str,
        lines: u32,
    ) -> Vec<String> {
        let answer = self
            .aws
            .logs
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(format!("{prefix}/{container}/{task}"))
            .limit(i32::try_from(lines).unwrap_or(i32::MAX))
            .start_from_head(false)
            .send()
            .await;
        let events = answer.ok().and_then(|answer| answer.events).unwrap_or_default();
        events.into_iter().filter_map(|event| event.message).collect()
    }
}

/// The manifests that an index names; none for any other manifest.
fn platforms(manifest: &str) -> BTreeSet<Digest> {
    let Ok(manifest) = serde_json::from_str::<Value>(manifest) else {
        return BTreeSet::new();
    };
    let media_type = manifest.get("mediaType").and_then(Value::as_str);
    // OCI leaves the media type of an index optional; only an index has `manifests`.
    if media_type.is_some_and(|media_type| !INDEXES.contains(&media_type)) {
        return BTreeSet::new();
    }
    let entries = manifest.get("manifests").and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("digest")?.as_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::platforms;
    use crate::name::Digest;
    use serde_json::json;

    #[test]
    fn an_index_names_its_platforms_and_a_manifest_names_none() {
        let digest = Digest::of(b"linux/amd64");
        let entry = json!([{"digest": digest.as_str(), "platform": {"os": "linux"}}]);
        for media_type in [json!("application/vnd.oci.image.index.v1+json"), json!(null)] {
            let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entry});
            let found = platforms(&index.to_string());
            assert!(found.len() == 1 && found.contains(&digest));
        }
        let manifest = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": entry});
        assert!(platforms(&manifest.to_string()).is_empty());
        assert!(platforms("no json").is_empty());
    }
}
