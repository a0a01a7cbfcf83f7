//! Whether an image that is in the registry is this very source, built earlier.
//!
//! A build that is done again makes another image wherever a builder stamps times. Where its tag cannot move, the image
//! that has it is as good, if its labels say that it was built from the same.

use super::destination::Destination;
use super::taken::{Taken, tag_taken};
use crate::aws::sort::{CallError, Sorted};
use crate::failure::Failure;
use crate::image::daemon::BuiltImage;
use crate::image::source::LABEL;
use crate::name::{Digest, Tag};
use crate::registry::config::{ConfigError, ImageConfig};
use crate::registry::ecr::{Ecr, EcrError, EcrRepository, HeldImage};
use crate::registry::manifest::{Manifest, ManifestError};
use crate::report::event::Event;
use crate::stage::Tools;

/// How many images of an index are looked at; there are not as many platforms.
const MOST_IMAGES: usize = 16;

/// An image that was built from this source, and pushed, before this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    /// What the registry holds.
    pub held: HeldImage,
    /// Its image id: its config's digest, or the index's own.
    pub id: String,
}

/// How an image differs from the one that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    /// It does not say what it was built from, or only a part of it does.
    Unmarked,
    /// It says that it was built from another source.
    OtherSource,
    /// It was built from this source, for other platforms only: `linux/arm64`.
    OtherPlatform(String),
}

/// Why an image cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(Box<EcrError>),
    /// Its manifest, or one of its index, says nothing.
    #[error("its manifest cannot be read")]
    Manifest(#[source] ManifestError),
    /// Its config says nothing.
    #[error("its config cannot be read")]
    Config(#[source] ConfigError),
    /// An image of its index is not there, or is an index again.
    #[error("`{0}` of its index is no image")]
    NoImage(Digest),
    /// Its index is too long.
    #[error("its index has {0} images")]
    TooMany(usize),
}

impl Unreadable {
    /// Whether a far end had a problem that passes.
    pub(super) fn may_pass(&self) -> bool {
        let Self::Registry(error) = self else {
            return false;
        };
        if let EcrError::ReadConfig { source, .. } = error.as_ref() {
            return source.may_pass();
        }
        error
            .call()
            .is_some_and(|call| call.sorted.is_in_doubt() || call.sorted == Sorted::Throttled)
    }

    /// The call that failed, if it was one.
    pub(super) fn call(&self) -> Option<&CallError> {
        match self {
            Self::Registry(error) => error.call(),
            Self::Manifest(_) | Self::Config(_) | Self::NoImage(_) | Self::TooMany(_) => None,
        }
    }
}

/// Compares the configs of an image, one for each platform, with what was built.
pub(super) fn compare(configs: &[ImageConfig], source: &Digest, platform: &str) -> Result<(), Difference> {
    let said: Option<Vec<&String>> = configs.iter().map(|config| config.labels.get(LABEL)).collect();
    match said {
        None => return Err(Difference::Unmarked),
        Some(said) if said.is_empty() => return Err(Difference::Unmarked),
        Some(said) if said.iter().any(|said| *said != source.as_str()) => {
            return Err(Difference::OtherSource);
        }
        Some(_) => {}
    }
    if configs
        .iter()
        .any(|config| is_platform(&config.platform, platform))
    {
        return Ok(());
    }
    let platforms: Vec<&str> = configs.iter().map(|config| config.platform.as_str()).collect();
    Err(Difference::OtherPlatform(platforms.join(", ")))
}

/// Whether two `os/architecture[/variant]` are one platform; a variant that only one of them names does not tell them
/// apart.
fn is_platform(one: &str, other: &str) -> bool {
    one.split('/').take(2).eq(other.split('/').take(2))
        && match (one.split('/').nth(2), other.split('/').nth(2)) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        }
}

/// The image that a tag stands for, if it is this source, built earlier.
///
/// # Errors
/// That the tag is taken, and what is known of what has it.
pub(super) async fn recognise(
    tools: &Tools,
    to: &Destination<'_>,
    (ecr, repository): (&Ecr, &EcrRepository),
    built: &BuiltImage,
    tag: &Tag,
    held: HeldImage,
) -> Result<Earlier, Failure> {
    let taken = |why| tag_taken(&to.repository, tag, Some((&held.digest, why)));
    let (configs, id) = read(ecr, repository, &held)
        .await
        .map_err(|error| taken(Taken::Unreadable(error)))?;
    compare(&configs, &built.source, &built.platform).map_err(|difference| {
        taken(Taken::By {
            difference,
            platform: &built.platform,
        })
    })?;
    tools.tell.tell(Event::Reused {
        image: to.image.name.clone(),
        tag: tag.to_string(),
        reference: to.repository.at_digest(held.digest.clone()),
    });
    Ok(Earlier { held, id })
}

/// The configs of an image, and its id.
async fn read(
    ecr: &Ecr,
    repository: &EcrRepository,
    held: &HeldImage,
) -> Result<(Vec<ImageConfig>, String), Unreadable> {
    match Manifest::parse(&held.manifest).map_err(Unreadable::Manifest)? {
        Manifest::Image { config } => Ok((
            vec![config_of(ecr, repository, &config).await?],
            config.to_string(),
        )),
        Manifest::Index { images } if images.len() > MOST_IMAGES => Err(Unreadable::TooMany(images.len())),
        Manifest::Index { images } => {
            let mut configs = Vec::new();
            for image in images {
                let held = ecr.manifest_of(repository, &image.digest).await;
                let held = held.map_err(|error| Unreadable::Registry(error.into()))?;
                let manifest = held.map(|held| Manifest::parse(&held.manifest));
                match manifest.transpose().map_err(Unreadable::Manifest)? {
                    Some(Manifest::Image { config }) => {
                        configs.push(config_of(ecr, repository, &config).await?);
                    }
                    Some(Manifest::Index { .. }) | None => return Err(Unreadable::NoImage(image.digest)),
                }
            }
            Ok((configs, held.digest.to_string()))
        }
    }
}

async fn config_of(
    ecr: &Ecr,
    repository: &EcrRepository,
    config: &Digest,
) -> Result<ImageConfig, Unreadable> {
    let text = ecr.config_of(repository, config).await;
    let text = text.map_err(|error| Unreadable::Registry(error.into()))?;
    ImageConfig::parse(&text).map_err(Unreadable::Config)
}

#[cfg(test)]
mod tests {
    use super::{Difference, compare};
    use crate::image::source::LABEL;
    use crate::name::Digest;
    use crate::registry::config::ImageConfig;

    fn config(platform: &str, source: Option<&Digest>) -> ImageConfig {
        ImageConfig {
            platform: platform.to_owned(),
            labels: source
                .map(|source| (LABEL.to_owned(), source.to_string()))
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn an_image_is_this_source_only_if_all_of_it_says_so_and_it_is_for_this_platform() {
        let (ours, other) = (Digest::of(b"ours"), Digest::of(b"other"));
        let amd = |source| config("linux/amd64", source);
        let arm = |source| config("linux/arm64/v8", source);
        for (configs, platform, expected) in [
            (vec![amd(Some(&ours))], "linux/amd64", Ok(())),
            (vec![arm(Some(&ours))], "linux/arm64", Ok(())),
            (vec![arm(Some(&ours)), amd(Some(&ours))], "linux/amd64", Ok(())),
            (Vec::new(), "linux/amd64", Err(Difference::Unmarked)),
            (vec![amd(None)], "linux/amd64", Err(Difference::Unmarked)),
            (
                vec![amd(Some(&ours)), arm(None)],
                "linux/amd64",
                Err(Difference::Unmarked),
            ),
            (
                vec![amd(Some(&other))],
                "linux/amd64",
                Err(Difference::OtherSource),
            ),
            (
                vec![amd(Some(&ours)), arm(Some(&other))],
                "linux/amd64",
                Err(Difference::OtherSource),
            ),
            (
                vec![arm(Some(&ours))],
                "linux/arm64/v9",
                Err(Difference::OtherPlatform("linux/arm64/v8".to_owned())),
            ),
            (
                vec![arm(Some(&ours)), config("windows/amd64", Some(&ours))],
                "linux/amd64",
                Err(Difference::OtherPlatform(
                    "linux/arm64/v8, windows/amd64".to_owned(),
                )),
            ),
        ] {
            assert_eq!(
                compare(&configs, &ours, platform),
                expected,
                "{configs:?} {platform}"
            );
        }
    }
}
