//! A repository: its settings, blobs, images and tags.

use super::manifest::{Manifest, is_digest};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// `shop/web`
    pub name: String,
    /// When it was created.
    pub created: Duration,
    /// Which tags may move.
    pub mutability: Mutability,
    /// Whether images are scanned when they are pushed.
    pub scan_on_push: bool,
    /// The KMS key's ARN; `None` for AES256.
    pub kms_key: Option<String>,
    /// Its resource tags.
    pub resource_tags: BTreeMap<String, String>,
    /// Its blobs: digest to size.
    pub blobs: BTreeMap<String, u64>,
    images: BTreeMap<String, Image>,
    tags: BTreeMap<String, String>,
}

/// An image or an index in a repository.
#[derive(Debug, Clone)]
pub struct Image {
    /// `sha256:...` of the manifest.
    pub digest: String,
    /// The manifest, byte for byte.
    pub text: String,
    /// The manifest, understood.
    pub manifest: Manifest,
    /// When it was pushed.
    pub pushed: Duration,
}

/// Which tags of a repository may move to another image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mutability {
    /// All.
    #[default]
    Mutable,
    /// None.
    Immutable,
    /// All but those that match a filter.
    MutableWithExclusion(Vec<String>),
    /// None but those that match a filter.
    ImmutableWithExclusion(Vec<String>),
}

impl Mutability {
    /// The name of the setting, as ECR writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mutable => "MUTABLE",
            Self::Immutable => "IMMUTABLE",
            Self::MutableWithExclusion(_) => "MUTABLE_WITH_EXCLUSION",
            Self::ImmutableWithExclusion(_) => "IMMUTABLE_WITH_EXCLUSION",
        }
    }

    /// The wildcards of the exclusions.
    pub fn filters(&self) -> &[String] {
        match self {
            Self::Mutable | Self::Immutable => &[],
            Self::MutableWithExclusion(filters) | Self::ImmutableWithExclusion(filters) => filters,
        }
    }

    /// Whether a tag may move.
    pub fn lets_move(&self, tag: &str) -> bool {
        match self {
            Self::Mutable => true,
            Self::Immutable => false,
            Self::MutableWithExclusion(filters) => !filters.iter().any(|filter| wildcard(filter, tag)),
            Self::ImmutableWithExclusion(filters) => filters.iter().any(|filter| wildcard(filter, tag)),
        }
    }
}

/// A manifest on its way into a repository.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// The manifest, byte for byte.
    pub text: &'a str,
    /// The media type that came with it.
    pub media_type: Option<&'a str>,
    /// The tag to give it.
    pub tag: Option<&'a str>,
    /// The digest that the client expects.
    pub digest: Option<&'a str>,
}

/// A manifest that is in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its digest.
    pub digest: String,
    /// Whether the same image with the same tag was there before.
    pub existed: bool,
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is no manifest.
    Invalid(String),
    /// Its digest is another.
    DigestMismatch {
        /// Of the bytes that came.
        actual: String,
    },
    /// The tag names another image and must not move.
    TagTaken,
    /// Blobs that it refers to are missing.
    LayersMissing(Vec<String>),
    /// Manifests that it refers to are missing.
    ImagesMissing(Vec<String>),
}

impl Repository {
    /// An empty repository with mutable tags.
    pub fn new(name: &str, created: Duration) -> Self {
        Self {
            name: name.to_owned(),
            created,
            mutability: Mutability::default(),
            scan_on_push: false,
            kms_key: None,
            resource_tags: BTreeMap::new(),
            blobs: BTreeMap::new(),
            images: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Stores a manifest, once everything that it refers to is there.
    pub fn put(&mut self, now: Duration, put: Put<'_>) -> Result<Stored, Refusal> {
        let digest = digest_of(put.text.as_bytes());
        if put.digest.is_some_and(|expected| expected != digest) {
            return Err(Refusal::DigestMismatch { actual: digest });
        }
        let manifest = Manifest::parse(put.text, put.media_type).map_err(Refusal::Invalid)?;
        self.check_references(&manifest)?;
        if let Some(tag) = put.tag
            && let Some(current) = self.tags.get(tag)
            && *current != digest
            && !self.mutability.lets_move(tag)
        {
            return Err(Refusal::TagTaken);
        }
        let tagged = put.tag.is_none_or(|tag| self.tags.get(tag) == Some(&digest));
        let existed = tagged && self.images.contains_key(&digest);
        if let Some(tag) = put.tag {
            self.tags.insert(tag.to_owned(), digest.clone());
        }
        self.images.entry(digest.clone()).or_insert_with(|| Image {
            digest: digest.clone(),
            text: put.text.to_owned(),
            manifest,
            pushed: now,
        });
        Ok(Stored { digest, existed })
    }

    fn check_references(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let layers: Vec<String> = manifest
            .blobs()
            .iter()
            .filter(|blob| !self.blobs.contains_key(&blob.digest))
            .map(|blob| blob.digest.clone())
            .collect();
        if !layers.is_empty() {
            return Err(Refusal::LayersMissing(layers));
        }
        let images: Vec<String> = manifest
            .children()
            .iter()
            .filter(|child| !self.images.contains_key(&child.digest))
            .map(|child| child.digest.clone())
            .collect();
        if images.is_empty() {
            Ok(())
        } else {
            Err(Refusal::ImagesMissing(images))
        }
    }

    /// The image that a tag or a digest names.
    pub fn find(&self, reference: &str) -> Option<&Image> {
        let digest = if is_digest(reference) {
            reference
        } else {
            self.tags.get(reference)?
        };
        self.images.get(digest)
    }

    /// All images, by digest.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.images.values()
    }

    /// All tags with the digests that they name, by tag.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// The tags of an image, in order.
    pub fn tags_of(&self, digest: &str) -> Vec<&str> {
        self.tags
            .iter()
            .filter(|(_, named)| *named == digest)
            .map(|(tag, _)| tag.as_str())
            .collect()
    }

    /// Removes a tag, and the image with its last tag, as BatchDeleteImage does.
    pub fn untag(&mut self, tag: &str) -> Option<String> {
        let digest = self.tags.remove(tag)?;
        if self.tags_of(&digest).is_empty() {
            self.images.remove(&digest);
        }
        Some(digest)
    }

    /// Removes an image with all its tags; gives the tags.
    pub fn remove(&mut self, digest: &str) -> Option<Vec<String>> {
        self.images.remove(digest)?;
        let tags: Vec<String> = self.tags_of(digest).into_iter().map(str::to_owned).collect();
        self.tags.retain(|_, named| named != digest);
        Some(tags)
    }

    /// The index that refers to an image, if any: such an image cannot be deleted.
    pub fn parent_of(&self, digest: &str) -> Option<&Image> {
        self.images().find(|image| {
            image
                .manifest
                .children()
                .iter()
                .any(|child| child.digest == digest)
        })
    }

    /// The size that DescribeImages shows: configuration and layers; of an index, its largest image.
    pub fn size_of(&self, image: &Image) -> u64 {
        let own = image.manifest.blobs().iter().map(|blob| blob.size).sum::<u64>();
        let children = image
            .manifest
            .children()
            .iter()
            .filter_map(|child| self.images.get(&child.digest));
        children.map(|child| self.size_of(child)).max().unwrap_or(own)
    }

    /// Whether a manifest refers to a blob; only such blobs can be mounted elsewhere.
    pub fn refers_to(&self, digest: &str) -> bool {
        self.images()
            .any(|image| image.manifest.blobs().iter().any(|blob| blob.digest == digest))
    }
}

/// `sha256:` and the hash of some bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether `*` in a filter stands for any run of characters of the text.
fn wildcard(filter: &str, text: &str) -> bool {
    match filter.split_once('*') {
        None => filter == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices()
                .map(|(at, _)| at)
                .chain([tail.len()])
                .any(|at| wildcard(rest, &tail[at..]))
        }),
    }
}

/// ECR's rule for repository names.
pub const NAME_RULE: &str = "(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*";

/// Whether a repository's name satisfies [`NAME_RULE`].
#[must_use]
pub fn is_name(name: &str) -> bool {
    (2..=256).contains(&name.len())
        && name.split('/').all(|segment| {
            segment.split(['.', '_', '-']).all(|word| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
        })
}

/// Whether a text can be a tag (distribution specification).
#[must_use]
pub fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{Mutability, Put, Refusal, Repository, digest_of, is_name, is_tag, wildcard};
    use serde_json::json;
    use std::time::Duration;

    const NOW: Duration = Duration::from_secs(1);

    fn image(repository: &mut Repository, layer: &str) -> String {
        let (config, layer) = (digest_of(b"{}"), digest_of(layer.as_bytes()));
        repository.blobs.insert(config.clone(), 2);
        repository.blobs.insert(layer.clone(), 40);
        json!({
            "schemaVersion": 2,
            "config": { "digest": config, "size": 2 },
            "layers": [{ "digest": layer, "size": 40 }],
        })
        .to_string()
    }

    fn put<'a>(text: &'a str, tag: Option<&'a str>) -> Put<'a> {
        Put {
            text,
            media_type: None,
            tag,
            digest: None,
        }
    }

    #[test]
    fn a_missing_layer_is_named() {
        let mut repository = Repository::new("web", NOW);
        let text = image(&mut repository, "one");
        repository.blobs.remove(&digest_of(b"one"));
        assert_eq!(
            repository.put(NOW, put(&text, None)),
            Err(Refusal::LayersMissing(vec![digest_of(b"one")]))
        );
    }

    #[test]
    fn an_immutable_tag_accepts_its_own_image_again_and_no_other() {
        let mut repository = Repository::new("web", NOW);
        repository.mutability = Mutability::Immutable;
        let (one, two) = (image(&mut repository, "one"), image(&mut repository, "two"));
        assert!(!repository.put(NOW, put(&one, Some("v1"))).unwrap().existed);
        assert!(repository.put(NOW, put(&one, Some("v1"))).unwrap().existed);
        assert_eq!(repository.put(NOW, put(&two, Some("v1"))), Err(Refusal::TagTaken));
        assert!(repository.put(NOW, put(&two, Some("v2"))).is_ok());
    }

    #[test]
    fn an_image_goes_with_its_last_tag() {
        let mut repository = Repository::new("web", NOW);
        let one = image(&mut repository, "one");
        repository.put(NOW, put(&one, Some("a"))).unwrap();
        repository.put(NOW, put(&one, Some("b"))).unwrap();
        repository.untag("a");
        assert!(repository.find("b").is_some());
        repository.untag("b");
        assert!(repository.find(&digest_of(one.as_bytes())).is_none());
    }

    #[test]
    fn an_index_is_as_large_as_its_largest_image_and_needs_its_images() {
        let mut repository = Repository::new("web", NOW);
        let one = image(&mut repository, "one");
        let child = digest_of(one.as_bytes());
        let index =
            json!({ "schemaVersion": 2, "manifests": [{ "digest": child, "size": one.len() }] }).to_string();
        assert_eq!(
            repository.put(NOW, put(&index, None)),
            Err(Refusal::ImagesMissing(vec![child.clone()]))
        );
        repository.put(NOW, put(&one, None)).unwrap();
        let stored = repository.put(NOW, put(&index, None)).unwrap();
        assert_eq!(repository.size_of(repository.find(&stored.digest).unwrap()), 42);
        assert!(repository.parent_of(&child).is_some());
    }

    #[test]
    fn exclusions_turn_the_rule_round() {
        let filters = vec!["latest".to_owned(), "dev-*".to_owned()];
        let mutable = Mutability::MutableWithExclusion(filters.clone());
        let immutable = Mutability::ImmutableWithExclusion(filters);
        for (tag, excluded) in [
            ("latest", true),
            ("dev-7", true),
            ("v1", false),
            ("latest2", false),
        ] {
            assert_eq!(mutable.lets_move(tag), !excluded, "{tag}");
            assert_eq!(immutable.lets_move(tag), excluded, "{tag}");
        }
        assert!(wildcard("*a*c", "xxabc"));
    }

    #[test]
    fn names_and_tags_follow_the_rules() {
        for good in ["web", "shop/web", "a1.b_c-d/e"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["w", "Shop", "shop//web", "-web", "web-", "a__b", "web/", ""] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_tag("_v1.2-3") && !is_tag(".v1") && !is_tag("") && !is_tag(&"t".repeat(129)));
    }
}
