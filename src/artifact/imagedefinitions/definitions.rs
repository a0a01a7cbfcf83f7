//! The entries of imagedefinitions.json, and the pushed images that they are made from.

use super::error::DefinitionsError;
use super::parse::parse;
use crate::name::{ContainerName, Digest, ImageRef, Tag};

/// The name that CodePipeline's ECS action looks for at the root of its input artifact.
pub const FILE_NAME: &str = "imagedefinitions.json";

/// The longest file that CodePipeline's ECS action reads: 100 KB, in bytes.
pub const MAX_BYTES: usize = 100 * 1024;

/// The JSON schema of the file; what it rejects, [`Definitions::parse`] rejects too.
pub const SCHEMA: &str = include_str!("../../../imagedefinitions.schema.json");

/// An image that is in its registry, with the digest that the registry confirmed: the only thing that
/// imagedefinitions.json is written from.
///
/// A private member keeps other modules from writing one down, so [`PushedImage::confirmed`] finds every maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedImage {
    /// The image's table name.
    pub image: String,
    /// `registry/repository@digest`.
    pub reference: ImageRef,
    /// The digest that the registry confirmed; of an index, if the push gave one.
    pub digest: Digest,
    /// The tags.
    pub tags: Vec<String>,
    seal: Seal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seal;

impl PushedImage {
    /// Records that the registry confirmed `digest` in `repository`, under `tags`.
    #[must_use]
    pub fn confirmed(image: &str, repository: &ImageRef, digest: Digest, tags: &[Tag]) -> Self {
        Self {
            image: image.to_owned(),
            reference: repository.at_digest(digest.clone()),
            digest,
            tags: tags.iter().map(ToString::to_string).collect(),
            seal: Seal,
        }
    }
}

/// One entry: a container of the task definition and the image it is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The container's name in the task definition.
    pub name: ContainerName,
    /// The image; pinned by digest when slipway wrote it.
    pub image: ImageRef,
}

/// The content of an imagedefinitions.json that passed every check: at least one entry, no container twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    entries: Vec<Definition>,
}

impl Definitions {
    /// Reads and checks the bytes of a file.
    ///
    /// # Errors
    /// [`DefinitionsError`], one variant for each thing that can be wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, DefinitionsError> {
        parse(bytes).map(|entries| Self { entries })
    }

    /// The entries for pushed images, each mapped to the containers that run it; every image is pinned by digest.
    ///
    /// The result went through the same checks as a file that is read.
    ///
    /// # Errors
    /// [`DefinitionsError`] when there is no container at all, one is named twice, or the text is too long.
    pub fn of_pushed<'a>(
        images: impl IntoIterator<Item = (&'a PushedImage, &'a [ContainerName])>,
    ) -> Result<Self, DefinitionsError> {
        let entries = images
            .into_iter()
            .flat_map(|(pushed, containers)| {
                containers.iter().map(|name| Definition {
                    name: name.clone(),
                    image: pushed.reference.at_digest(pushed.digest.clone()),
                })
            })
            .collect();
        Self::parse(Self { entries }.to_json().as_bytes())
    }

    /// The entries, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[Definition] {
        &self.entries
    }

    /// The image for a container.
    #[must_use]
    pub fn image_of(&self, name: &ContainerName) -> Option<&ImageRef> {
        self.entries
            .iter()
            .find(|entry| entry.name == *name)
            .map(|entry| &entry.image)
    }

    /// The canonical text: one entry per line, `name` before `imageUri`, a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Neither a container name nor an image reference can hold a character that JSON escapes.
        let lines: Vec<String> = self
            .entries
            .iter()
            .map(|entry| format!(r#"  {{"name": "{}", "imageUri": "{}"}}"#, entry.name, entry.image))
            .collect();
        if lines.is_empty() {
            return "[]\n".to_owned();
        }
        format!("[\n{}\n]\n", lines.join(",\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Definitions, PushedImage};
    use crate::artifact::imagedefinitions::DefinitionsError;
    use crate::name::{ContainerName, Digest};

    fn pushed(text: &str) -> PushedImage {
        PushedImage::confirmed(
            "web",
            &text.parse().unwrap(),
            Digest::of(text.as_bytes()),
            &["v1".parse().unwrap()],
        )
    }

    fn containers(names: &[&str]) -> Vec<ContainerName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_pinned_by_digest_even_when_the_reference_had_a_tag() {
        let image = pushed("registry.example.com:5000/shop/web:latest");
        let both = containers(&["web", "web-copy"]);
        let definitions = Definitions::of_pushed([(&image, both.as_slice())]).unwrap();
        let digest = &image.digest;
        assert_eq!(
            definitions.to_json(),
            format!(
                "[\n  {{\"name\": \"web\", \"imageUri\": \"registry.example.com:5000/shop/web@{digest}\"}},\n  \
                 {{\"name\": \"web-copy\", \"imageUri\": \"registry.example.com:5000/shop/web@{digest}\"}}\n]\n"
            )
        );
        assert_eq!(definitions.image_of(&both[1]), Some(&image.reference));
    }

    #[test]
    fn a_container_that_two_images_claim_is_refused_before_anything_is_written() {
        let image = pushed("shop/web");
        let names = containers(&["web"]);
        let twice = [(&image, names.as_slice()), (&image, names.as_slice())];
        assert!(matches!(
            Definitions::of_pushed(twice),
            Err(DefinitionsError::RepeatedContainer {
                first: 1,
                second: 2,
                ..
            })
        ));
    }

    #[test]
    fn nothing_pushed_is_refused() {
        assert!(matches!(
            Definitions::of_pushed([]),
            Err(DefinitionsError::NoEntries)
        ));
    }
}
