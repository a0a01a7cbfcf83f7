//! A capture: what a deploy saw and how it judged, as JSON lines, so that the same can be judged again without AWS.
//!
//! The first line names the format. Then come, as they happened: one line when the watch of a service begins, one line
//! per look, one for the closing look with log lines, one if slipway rolled back, one verdict per service; the last line
//! says how the run ended. A run that was killed leaves whole lines and at most one that is cut.

mod read;
mod replay;
mod scrub;

pub use read::{Capture, CaptureError, Recorded, read};
pub use replay::{Change, Replay, Step, replay};
pub use scrub::Scrub;

use super::answers::{self, Answer};
use super::diagnosis::{Comparison, Gathered, Revision};
use super::rollout::{Baseline, Caution, Expected, Goal, Loss, Ours, Policy};
use super::task_definition::TaskDefinition;
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, ServiceName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The format's name.
pub const FORMAT: &str = "slipway";

/// The format's version. It grows only when an older slipway would misread a newer capture: lines and members that a
/// version does not know are passed over.
pub const VERSION: u32 = 2;

/// One line of a capture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// What the file is; the first line.
    Capture(Header),
    /// The watch of a service begins.
    Service(Box<Head>),
    /// A look, at one service or at several.
    Look(Look),
    /// What was asked once more, to find the cause.
    Closing(Closing),
    /// What came of the rollback that slipway asked for.
    Rollback(Aftermath),
    /// How the run judged a service.
    Verdict(Told),
    /// How the run ended; the last line.
    End(End),
    /// What a kept capture must be judged as; no run writes it.
    Expect(Value),
}

/// What the file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The version of slipway that wrote it.
    pub slipway: String,
}

/// A service, and what is asked of its rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Its cluster, as the calls name it.
    pub cluster: String,
    /// `family:revision` that is deployed.
    pub revision: String,
    /// Our deployment's id: `ecs-svc/...`.
    pub deployment: String,
    /// The primary deployment before the update.
    #[serde(default)]
    pub previous: Option<String>,
    /// Its task definition's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_arn: Option<String>,
    /// An earlier run saw our deployment: this one takes its watch up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub taken_up: bool,
    /// The ids of the other deployments that were there before the update.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub elders: BTreeSet<String>,
    /// `family:revision` that the service ran before; none if nothing was deployed, or nobody knows.
    #[serde(default)]
    pub previous_revision: Option<String>,
    /// The ids of events that were there before the update. A recorder leaves both the ids and the events out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub old_events: BTreeSet<String>,
    /// Nothing was deployed: what runs is proven.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unchanged: bool,
    /// What is asked.
    pub policy: Asked,
    /// The service before the update, as DescribeServices said it, but for its deployments and its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The task definition that is deployed, without values of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<Value>,
    /// The task definition that the service ran before, likewise; none if nothing was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_task_definition: Option<Value>,
}

/// What is asked of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// `healthy` or `steady`.
    pub until: Until,
    /// From the update to giving up, in seconds; none if nobody gives up.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// Containers with a health check of their own.
    #[serde(default)]
    pub checked: BTreeSet<String>,
    /// The digests that prove each container's image.
    #[serde(default)]
    pub images: BTreeMap<String, Digests>,
    /// Whether a desired count of 0 is accepted.
    #[serde(default)]
    pub allow_zero: bool,
}

/// When a rollout counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// See [`Goal::Healthy`].
    Healthy,
    /// See [`Goal::Steady`].
    Steady,
}

/// The digests that prove an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The digest that was deployed.
    pub deployed: String,
    /// The platform manifests, if that is an index.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub platforms: BTreeSet<String>,
    /// Whether it is known what the deployed digest is.
    pub resolved: bool,
}

/// A look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The services that it was a look at, each as `CLUSTER/NAME`, and the seconds since its update. Version 1 has only
    /// the name.
    pub of: BTreeMap<String, f64>,
    /// What the far ends said.
    pub answers: Vec<Answer>,
}

/// What was asked once more, to find the cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// The service.
    pub service: String,
    /// Its cluster, as the calls name it. Version 1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What the far ends said.
    pub answers: Vec<Answer>,
    /// What only a diagnosis asks for.
    #[serde(flatten)]
    pub gathered: Gathered,
}

/// What came of a rollback that slipway asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aftermath {
    /// The service.
    pub service: String,
    /// Its cluster, as the calls name it. Version 1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The revision of before is back, or ECS agreed to bring it back.
    pub rolled_back: bool,
    /// What serves.
    pub left: String,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// How the run judged a service; a failure in the words in which it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The service.
    pub service: String,
    /// Its cluster, as the calls name it. Version 1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The exit code that it stands for; none where the run gave the service up because another one failed, which is
    /// neither a success nor a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// What became of a service that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// The failure, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Block>,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its exit code.
    pub exit_code: u8,
    /// The failure, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Block>,
}

/// A failure as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What failed.
    pub error: String,
    /// The root cause.
    pub cause: Option<String>,
    /// What proves it.
    pub evidence: Vec<String>,
    /// Where.
    #[serde(rename = "where")]
    pub place: Option<String>,
    /// What is left serving.
    pub left: Option<String>,
    /// What became of the other services of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

impl Header {
    /// The header of a capture that is written now.
    #[must_use]
    pub fn current() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            slipway: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Head {
    /// What earlier looks of the watch know of the time before the update.
    #[must_use]
    pub fn baseline(&self) -> Baseline {
        Baseline {
            deployment: self.previous.clone(),
            task_definition: self.previous_arn.clone(),
            elders: self.elders.clone(),
            events: self.old_events.clone(),
            caution: self.caution().unwrap_or_default(),
        }
    }

    /// How the service was told to deploy before the update; a recorder of old did not keep it.
    fn caution(&self) -> Option<Caution> {
        let before = answers::read::service(self.before.as_ref()?).ok()?;
        Some(Baseline::of(&before).caution)
    }

    /// Our deployment.
    #[must_use]
    pub fn ours(&self) -> Ours {
        Ours {
            deployment: self.deployment.clone(),
        }
    }
}

impl Head {
    /// The two revisions, as far as they were recorded.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        let revision = |name: &String, document: &Option<Value>| {
            let definition = TaskDefinition::parse(document.as_ref()?.to_string().as_bytes()).ok()?;
            Some(Revision {
                name: name.clone(),
                shape: definition.shape(),
            })
        };
        let previous = self.previous_revision.as_ref();
        let previous = previous.and_then(|name| revision(name, &self.previous_task_definition));
        Comparison {
            ours: revision(&self.revision, &self.task_definition),
            previous: previous.filter(|previous| previous.name != self.revision),
        }
    }
}

impl Asked {
    /// The policy as data.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let digests = |expected: &Expected| Digests {
            deployed: expected.deployed.to_string(),
            platforms: expected.platforms.iter().map(ToString::to_string).collect(),
            resolved: expected.resolved,
        };
        Self {
            until: match policy.goal {
                Goal::Healthy => Until::Healthy,
                Goal::Steady => Until::Steady,
            },
            timeout: Some(policy.timeout.as_secs_f64()).filter(|_| policy.timeout != Duration::MAX),
            checked: policy.checked.iter().map(ToString::to_string).collect(),
            images: policy
                .images
                .iter()
                .map(|(container, expected)| (container.to_string(), digests(expected)))
                .collect(),
            allow_zero: policy.allow_zero,
        }
    }

    /// The policy; an error names what is wrong.
    fn policy(&self) -> Result<Policy, String> {
        let name = |text: &String| text.parse::<ContainerName>().map_err(|error| error.to_string());
        let digest = |text: &String| {
            text.parse()
                .map_err(|error: crate::name::NameError| error.to_string())
        };
        let mut images = BTreeMap::new();
        for (container, digests) in &self.images {
            let expected = Expected {
                deployed: digest(&digests.deployed)?,
                platforms: digests.platforms.iter().map(digest).collect::<Result<_, _>>()?,
                resolved: digests.resolved,
            };
            images.insert(name(container)?, expected);
        }
        Ok(Policy {
            goal: match self.until {
                Until::Healthy => Goal::Healthy,
                Until::Steady => Goal::Steady,
            },
            timeout: match self.timeout {
                Some(seconds) => time(seconds)?,
                None => Duration::MAX,
            },
            checked: self.checked.iter().map(name).collect::<Result<_, _>>()?,
            images,
            allow_zero: self.allow_zero,
        })
    }
}

/// A time in seconds.
fn time(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{seconds} s: {error}"))
}

impl Aftermath {
    /// The failure with what the rollback made of it.
    #[must_use]
    pub fn on(self, failure: Failure) -> Failure {
        let kind = if self.rolled_back {
            Kind::RolledBack
        } else {
            failure.kind
        };
        let failure = Failure { kind, ..failure }
            .left(self.left)
            .evidence(self.evidence);
        self.hints.into_iter().fold(failure, Failure::hint)
    }
}

impl Told {
    /// How a service ended.
    #[must_use]
    pub fn of(cluster: &str, service: &ServiceName, failure: Option<&Failure>) -> Self {
        Self {
            service: service.to_string(),
            cluster: Some(cluster.to_owned()),
            exit_code: Some(exit_code(failure)),
            left: None,
            failure: failure.map(Block::of),
        }
    }

    /// A service that was given up because another one failed, and what became of it.
    #[must_use]
    pub fn given_up(cluster: &str, service: &ServiceName, left: String) -> Self {
        Self {
            service: service.to_string(),
            cluster: Some(cluster.to_owned()),
            exit_code: None,
            left: Some(left),
            failure: None,
        }
    }
}

impl End {
    /// How a run ended.
    #[must_use]
    pub fn of(failure: Option<&Failure>) -> Self {
        Self {
            exit_code: exit_code(failure),
            failure: failure.map(Block::of),
        }
    }
}

fn exit_code(failure: Option<&Failure>) -> u8 {
    failure.map_or(0, |failure| failure.kind.exit_code())
}

impl Block {
    /// The failure as data.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        Self {
            error: failure.what.clone(),
            cause: failure.root_cause(),
            evidence: failure.evidence.clone(),
            place: failure.place.clone(),
            left: failure.left.clone(),
            others: failure.others.clone(),
            hints: failure.hints.clone(),
        }
    }

    /// The data as a failure again. An exit code that this version does not know is a doubt.
    #[must_use]
    pub fn into_failure(self, exit_code: u8) -> Failure {
        let known = Kind::ALL.into_iter().find(|kind| kind.exit_code() == exit_code);
        Failure {
            kind: known.unwrap_or(Kind::Unclear),
            what: self.error,
            cause: self.cause,
            place: self.place,
            left: self.left,
            others: self.others,
            resume: Vec::new(),
            hints: self.hints,
            evidence: self.evidence,
            source: None,
        }
    }
}

/// A loss as one stable word, for machines.
#[must_use]
pub const fn word(loss: &Loss) -> &'static str {
    match loss {
        Loss::Failed { .. } => "failed",
        Loss::CannotStart { .. } => "cannot-start",
        Loss::RollingBack { .. } => "rolling-back",
        Loss::RolledBack { .. } => "rolled-back",
        Loss::RollbackFailed { .. } => "rollback-failed",
        Loss::Superseded { .. } => "superseded",
        Loss::Stopped { .. } => "stopped",
        Loss::ServiceGone { .. } => "service-gone",
        Loss::Deadline { .. } => "deadline",
        Loss::Stuck { .. } => "stuck",
        Loss::WrongDigest { .. } => "wrong-digest",
        Loss::CannotTell(_) => "cannot-tell",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
