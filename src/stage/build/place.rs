//! One tag of an image: what it stands for, and how it comes to stand for the image.
//!
//! What to do next is decided by pure functions; a faster way to push than the Engine's would take the place of
//! [`Place::push`].

use super::destination::{Destination, Home};
use super::earlier::{Earlier, recognise};
use super::failures;
use super::taken::tag_taken;
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

/// What a tag stands for, where the registry can be asked.
pub(super) async fn look(to: &Destination<'_>, tag: &Tag) -> Result<Option<HeldImage>, Failure> {
    match &to.home {
        Home::Ecr { ecr, repository } => ecr.held_at(repository, tag).await.map_err(failures::of_ecr),
        Home::Other => Ok(None),
    }
}

/// A tag that is to stand for an image.
pub(super) struct Place<'a> {
    pub tools: &'a Tools,
    pub to: &'a Destination<'a>,
    pub built: &'a BuiltImage,
    pub tag: &'a Tag,
}

/// Which image a tag stands for.
pub(super) enum Filled {
    /// The one that was built, under this digest.
    Built(Digest),
    /// One of an earlier run.
    Earlier(Earlier),
}

/// What to do about a tag before it is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BeforePush {
    Push,
    /// The image of an earlier run gets it: there is nothing to upload.
    Tag,
    /// It stands for the image already.
    AlreadyThere(Digest),
    /// It stands for another image and cannot be moved: that may be the same source, built earlier.
    Recognise(HeldImage),
}

/// `earlier` is the digest of an earlier run's image that is this run's.
pub(super) fn before_push(
    held: Option<&HeldImage>,
    id: &str,
    mutability: &TagMutability,
    earlier: Option<&Digest>,
) -> BeforePush {
    let place = if earlier.is_some() {
        BeforePush::Tag
    } else {
        BeforePush::Push
    };
    let Some(held) = held else {
        return place;
    };
    let is_meant = earlier.map_or_else(|| is_same(held, id), |earlier| held.digest == *earlier);
    match mutability {
        _ if is_meant => BeforePush::AlreadyThere(held.digest.clone()),
        TagMutability::Immutable if is_same(held, id) => BeforePush::AlreadyThere(held.digest.clone()),
        TagMutability::Immutable => BeforePush::Recognise(held.clone()),
        // The registry knows better, and says so.
        TagMutability::Mutable | TagMutability::Filtered | TagMutability::Unrecognised(_) => place,
    }
}

fn is_same(held: &HeldImage, id: &str) -> bool {
    Manifest::parse(&held.manifest).is_ok_and(|manifest| manifest.is_image(&held.digest, id))
}

impl Place<'_> {
    /// Makes the tag stand for the image, unless it does already.
    pub(super) async fn fill(
        &self,
        engine: &Engine,
        held: Option<HeldImage>,
        earlier: Option<&Earlier>,
        shutdown: &Shutdown,
    ) -> Result<Filled, Failure> {
        let Home::Ecr { ecr, repository } = &self.to.home else {
            return self.push(engine, shutdown).await;
        };
        let ours = earlier.map(|earlier| &earlier.held.digest);
        let decided = before_push(held.as_ref(), &self.built.id, &repository.mutability, ours);
        match (decided, earlier) {
            (BeforePush::AlreadyThere(digest), Some(earlier)) if earlier.held.digest == digest => {
                Ok(Filled::Earlier(earlier.clone()))
            }
            (BeforePush::AlreadyThere(digest), _) => Ok(Filled::Built(digest)),
            (BeforePush::Recognise(held), _) => self.recognise(ecr, repository, held).await,
            (BeforePush::Tag, Some(earlier)) => {
                match ecr.put_tag(repository, self.tag, &earlier.held).await {
                    Ok(()) => Ok(Filled::Earlier(earlier.clone())),
                    Err(error) if error.is_immutable_tag() => self.look_again(ecr, repository).await,
                    Err(error) => Err(failures::of_ecr(error)),
                }
            }
            (BeforePush::Tag, None) | (BeforePush::Push, _) => self.push(engine, shutdown).await,
        }
    }

    /// Pushes the tag through the Engine, again if the failure passes.
    async fn push(&self, engine: &Engine, shutdown: &Shutdown) -> Result<Filled, Failure> {
        let Self { tools, to, .. } = self;
        let name = to.repository.at_tag(self.tag.clone());
        let mut pushes = 1;
        loop {
            let auth = to.authorize(tools).await?;
            let pushed = engine
                .push(&to.image.name, &name, auth.as_ref(), &tools.tell, shutdown)
                .await;
            let error = match pushed {
                Ok(digest) => return Ok(Filled::Built(digest)),
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
                    return self.look_again(ecr, repository).await;
                }
                (AfterFailure::LookAtTag, Home::Other) => {
                    return Err(tag_taken(&to.repository, self.tag, None));
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

    /// A tag that cannot move is no failure if it stands for this image, or for this source: a run that is repeated finds
    /// its own push.
    async fn look_again(&self, ecr: &Ecr, repository: &EcrRepository) -> Result<Filled, Failure> {
        match look(self.to, self.tag).await? {
            Some(held) if is_same(&held, &self.built.id) => Ok(Filled::Built(held.digest)),
            Some(held) => self.recognise(ecr, repository, held).await,
            None => Err(tag_taken(&self.to.repository, self.tag, None)),
        }
    }

    async fn recognise(
        &self,
        ecr: &Ecr,
        repository: &EcrRepository,
        held: HeldImage,
    ) -> Result<Filled, Failure> {
        let at = (ecr, repository);
        let found = recognise(self.tools, self.to, at, self.built, self.tag, held).await?;
        Ok(Filled::Earlier(found))
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
        Some(PushFault::Unauthorised | PushFault::Forbidden) if ecr && pushes == 1 => {
            AfterFailure::WithFreshToken
        }
        Some(
            PushFault::Unauthorised
            | PushFault::Forbidden
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

/// Pauses after the attempt of this number: half a second, then twice as long each time.
pub(super) async fn wait(tools: &Tools, attempt: u32, shutdown: &Shutdown) -> Result<(), Failure> {
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
            media_type: None,
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
                BeforePush::Recognise(held.clone()),
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
                before_push(held, id, &mutability, None),
                expected,
                "{id} {mutability:?}"
            );
        }
    }

    #[test]
    fn where_an_earlier_image_is_taken_every_tag_gets_it_that_can() {
        use TagMutability::{Filtered, Immutable, Mutable};
        let of = |name: &str| HeldImage {
            digest: Digest::of(name.as_bytes()),
            manifest: json!({ "config": { "digest": Digest::of(name.as_bytes()).as_str() } }).to_string(),
            media_type: None,
        };
        let (earlier, ours, other) = (of("earlier"), of("ours"), of("other"));
        let id = ours.digest.as_str();
        let there = |held: &HeldImage| BeforePush::AlreadyThere(held.digest.clone());
        for (held, mutability, expected) in [
            (None, Immutable, BeforePush::Tag),
            (None, Mutable, BeforePush::Tag),
            (Some(&earlier), Immutable, there(&earlier)),
            (Some(&earlier), Mutable, there(&earlier)),
            (Some(&ours), Immutable, there(&ours)),
            (Some(&ours), Filtered, BeforePush::Tag),
            (Some(&other), Immutable, BeforePush::Recognise(other.clone())),
            (Some(&other), Filtered, BeforePush::Tag),
        ] {
            let decided = before_push(held, id, &mutability, Some(&earlier.digest));
            assert_eq!(decided, expected, "{held:?} {mutability:?}");
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
            (Some(PushFault::Forbidden), 1, true, WithFreshToken),
            (Some(PushFault::Forbidden), 2, true, GiveUp),
            (Some(PushFault::Forbidden), 1, false, GiveUp),
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
