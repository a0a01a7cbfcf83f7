//! Images that are named by a tag: resolved once per run, so that what is deployed is a digest and can be proven.

use super::definitions::Images;
use super::prepare::UNCHANGED;
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, ImageRef, RegistryHost, Tag};
use crate::registry::ecr::{Ecr, EcrError, EcrRepository};
use crate::report::event::Event;
use crate::stage::Tools;

/// What a reference without a tag means (the reference grammar of Docker's distribution).
const DEFAULT_TAG: &str = "latest";

/// The images by digest. A tag of ECR is looked up; of another registry nobody can say what it stands for when a task
/// starts, so it is refused.
pub(super) async fn all(tools: &Tools, images: Images) -> Result<Images, Failure> {
    let mut pinned = Images::new();
    for (container, image) in images {
        let image = if image.digest.is_some() {
            image
        } else {
            one(tools, &container, image).await?
        };
        pinned.insert(container, image);
    }
    Ok(pinned)
}

async fn one(tools: &Tools, container: &ContainerName, image: ImageRef) -> Result<ImageRef, Failure> {
    let Some((account, region)) = image.registry.as_ref().and_then(RegistryHost::ecr_parts) else {
        return Err(unresolved(container, &image)
            .cause("slipway asks ECR alone what a tag stands for")
            .hint(BY_DIGEST));
    };
    let tag: Tag = match &image.tag {
        Some(tag) => tag.clone(),
        None => DEFAULT_TAG
            .parse()
            .map_err(|error| unresolved(container, &image).because(error))?,
    };
    let repository = EcrRepository::unseen(&image, account);
    let ecr = Ecr::new(&tools.aws.get().await?.ecr, tools.clock.clone()).in_region(region);
    let held = ecr.held_at(&repository, &tag).await;
    let held = held.map_err(|error| not_asked(container, &image, error))?;
    let Some(held) = held else {
        return Err(unresolved(container, &image)
            .cause(format!("its repository has no tag `{tag}`"))
            .hint("was the image pushed, and to this account and region?"));
    };
    let pinned = ImageRef {
        tag: None,
        digest: Some(held.digest),
        ..image.clone()
    };
    tools.tell.tell(Event::Note(format!(
        "container `{container}`: `{image}` is now `{pinned}`, which is deployed"
    )));
    Ok(pinned)
}

/// How an image is named so that no look-up is needed.
const BY_DIGEST: &str =
    "name the image by digest in imagedefinitions.json (`repository@sha256:...`), as `slipway build` does";

fn unresolved(container: &ContainerName, image: &ImageRef) -> Failure {
    let what =
        format!("container `{container}`: the digest of `{image}` is not known, so it could not be proven");
    Failure::new(Kind::Registry, what).left(UNCHANGED)
}

fn not_asked(container: &ContainerName, image: &ImageRef, error: EcrError) -> Failure {
    let hint = error.call().and_then(crate::aws::sort::CallError::hint);
    let failure = unresolved(container, image).because(error);
    hint.into_iter().fold(failure, Failure::hint).hint(BY_DIGEST)
}
