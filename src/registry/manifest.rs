//! Image manifests and indexes, read without asking anybody.
//!
//! Understands the four media types that registries serve: Docker's image manifest v2 and manifest list, and their
//! OCI counterparts.

use crate::name::Digest;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a manifest's text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// One image for one platform.
    Image {
        /// The digest of its config, which the Engine's classic image store uses as the image id.
        config: Digest,
    },
    /// An index: several images under one digest.
    Index {
        /// Its images, without attestations.
        images: Vec<PlatformManifest>,
    },
}

/// One image of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformManifest {
    /// The digest of its own manifest.
    pub digest: Digest,
    /// `os/architecture[/variant]`, where the index says.
    pub platform: Option<String>,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON, or has members of a wrong type.
    #[error("the manifest is not readable")]
    Unreadable(#[source] serde_json::Error),
    /// It has neither a config nor a list of manifests.
    #[error("the manifest is neither an image's nor an index")]
    Unrecognised,
    /// A digest in it is none.
    #[error("a digest in the manifest is malformed")]
    Digest(#[source] crate::name::NameError),
}

#[derive(Deserialize)]
struct Document {
    config: Option<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

/// BuildKit's mark on an index entry that carries provenance or an SBOM and is no image.
const ATTESTATION: (&str, &str) = ("vnd.docker.reference.type", "attestation-manifest");

impl Manifest {
    /// Reads a manifest's text.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let document: Document = serde_json::from_str(text).map_err(ManifestError::Unreadable)?;
        match document {
            Document {
                manifests: Some(manifests),
                ..
            } => {
                let images = manifests
                    .into_iter()
                    .filter(|entry| !entry.is_attestation())
                    .map(Descriptor::into_platform_manifest)
                    .collect::<Result<_, _>>()?;
                Ok(Self::Index { images })
            }
            Document {
                config: Some(config), ..
            } => Ok(Self::Image {
                config: config.digest.parse().map_err(ManifestError::Digest)?,
            }),
            Document { .. } => Err(ManifestError::Unrecognised),
        }
    }

    /// Whether this manifest, served under `digest`, is the image that an Engine knows as `id`.
    ///
    /// The classic store's id is the config's digest; the containerd store's is the digest of the manifest or index,
    /// and a registry may hold that manifest inside an index.
    #[must_use]
    pub fn is_image(&self, digest: &Digest, id: &str) -> bool {
        if digest.as_str() == id {
            return true;
        }
        match self {
            Self::Image { config } => config.as_str() == id,
            Self::Index { images } => images.iter().any(|image| image.digest.as_str() == id),
        }
    }
}

/// The digests that running tasks may report for an index: those of its images, attestations left out. Empty for an
/// image's own manifest, and for a text that is no manifest.
#[must_use]
pub fn platform_digests(manifest: &str) -> Vec<Digest> {
    match Manifest::parse(manifest) {
        Ok(Manifest::Index { images }) => images.into_iter().map(|image| image.digest).collect(),
        Ok(Manifest::Image { .. }) | Err(_) => Vec::new(),
    }
}

impl Descriptor {
    /// An attestation is annotated, and its platform is `unknown/unknown`; either one is enough.
    fn is_attestation(&self) -> bool {
        let annotated = self
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(ATTESTATION.0))
            .is_some_and(|kind| kind == ATTESTATION.1);
        let unknown = self.platform.as_ref().is_some_and(|platform| {
            platform.os.as_deref() == Some("unknown") && platform.architecture.as_deref() == Some("unknown")
        });
        annotated || unknown
    }

    fn into_platform_manifest(self) -> Result<PlatformManifest, ManifestError> {
        let platform = self.platform.and_then(|platform| {
            let (os, architecture) = (platform.os?, platform.architecture?);
            let variant = platform.variant.filter(|variant| !variant.is_empty());
            Some(match variant {
                Some(variant) => format!("{os}/{architecture}/{variant}"),
                None => format!("{os}/{architecture}"),
            })
        });
        Ok(PlatformManifest {
            digest: self.digest.parse().map_err(ManifestError::Digest)?,
            platform,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Manifest, platform_digests};
    use crate::name::Digest;
    use serde_json::json;
    use std::error::Error;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    fn index(media_type: &str) -> String {
        json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [
                { "digest": digest("amd").as_str(), "size": 1, "platform": { "os": "linux", "architecture": "amd64" } },
                { "digest": digest("arm").as_str(), "size": 1,
                  "platform": { "os": "linux", "architecture": "arm64", "variant": "v8" } },
                { "digest": digest("bare").as_str(), "size": 1 },
                { "digest": digest("provenance").as_str(), "size": 1,
                  "annotations": { "vnd.docker.reference.type": "attestation-manifest",
                                   "vnd.docker.reference.digest": digest("amd").as_str() } },
                { "digest": digest("unknown").as_str(), "size": 1,
                  "platform": { "os": "unknown", "architecture": "unknown" } },
            ],
        })
        .to_string()
    }

    fn image() -> String {
        json!({ "schemaVersion": 2, "config": { "digest": digest("config").as_str(), "size": 7 }, "layers": [] }).to_string()
    }

    #[test]
    fn an_index_gives_its_platforms_without_attestations() {
        for media_type in [
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.oci.image.index.v1+json",
        ] {
            let text = index(media_type);
            assert_eq!(
                platform_digests(&text),
                [digest("amd"), digest("arm"), digest("bare")]
            );
            let Manifest::Index { images } = Manifest::parse(&text).unwrap() else {
                panic!("{text}");
            };
            let platforms: Vec<Option<&str>> = images.iter().map(|image| image.platform.as_deref()).collect();
            assert_eq!(platforms, [Some("linux/amd64"), Some("linux/arm64/v8"), None]);
        }
    }

    #[test]
    fn an_image_is_recognised_by_either_kind_of_id() {
        let plain = Manifest::parse(&image()).unwrap();
        let index = Manifest::parse(&index("")).unwrap();
        let manifest = digest("manifest");
        for (read, id, same) in [
            (&plain, digest("config"), true),
            (&plain, manifest.clone(), true),
            (&plain, digest("other"), false),
            (&index, manifest.clone(), true),
            (&index, digest("arm"), true),
            (&index, digest("provenance"), false),
        ] {
            assert_eq!(read.is_image(&manifest, id.as_str()), same, "{id} in {read:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_manifest_gives_an_error_and_no_digests() {
        for (text, says) in [
            ("", "the manifest is not readable"),
            ("[]", "the manifest is not readable"),
            ("{}", "the manifest is neither an image's nor an index"),
            (
                r#"{"config":{"digest":"sha256:1"}}"#,
                "a digest in the manifest is malformed",
            ),
            (
                r#"{"manifests":[{"digest":"x"}]}"#,
                "a digest in the manifest is malformed",
            ),
            (r#"{"manifests":[{}]}"#, "the manifest is not readable"),
        ] {
            let error = Manifest::parse(text).unwrap_err();
            assert_eq!(error.to_string(), says);
            assert_eq!(error.source().is_none(), text == "{}");
            assert!(platform_digests(text).is_empty());
        }
        assert!(platform_digests(&image()).is_empty());
    }
}
