//! The token that a rollout under way is taken up again by: all that a later process needs to go on watching it, and to
//! come to the verdict that the first would have come to. It holds names, ids, prints of ids and what the judge remembers,
//! and no secret; an external id is none.
//!
//! `sw1.PAYLOAD.CHECK`: the version, what `packed` makes of the run in base64url, and the first digits of its SHA-256.

pub use super::rollout::{Kept, Print};

use super::observation::{Deployment, DeploymentStatus, RolloutState, Service, ServiceEvent, revision_name};
use super::rollout::Goal;
use crate::config::settings::Place;
use crate::name::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

mod packed;

/// The longest token: with what a job of CodePipeline has around it, it is a continuation token, of which 2048
/// characters are taken.
pub const LONGEST: usize = 2048 - 40;

/// What every token of this version begins with.
const VERSION: &str = "sw1";

/// Digits of the check.
const CHECK: usize = 8;

/// The most events that DescribeServices shows.
const MOST_EVENTS: usize = 100;

/// A run that left rollouts under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The region of its services, but for those that are elsewhere.
    pub region: String,
    /// What the run was asked for.
    pub wishes: Wishes,
    /// When this was written, in seconds since the Unix epoch.
    pub written: u64,
    /// How much of it was done, of 100.
    pub percent: u8,
    /// The services that are under way, and those that were proven meanwhile.
    pub services: Vec<UnderWay>,
}

/// The settings that decide over a verdict and over what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Whether old tasks must be gone as well.
    pub steady: bool,
    /// Whether a service with desired count 0 is done when ECS says so.
    pub allow_zero: bool,
    /// Whether a failed revision is left; else the one of before comes back.
    pub leave: bool,
    /// Whether one failure takes all back.
    pub all_back: bool,
    /// Whether one failure ends the watch of the others.
    pub fail_fast: bool,
    /// How long a watch takes, in seconds.
    pub timeout: u64,
}

/// A service whose rollout is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// Where it is; its region is that of the run if none is named.
    pub place: Place,
    /// Its cluster: a short name or an ARN.
    pub cluster: String,
    /// Its name.
    pub service: String,
    /// Our deployment's id; that of what runs if nothing was changed.
    pub deployment: String,
    /// `family:revision` that it brings.
    pub revision: String,
    /// When the service was updated, in seconds since the Unix epoch.
    pub started: u64,
    /// Whether the run changed it; else what runs is only proven.
    pub changed: bool,
    /// Whether it was healthy, by proof.
    pub proven: bool,
    /// The containers that were given an image.
    pub containers: BTreeSet<String>,
    /// Tells the digests of those images from others. The revision has them in full.
    pub images: Print<1>,
    /// The service before the update.
    pub before: Before,
    /// What its judge remembers.
    pub kept: Kept,
}

/// What is kept of a service as it was before the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Tells the primary deployment from others; its id is found again among the service's deployments.
    pub deployment: Print,
    /// `family:revision` that it had; none if there was none.
    pub revision: Option<String>,
    /// The deployment that had completed, if it is another one.
    pub completed: Option<Completed>,
    /// Whether the primary deployment had completed.
    pub done: bool,
    /// Tells the newest event from others.
    pub event: Print<2>,
}

/// A deployment that ECS would bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Tells it from others.
    pub deployment: Print,
    /// `family:revision` that it had.
    pub revision: String,
}

impl Print<1> {
    /// The print of images by the containers that run them.
    #[must_use]
    pub fn of_images(digests: &BTreeMap<String, Option<String>>) -> Self {
        let each = digests
            .iter()
            .map(|(container, digest)| format!("{container}={}", digest.as_deref().unwrap_or_default()));
        Self::of(&each.collect::<Vec<_>>().join(" "))
    }
}

/// Why a token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// It is something else.
    #[error("this is no token of slipway: one begins with `{VERSION}.`")]
    Foreign,
    /// Another version made it.
    #[error("the token is of version `{0}`, and this slipway reads `{VERSION}`")]
    OtherVersion(String),
    /// A part is missing, or changed on its way.
    #[error("the token is damaged: a part of it is missing or was changed")]
    Damaged,
    /// Tokens of different runs were given.
    #[error("the tokens are of different runs")]
    DifferentRuns,
}

impl Resume {
    /// How many characters one token of all services has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.token().len()
    }

    /// The token, if one holds all services.
    #[must_use]
    pub fn one_token(&self) -> Option<String> {
        Some(self.token()).filter(|token| token.len() <= LONGEST)
    }

    /// The token, or several where one would be too long. Each is of the same run, with a part of its services.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        let token = self.token();
        let middle = self.services.len() / 2;
        if token.len() <= LONGEST || middle == 0 {
            return vec![token];
        }
        let part = |services: &[UnderWay]| {
            let part = Self {
                services: services.to_vec(),
                ..self.clone()
            };
            part.tokens()
        };
        let (first, second) = self.services.split_at(middle);
        [part(first), part(second)].concat()
    }

    fn token(&self) -> String {
        let payload = URL_SAFE_NO_PAD.encode(packed::pack(self));
        format!("{VERSION}.{payload}.{}", check(&payload))
    }

    /// Reads the tokens of one run.
    ///
    /// # Errors
    /// [`ResumeError`] when one of them is not a whole token of this version, or they do not belong together.
    pub fn read(tokens: &[String]) -> Result<Self, ResumeError> {
        let mut parts = tokens.iter().map(|token| read(token.trim()));
        let mut whole = parts.next().unwrap_or(Err(ResumeError::Foreign))?;
        for part in parts {
            let part = part?;
            if (&part.region, &part.wishes) != (&whole.region, &whole.wishes) {
                return Err(ResumeError::DifferentRuns);
            }
            whole.percent = whole.percent.min(part.percent);
            for service in part.services {
                if !whole.services.contains(&service) {
                    whole.services.push(service);
                }
            }
        }
        Ok(whole)
    }
}

fn check(payload: &str) -> String {
    Digest::of(payload.as_bytes()).hex().chars().take(CHECK).collect()
}

fn read(token: &str) -> Result<Resume, ResumeError> {
    let (version, rest) = token.split_once('.').ok_or(ResumeError::Foreign)?;
    let digits = version.strip_prefix("sw").unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ResumeError::Foreign);
    }
    if version != VERSION {
        return Err(ResumeError::OtherVersion(version.to_owned()));
    }
    let (payload, checked) = rest.split_once('.').ok_or(ResumeError::Damaged)?;
    if check(payload) != checked {
        return Err(ResumeError::Damaged);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| ResumeError::Damaged)?;
    packed::unpack(&bytes).ok_or(ResumeError::Damaged)
}

impl Wishes {
    /// When a rollout counts as done.
    #[must_use]
    pub const fn goal(&self) -> Goal {
        if self.steady { Goal::Steady } else { Goal::Healthy }
    }
}

impl UnderWay {
    /// When the service was updated, since the Unix epoch.
    #[must_use]
    pub const fn started(&self) -> Duration {
        Duration::from_secs(self.started)
    }
}

impl Before {
    /// Keeps what matters of a service.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let primary = service.primary();
        let is_done = |deployment: &&Deployment| deployment.rollout == Some(RolloutState::Completed);
        let completed = service.deployments.iter().find(is_done);
        let other = completed.filter(|completed| primary.is_none_or(|primary| primary.id != completed.id));
        let revision = |deployment: &Deployment| revision_name(&deployment.task_definition).to_owned();
        let newest = service.events.first().map(|event| event.id.as_str());
        Self {
            deployment: Print::of(primary.map_or("", |primary| &primary.id)),
            revision: primary.map(revision),
            completed: other.map(|other| Completed {
                deployment: Print::of(&other.id),
                revision: revision(other),
            }),
            done: primary.as_ref().is_some_and(is_done),
            event: Print::of(newest.unwrap_or_default()),
        }
    }

    /// The service as it was, as far as it was kept: made of how it is now.
    #[must_use]
    pub fn service(&self, now: &Service) -> Service {
        let like = now.deployments.first();
        // Task definitions of one service differ in nothing else than family and revision.
        let place = now
            .task_definition
            .strip_suffix(revision_name(&now.task_definition));
        let arn = |revision: &String| format!("{}{revision}", place.unwrap_or_default());
        let deployment = |id: &str, revision: &String, status, done: bool| {
            Some(Deployment {
                id: id.to_owned(),
                status,
                rollout: Some(if done {
                    RolloutState::Completed
                } else {
                    RolloutState::InProgress
                }),
                reason: None,
                task_definition: arn(revision),
                ..like?.clone()
            })
        };
        // One that is not listed is nobody's: the revision tells if it comes back.
        let id = |print: Print| {
            let mut ids = now.deployments.iter().map(|deployment| deployment.id.as_str());
            ids.find(|id| Print::of(id) == print).unwrap_or_default()
        };
        let primary = self.revision.as_ref().and_then(|revision| {
            let id = id(self.deployment);
            deployment(id, revision, DeploymentStatus::Primary, self.done)
        });
        let completed = self.completed.as_ref().and_then(|completed| {
            let id = id(completed.deployment);
            deployment(id, &completed.revision, DeploymentStatus::Active, true)
        });
        Service {
            task_definition: self.revision.as_ref().map(arn).unwrap_or_default(),
            deployments: primary.into_iter().chain(completed).collect(),
            events: self.events(now).to_vec(),
            current_service_deployment: None,
            ..now.clone()
        }
    }

    /// The events that were there: the newest of before, and all that are older. All are news if it has scrolled by; an
    /// answer that is too short for that is older than it.
    fn events<'a>(&self, now: &'a Service) -> &'a [ServiceEvent] {
        let is_newest = |event: &ServiceEvent| Print::of(&event.id) == self.event;
        match now.events.iter().position(is_newest) {
            Some(at) => now.events.get(at..).unwrap_or_default(),
            None if self.event == Print::of("") || now.events.len() >= MOST_EVENTS => &[],
            None => &now.events,
        }
    }

    /// The prints of the deployments that were there: one that is not listed may come back.
    #[must_use]
    pub fn prints(&self) -> BTreeSet<Print> {
        let completed = self.completed.as_ref().map(|completed| completed.deployment);
        completed.into_iter().chain([self.deployment]).collect()
    }
}

#[cfg(test)]
pub mod tests;
