//! Pushing one image under all its tags, and confirming its digest.

use super::destination::{Destination, Home};
use super::earlier::{Earlier, recognise};
use super::failures;
use super::place::{BeforePush, Filled, Place, before_push, look, wait};
use crate::artifact::imagedefinitions::PushedImage;
use crate::failure::{Failure, Kind};
use crate::image::daemon::{BuiltImage, Engine, EngineError};
use crate::name::Digest;
use crate::registry::ecr::HeldImage;
use crate::report::event::Event;
use crate::shutdown::Shutdown;
use crate::stage::Tools;

/// How often the registry is asked for a digest that was pushed: its index follows the push within seconds.
const LOOKS: u32 = 6;

/// An image in its registry, and which one it is: the one that was built, or one from an earlier run.
pub(super) struct Placed {
    pub(super) image: PushedImage,
    /// Its image id.
    pub(super) id: String,
}

/// Makes every tag stand for the image, and confirms its digest with the registry.
pub(super) async fn push_image(
    tools: &Tools,
    engine: &Engine,
    to: &Destination<'_>,
    built: &BuiltImage,
    shutdown: &Shutdown,
) -> Result<Placed, Failure> {
    let mut looks = Vec::new();
    for tag in &to.tags {
        looks.push(look(to, tag).await?);
    }
    let mut earlier = find_earlier(tools, to, built, &looks).await?;
    let mut first: Option<(Digest, String)> = None;
    for (tag, held) in to.tags.iter().zip(looks) {
        let place = Place {
            tools,
            to,
            built,
            tag,
        };
        let (digest, id) = match place.fill(engine, held, earlier.as_ref(), shutdown).await? {
            Filled::Built(digest) => (digest, built.id.clone()),
            Filled::Earlier(found) => {
                let found = earlier.insert(found);
                (found.held.digest.clone(), found.id.clone())
            }
        };
        match &first {
            None => first = Some((digest, id)),
            Some((first, _)) if *first == digest => {}
            // Another host compressed the same layers in another way when it pushed that tag, or built them again.
            Some((first, _)) => tools.tell.tell(Event::Warning(format!(
                "tag `{tag}` of `{}` is the same image as `{}` under another digest; `{first}` is deployed",
                to.repository, to.image.name
            ))),
        }
    }
    let Some((digest, id)) = first else {
        return Err(Failure::new(
            Kind::Bug,
            format!("image `{}` has no tag to push", to.image.name),
        ));
    };
    confirm(tools, engine, to, &digest, shutdown).await?;
    let image = PushedImage::confirmed(&to.image.name, &to.repository, digest, &to.tags);
    Ok(Placed { image, id })
}

/// The image of an earlier run that has one of the tags for good: it is this run's too then, so that no tag is pushed
/// beside it.
async fn find_earlier(
    tools: &Tools,
    to: &Destination<'_>,
    built: &BuiltImage,
    looks: &[Option<HeldImage>],
) -> Result<Option<Earlier>, Failure> {
    let Home::Ecr { ecr, repository } = &to.home else {
        return Ok(None);
    };
    for (tag, held) in to.tags.iter().zip(looks) {
        if let BeforePush::Recognise(held) =
            before_push(held.as_ref(), &built.id, &repository.mutability, None)
        {
            let found = recognise(tools, to, (ecr, repository), built, tag, held).await?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Asks the registry until it has the digest, or says another.
async fn confirm(
    tools: &Tools,
    engine: &Engine,
    to: &Destination<'_>,
    digest: &Digest,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    for look in 1..=LOOKS {
        if look > 1 {
            wait(tools, look - 1, shutdown).await?;
        }
        match &to.home {
            Home::Ecr { ecr, repository } => {
                if ecr.lists(repository, digest).await.map_err(failures::of_ecr)? {
                    return Ok(());
                }
            }
            Home::Other => match other_digest(tools, engine, to).await {
                Ok(held) if held == *digest => return Ok(()),
                Ok(held) => return Err(failures::other_digest(&to.repository, digest, &held)),
                Err(error) if look < LOOKS && error.is_transient() => {}
                Err(error) => return Err(failures::of_push(error, to)),
            },
        }
    }
    Err(failures::not_confirmed(&to.repository, digest))
}

/// The digest that a registry other than ECR has for the first tag.
async fn other_digest(tools: &Tools, engine: &Engine, to: &Destination<'_>) -> Result<Digest, EngineError> {
    let name = match to.tags.first() {
        Some(tag) => to.repository.at_tag(tag.clone()),
        None => to.repository.clone(),
    };
    // Credentials that could not be had would have failed the push before.
    let auth = to.authorize(tools).await.unwrap_or_default();
    engine.registry_digest(&name, auth.as_ref()).await
}
