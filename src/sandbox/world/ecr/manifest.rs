//! Image manifests and indexes, as far as a registry reads them.

use serde_json::Value;

/// Docker's image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI's image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI's image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// One of the four media types.
    pub media_type: String,
    /// What it refers to.
    pub content: Content,
    /// `artifactType`, or the media type of the configuration.
    pub artifact_type: Option<String>,
    /// The digest of the manifest that it is about (OCI 1.1).
    pub subject: Option<String>,
}

/// What a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A configuration and layers, each (digest, size).
    Image {
        /// The configuration.
        config: Blob,
        /// The layers, base first.
        layers: Vec<Blob>,
    },
    /// Other manifests.
    Index(Vec<Child>),
}

/// A blob that a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// `sha256:...`
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A manifest that an index refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// `sha256:...`
    pub digest: String,
    /// `linux`; `unknown` for attestations.
    pub os: Option<String>,
    /// `amd64`, `arm64`; `unknown` for attestations.
    pub architecture: Option<String>,
    /// Whether BuildKit marked it as an attestation.
    pub attestation: bool,
}

impl Manifest {
    /// Reads a manifest; `declared` is the media type that came with it, which must agree with its own.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn parse(text: &str, declared: Option<&str>) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|_| "Invalid JSON syntax".to_owned())?;
        if json.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            return Err("schemaVersion must be 2".to_owned());
        }
        let own = json.get("mediaType").and_then(Value::as_str);
        let media_type = match (own, declared) {
            (Some(own), Some(declared)) if own != declared => {
                return Err(format!("manifest media type {own} does not match {declared}"));
            }
            (Some(known), _) | (None, Some(known)) => known.to_owned(),
            (None, None) => guess(&json).to_owned(),
        };
        let content = match media_type.as_str() {
            DOCKER_MANIFEST | OCI_MANIFEST => read_image(&json)?,
            DOCKER_LIST | OCI_INDEX => read_index(&json)?,
            other => return Err(format!("unsupported manifest media type {other}")),
        };
        let text_at = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            media_type,
            content,
            artifact_type: text_at("/artifactType").or_else(|| text_at("/config/mediaType")),
            subject: text_at("/subject/digest"),
        })
    }

    /// The blobs that must be there before it.
    pub fn blobs(&self) -> Vec<&Blob> {
        match &self.content {
            Content::Image { config, layers } => std::iter::once(config).chain(layers).collect(),
            Content::Index(_) => Vec::new(),
        }
    }

    /// The manifests that must be there before it.
    pub fn children(&self) -> &[Child] {
        match &self.content {
            Content::Image { .. } => &[],
            Content::Index(children) => children,
        }
    }
}

fn guess(json: &Value) -> &'static str {
    if json.get("manifests").is_some() {
        OCI_INDEX
    } else {
        OCI_MANIFEST
    }
}

fn read_image(json: &Value) -> Result<Content, String> {
    let config = read_blob(json.get("config").ok_or("config is missing")?, "config")?;
    let layers = json
        .get("layers")
        .and_then(Value::as_array)
        .ok_or("layers is missing")?;
    let layers = layers
        .iter()
        .map(|layer| read_blob(layer, "layers"))
        .collect::<Result<_, _>>()?;
    Ok(Content::Image { config, layers })
}

fn read_index(json: &Value) -> Result<Content, String> {
    let children = json
        .get("manifests")
        .and_then(Value::as_array)
        .ok_or("manifests is missing")?;
    let children = children
        .iter()
        .map(|child| {
            let digest = read_blob(child, "manifests")?.digest;
            let text_at = |pointer: &str| child.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            Ok(Child {
                digest,
                os: text_at("/platform/os"),
                architecture: text_at("/platform/architecture"),
                attestation: child.pointer("/annotations/vnd.docker.reference.type").is_some(),
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Content::Index(children))
}

fn read_blob(json: &Value, place: &str) -> Result<Blob, String> {
    let digest = json.get("digest").and_then(Value::as_str).unwrap_or_default();
    if !is_digest(digest) {
        return Err(format!("{place} holds an invalid digest"));
    }
    let size = json
        .get("size")
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("{place} holds no size"))?;
    Ok(Blob {
        digest: digest.to_owned(),
        size,
    })
}

/// Whether a text is `sha256:` and 64 lower-case hex digits.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::{Content, DOCKER_MANIFEST, Manifest, OCI_INDEX, is_digest};
    use serde_json::json;

    fn digest(byte: char) -> String {
        format!("sha256:{}", byte.to_string().repeat(64))
    }

    #[test]
    fn a_manifest_names_its_blobs() {
        let text = json!({
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": { "mediaType": "c", "digest": digest('a'), "size": 3 },
            "layers": [{ "mediaType": "l", "digest": digest('b'), "size": 5 }],
        })
        .to_string();
        let manifest = Manifest::parse(&text, Some(DOCKER_MANIFEST)).unwrap();
        let blobs: Vec<_> = manifest
            .blobs()
            .iter()
            .map(|blob| (blob.digest.clone(), blob.size))
            .collect();
        assert_eq!(blobs, [(digest('a'), 3), (digest('b'), 5)]);
        assert!(
            Manifest::parse(&text, Some(OCI_INDEX)).is_err(),
            "the media types disagree"
        );
    }

    #[test]
    fn an_index_tells_attestations_apart() {
        let text = json!({
            "schemaVersion": 2,
            "manifests": [
                { "digest": digest('a'), "size": 1, "platform": { "os": "linux", "architecture": "amd64" } },
                { "digest": digest('b'), "size": 1, "platform": { "os": "unknown", "architecture": "unknown" },
                  "annotations": { "vnd.docker.reference.type": "attestation-manifest" } },
            ],
        })
        .to_string();
        let manifest = Manifest::parse(&text, None).unwrap();
        assert_eq!(manifest.media_type, OCI_INDEX);
        let Content::Index(children) = &manifest.content else {
            panic!("an index")
        };
        assert_eq!(
            children.iter().map(|child| child.attestation).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"schemaVersion":1}"#,
            r#"{"schemaVersion":2}"#,
            r#"{"schemaVersion":2,"manifests":[{}]}"#,
            r#"{"schemaVersion":2,"mediaType":"text/plain"}"#,
        ] {
            assert!(Manifest::parse(text, None).is_err(), "{text}");
        }
        assert!(!is_digest("sha256:ABC"));
    }
}
