//! The token that a rollout under way is taken up again by: all that a later process needs to go on watching it, and to
//! come to the verdict that the first would have come to. It holds names, ids and digests, and no secret.
//!
//! `sw1.PAYLOAD.CHECK`: the version, the deflated JSON in base64url, and the first digits of its SHA-256.

use super::observation::{Deployment, DeploymentStatus, RolloutState, Service, ServiceEvent, revision_name};
use super::rollout::Goal;
use crate::name::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

/// The longest token; as long as a continuation token of CodePipeline may be.
pub const LONGEST: usize = 2048;

/// What every token of this version begins with.
const VERSION: &str = "sw1";

/// Digits of the check.
const CHECK: usize = 8;

/// The longest JSON that a token may hold; a deflated text could be anything.
const MOST_JSON: u64 = 256 * 1024;

/// A run that left rollouts under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The region of all its services.
    #[serde(rename = "r")]
    pub region: String,
    /// What the run was asked for.
    #[serde(rename = "w")]
    pub wishes: Wishes,
    /// The services that are under way.
    #[serde(rename = "s")]
    pub services: Vec<UnderWay>,
}

/// The settings that decide over a verdict and over what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Whether old tasks must be gone as well.
    #[serde(rename = "u", default, skip_serializing_if = "is_false")]
    pub steady: bool,
    /// Whether a service with desired count 0 is done when ECS says so.
    #[serde(rename = "z", default, skip_serializing_if = "is_false")]
    pub allow_zero: bool,
    /// Whether a failed revision is left; else the one of before comes back.
    #[serde(rename = "l", default, skip_serializing_if = "is_false")]
    pub leave: bool,
    /// Whether one failure takes all back.
    #[serde(rename = "a", default, skip_serializing_if = "is_false")]
    pub all_back: bool,
    /// Whether one failure ends the watch of the others.
    #[serde(rename = "f", default, skip_serializing_if = "is_false")]
    pub fail_fast: bool,
    /// How long a watch takes, in seconds.
    #[serde(rename = "t")]
    pub timeout: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A service whose rollout is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Its cluster: a short name or an ARN.
    #[serde(rename = "c")]
    pub cluster: String,
    /// Its name.
    #[serde(rename = "s")]
    pub service: String,
    /// Our deployment's id.
    #[serde(rename = "d")]
    pub deployment: String,
    /// `family:revision` that it brings.
    #[serde(rename = "r")]
    pub revision: String,
    /// When the service was updated, in seconds since the Unix epoch.
    #[serde(rename = "t")]
    pub started: u64,
    /// Whether a look has shown our deployment.
    #[serde(rename = "k", default, skip_serializing_if = "is_false")]
    pub appeared: bool,
    /// The containers that were given an image, and its digest where it has one.
    #[serde(rename = "i", default)]
    pub images: BTreeMap<String, Option<String>>,
    /// The service before the update.
    #[serde(rename = "b", default)]
    pub before: Before,
}

/// What is kept of a service as it was before the update.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Before {
    /// The primary deployment's id.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The task definition ARN that it had.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The task definition ARN of the deployment that had completed, if it is another one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
    /// Whether the primary deployment had completed.
    #[serde(rename = "k", default, skip_serializing_if = "is_false")]
    pub done: bool,
    /// The newest event's id.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
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
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut packed = Vec::new();
        // Reading from memory into memory does not fail.
        let _ = DeflateEncoder::new(json.as_slice(), Compression::best()).read_to_end(&mut packed);
        let payload = URL_SAFE_NO_PAD.encode(packed);
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
    let packed = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| ResumeError::Damaged)?;
    let mut json = Vec::new();
    DeflateDecoder::new(packed.as_slice())
        .take(MOST_JSON)
        .read_to_end(&mut json)
        .map_err(|_| ResumeError::Damaged)?;
    let resume: Resume = serde_json::from_slice(&json).map_err(|_| ResumeError::Damaged)?;
    if resume.services.is_empty() {
        return Err(ResumeError::Damaged);
    }
    Ok(resume)
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
        Self {
            deployment: primary.map(|primary| primary.id.clone()),
            revision: primary.map(|primary| primary.task_definition.clone()),
            completed: other.map(|other| other.task_definition.clone()),
            done: primary.as_ref().is_some_and(is_done),
            event: service.events.first().map(|event| event.id.clone()),
        }
    }

    /// The service as it was, as far as it was kept: made of how it is now.
    #[must_use]
    pub fn service(&self, now: &Service) -> Service {
        let like = now.deployments.first();
        let deployment = |id: &str, task_definition: &str, status, done: bool| {
            Some(Deployment {
                id: id.to_owned(),
                status,
                rollout: Some(if done {
                    RolloutState::Completed
                } else {
                    RolloutState::InProgress
                }),
                reason: None,
                task_definition: task_definition.to_owned(),
                ..like?.clone()
            })
        };
        let primary = self.deployment.as_ref().zip(self.revision.as_ref());
        let primary =
            primary.and_then(|(id, revision)| deployment(id, revision, DeploymentStatus::Primary, self.done));
        let completed = self.completed.as_ref();
        let completed =
            completed.and_then(|revision| deployment("", revision, DeploymentStatus::Active, true));
        Service {
            task_definition: self.revision.clone().unwrap_or_default(),
            deployments: primary.into_iter().chain(completed).collect(),
            events: self.events(now).to_vec(),
            current_service_deployment: None,
            ..now.clone()
        }
    }

    /// The events that were there: the newest of before, and all that are older. All are news if it has scrolled by.
    fn events<'a>(&self, now: &'a Service) -> &'a [ServiceEvent] {
        let at = now
            .events
            .iter()
            .position(|event| self.event.as_ref() == Some(&event.id));
        at.and_then(|at| now.events.get(at..)).unwrap_or_default()
    }

    /// `family:revision` of before.
    #[must_use]
    pub fn revision(&self) -> &str {
        revision_name(self.revision.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Before, LONGEST, Resume, ResumeError, UnderWay, Wishes};
    use crate::ecs::observation::ServiceEvent;
    use crate::ecs::rollout::Baseline;
    use crate::ecs::rollout::tests::build;
    use crate::name::Digest;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn under_way(name: &str) -> UnderWay {
        let number = u64::from_str_radix(&Digest::of(name.as_bytes()).hex()[..15], 16).unwrap();
        let images = [("web".to_owned(), Some(Digest::of(name.as_bytes()).to_string()))];
        UnderWay {
            cluster: "production".to_owned(),
            service: name.to_owned(),
            deployment: format!("ecs-svc/{number:019}"),
            revision: format!("{name}:42"),
            started: 1_767_225_600,
            appeared: true,
            images: BTreeMap::from(images),
            before: Before {
                deployment: Some(format!("ecs-svc/{:019}", number / 3)),
                revision: Some(format!(
                    "arn:aws:ecs:eu-west-1:000000000000:task-definition/{name}:41"
                )),
                completed: None,
                done: true,
                event: Some("3f1e8d52-0e34-4d4b-a4b7-91cb3f3f3c1e".to_owned()),
            },
        }
    }

    fn run(services: usize) -> Resume {
        Resume {
            region: "eu-west-1".to_owned(),
            wishes: Wishes {
                steady: true,
                allow_zero: false,
                leave: false,
                all_back: true,
                fail_fast: false,
                timeout: 900,
            },
            services: (0..services)
                .map(|at| under_way(&format!("service-{at}")))
                .collect(),
        }
    }

    #[test]
    fn a_run_comes_back_from_its_tokens() {
        for services in [1, 5, 10, 50] {
            let run = run(services);
            let tokens = run.tokens();
            assert!(tokens.iter().all(|token| token.len() <= LONGEST));
            assert_eq!(Resume::read(&tokens).unwrap(), run);
        }
        assert_eq!(run(10).tokens().len(), 1, "{} characters", run(10).token().len());
    }

    #[test]
    fn a_token_of_somebody_else_or_of_another_time_is_told_from_a_damaged_one() {
        let token = run(1).tokens().remove(0);
        let newer = token.replacen("sw1", "sw2", 1);
        let cut = token[..token.len() - 20].to_owned();
        for (token, error) in [
            ("", ResumeError::Foreign),
            ("eyJhbGciOiJIUzI1NiJ9.e30.x", ResumeError::Foreign),
            ("swx.a.b", ResumeError::Foreign),
            (newer.as_str(), ResumeError::OtherVersion("sw2".to_owned())),
            (cut.as_str(), ResumeError::Damaged),
            ("sw1.e30", ResumeError::Damaged),
        ] {
            assert_eq!(Resume::read(&[token.to_owned()]), Err(error), "{token}");
        }
        assert_eq!(Resume::read(&[]), Err(ResumeError::Foreign));
        let mut elsewhere = run(1);
        elsewhere.region = "us-east-1".to_owned();
        let mixed = [token, elsewhere.tokens().remove(0)];
        assert_eq!(Resume::read(&mixed), Err(ResumeError::DifferentRuns));
    }

    #[test]
    fn a_service_is_remembered_as_it_was() {
        let mut service = build::before(2);
        let event = |id: &str| ServiceEvent {
            id: id.to_owned(),
            message: "(service web) has reached a steady state.".to_owned(),
        };
        service.events = vec![event("b"), event("a")];
        let before = Before::of(&service);
        let mut now = build::service(2);
        now.events = vec![event("d"), event("c"), event("b"), event("a")];
        let again = before.service(&now);
        assert_eq!(Baseline::of(&again), Baseline::of(&service));
        assert_eq!(
            again.primary().unwrap().task_definition,
            service.deployments[0].task_definition
        );
        assert_eq!(Before::of(&again), before);
        now.events.truncate(2);
        assert!(before.service(&now).events.is_empty(), "all are news");
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_token_and_none_panics(text in "(sw1\\.)?[A-Za-z0-9._-]{0,200}") {
            prop_assert!(Resume::read(&[text]).is_err());
        }

        #[test]
        fn no_change_of_a_token_goes_unnoticed(at in 4_usize..150, by in 1_u8..60) {
            let token = run(1).tokens().remove(0);
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = b'A' + (bytes[at] + by) % 26;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assume!(changed != token);
            prop_assert!(Resume::read(&[changed]).is_err());
        }
    }
}
