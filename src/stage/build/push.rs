//! Pushing one image and confirming its digest.
//!
//! What to do next is decided by pure functions; a faster way to push than the Engine's would take the place of
//! [`push_tag`].

use super::destination::{Destination, Home};
use super::failures;
use crate::artifact::imagedefinitions::PushedImage;
use crate::clock::Pause;
use crate::failure::{Failure, Kind};
use crate::image::daemon::{BuiltImage, Engine, EngineError};
use crate::image::transcript::PushFault;
use crate::name::{Digest, Tag};
use crate::registry::ecr::{Ecr, EcrRepository, HeldImage, TagMutability};
use crate::registry::manifest::Manifest;
use crate::report::event::Event;
use crate::shutdown::Shutdown;
use crate::stage::Tools;
use std::time::Duration;

/// How often one tag is pushed before its last failure is told.
const PUSHES: u32 = 4;

/// How often the registry is asked for a digest that was pushed: its index follows the push within seconds.
const LOOKS: u32 = 6;

/// Pushes every tag of an image and confirms with the registry the digest that the push gave.
pub(super) async fn push_image(
    tools: &Tools,
    engine: &Engine,
    to: &Destination<'_>,
    built: &BuiltImage,
    shutdown: &Shutdown,
) -> Result<PushedImage, Failure> {
    let mut first: Option<Digest> = None;
    for tag in &to.tags {
        let digest = place_tag(tools, engine, to, built, tag, shutdown).await?;
        match &first {
            None => first = Some(digest),
            Some(first) if *first == digest => {}
            // Another host compressed the same layers in another way when it pushed that tag.
            Some(first) => tools.tell.tell(Event::Warning(format!(
                "tag `{tag}` of `{}` is the same image as `{}` under another digest; `{first}` is deployed",
                to.repository, to.image.name
            ))),
        }
    }
    let Some(digest) = first else {
        return Err(Failure::new(
            Kind::Bug,
            format!("image `{}` has no tag to push", to.image.name),
        ));
    };
    confirm(tools, engine, to, &digest, shutdown).await?;
    Ok(PushedImage::confirmed(
        &to.image.name,
        &to.repository,
        digest,
        &to.tags,
    ))
}

/// Makes a tag stand for the image, unless it does already.
async fn place_tag(
    tools: &Tools,
    engine: &Engine,
    to: &Destination<'_>,
    built: &BuiltImage,
    tag: &Tag,
    shutdown: &Shutdown,
) -> Result<Digest, Failure> {
    if let Home::Ecr { ecr, repository } = &to.home {
        let held = ecr.held_at(repository, tag).await.map_err(failures::of_ecr)?;
        match before_push(held.as_ref(), &built.id, &repository.mutability) {
            BeforePush::Push => {}
            BeforePush::AlreadyThere(digest) => return Ok(digest),
            BeforePush::Taken(digest) => return Err(failures::tag_taken(&to.repository, tag, Some(&digest))),
        }
    }
    push_tag(tools, engine, to, built, tag, shutdown).await
}

/// What to do about a tag before it is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BeforePush {
    Push,
    /// It stands for this very image: there is nothing to upload.
    AlreadyThere(Digest),
    /// It stands for another image and cannot be moved.
    Taken(Digest),
}

fn before_push(held: Option<&HeldImage>, id: &str, mutability: &TagMutability) -> BeforePush {
    let Some(held) = held else {
        return BeforePush::Push;
    };
    if is_same(held, id) {
        return BeforePush::AlreadyThere(held.digest.clone());
    }
    match mutability {
        TagMutability::Immutable => BeforePush::Taken(held.digest.clone()),
        // The registry knows better, and says so.
        TagMutability::Mutable | TagMutability::Filtered | TagMutability::Unrecognised(_) => BeforePush::Push,
    }
}

fn is_same(held: &HeldImage, id: &str) -> bool {
    Manifest::parse(&held.manifest).is_ok_and(|manifest| manifest.is_image(&held.digest, id))
}

/// Pushes one tag through the Engine, again if the failure passes.
async fn push_tag(
    tools: &Tools,
    engine: &Engine,
    to: &Destination<'_>,
    built: &BuiltImage,
    tag: &Tag,
    shutdown: &Shutdown,
) -> Result<Digest, Failure> {
    let name = to.repository.at_tag(tag.clone());
    let mut pushes = 1;
    loop {
        let auth = to.authorize(tools).await?;
        let pushed = engine
            .push(&to.image.name, &name, auth.as_ref(), &tools.tell, shutdown)
            .await;
        let error = match pushed {
            Ok(digest) => return Ok(digest),
            Err(error) => error,
        };
        let fault = if let EngineError::Push { failure, .. } = &error {
            Some(failure.fault)
        } else {
            None
        };
        match (
            after_failure(fault, pushes, matches!(to.home, Home::Ecr { .. })),
            &to.home,
        ) {
            (AfterFailure::LookAtTag, Home::Ecr { ecr, repository }) => {
                return look_at_tag(to, ecr, repository, built, tag).await;
            }
            (AfterFailure::LookAtTag, Home::Other) => {
                return Err(failures::tag_taken(&to.repository, tag, None));
            }
            (AfterFailure::GiveUp, _) => return Err(failures::of_push(error, to)),
            (AfterFailure::WithFreshToken, Home::Ecr { ecr, .. }) => ecr.forget_token().await,
            (AfterFailure::WithFreshToken | AfterFailure::Again, _) => {}
        }
        tools.tell.tell(Event::Warning(format!(
            "the push of `{name}` failed and is tried again ({} of {PUSHES})",
            pushes + 1
        )));
        wait(tools, pushes, shutdown).await?;
        pushes += 1;
    }
}

/// What to do about a push that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterFailure {
    Again,
    WithFreshToken,
    LookAtTag,
    GiveUp,
}

fn after_failure(fault: Option<PushFault>, pushes: u32, ecr: bool) -> AfterFailure {
    match fault {
        Some(PushFault::ImmutableTag) => AfterFailure::LookAtTag,
        _ if pushes >= PUSHES => AfterFailure::GiveUp,
        Some(PushFault::Server | PushFault::Connection) => AfterFailure::Again,
        // ECR's token ran out, or was taken back, while layers were sent; a second refusal is meant.
        Some(PushFault::Unauthorised) if ecr && pushes == 1 => AfterFailure::WithFreshToken,
        Some(
            PushFault::Unauthorised
            | PushFault::Denied
            | PushFault::NoRepository
            | PushFault::NoImage
            | PushFault::NoSpace
            | PushFault::NoDigest
            | PushFault::Other,
        )
        | None => AfterFailure::GiveUp,
    }
}

/// A tag that cannot move is no failure if it stands for this image: a run that is repeated finds its own push.
async fn look_at_tag(
    to: &Destination<'_>,
    ecr: &Ecr,
    repository: &EcrRepository,
    built: &BuiltImage,
    tag: &Tag,
) -> Result<Digest, Failure> {
    match ecr.held_at(repository, tag).await.map_err(failures::of_ecr)? {
        Some(held) if is_same(&held, &built.id) => Ok(held.digest),
        held => Err(failures::tag_taken(
            &to.repository,
            tag,
            held.map(|held| held.digest).as_ref(),
        )),
    }
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

/// Pauses after the attempt of this number: half a second, then twice as long each time.
async fn wait(tools: &Tools, attempt: u32, shutdown: &Shutdown) -> Result<(), Failure> {
    let pause = Duration::from_millis(500) * 2_u32.pow(attempt.saturating_sub(1).min(5));
    match tools.clock.pause(pause, shutdown).await {
        Pause::Passed => Ok(()),
        Pause::Stopped => Err(failures::stopped(shutdown.asked().1.unwrap_or(Kind::Interrupted))),
    }
}

#[cfg(test)]
mod tests {
    use super::{AfterFailure, BeforePush, PUSHES, after_failure, before_push};
    use crate::image::transcript::PushFault;
    use crate::name::Digest;
    use crate::registry::ecr::{HeldImage, TagMutability};
    use serde_json::json;

    #[test]
    fn a_tag_that_is_this_image_is_not_pushed_and_one_that_is_another_only_if_it_can_move() {
        let (config, digest) = (Digest::of(b"config"), Digest::of(b"manifest"));
        let manifest = json!({ "config": { "digest": config.as_str() } }).to_string();
        let held = HeldImage {
            digest: digest.clone(),
            manifest,
        };
        let unknown = TagMutability::Unrecognised("LATER".to_owned());
        let there = BeforePush::AlreadyThere(digest.clone());
        for (held, id, mutability, expected) in [
            (None, config.as_str(), TagMutability::Immutable, BeforePush::Push),
            (
                Some(&held),
                config.as_str(),
                TagMutability::Immutable,
                there.clone(),
            ),
            (
                Some(&held),
                config.as_str(),
                TagMutability::Mutable,
                there.clone(),
            ),
            (Some(&held), digest.as_str(), TagMutability::Filtered, there),
            (
                Some(&held),
                "sha256:other",
                TagMutability::Immutable,
                BeforePush::Taken(digest.clone()),
            ),
            (
                Some(&held),
                "sha256:other",
                TagMutability::Mutable,
                BeforePush::Push,
            ),
            (
                Some(&held),
                "sha256:other",
                TagMutability::Filtered,
                BeforePush::Push,
            ),
            (Some(&held), "sha256:other", unknown, BeforePush::Push),
        ] {
            assert_eq!(
                before_push(held, id, &mutability),
                expected,
                "{id} {mutability:?}"
            );
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_never_for_ever() {
        use AfterFailure::{Again, GiveUp, LookAtTag, WithFreshToken};
        for (fault, pushes, ecr, expected) in [
            (Some(PushFault::Server), 1, true, Again),
            (Some(PushFault::Connection), PUSHES - 1, false, Again),
            (Some(PushFault::Connection), PUSHES, false, GiveUp),
            (Some(PushFault::Unauthorised), 1, true, WithFreshToken),
            (Some(PushFault::Unauthorised), 2, true, GiveUp),
            (Some(PushFault::Unauthorised), 1, false, GiveUp),
            (Some(PushFault::ImmutableTag), PUSHES, true, LookAtTag),
            (Some(PushFault::Denied), 1, true, GiveUp),
            (Some(PushFault::NoDigest), 1, true, GiveUp),
            (None, 1, true, GiveUp),
        ] {
            assert_eq!(
                after_failure(fault, pushes, ecr),
                expected,
                "{fault:?} {pushes} {ecr}"
            );
        }
    }
}
